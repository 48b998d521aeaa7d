"""How far the gradient of a loss reaches back through recurrent layers: plain torch."""

from pipeline.analysis.gradients.batches import few_rows, sample
from pipeline.analysis.gradients.look import GateLook, LayerLook, Look, NothingToFollowError, look
from pipeline.analysis.gradients.loss import LossAt, Traceable
from pipeline.analysis.gradients.trace import Trace, stepwise

__all__ = [
    "GateLook",
    "LayerLook",
    "Look",
    "LossAt",
    "NothingToFollowError",
    "Trace",
    "Traceable",
    "few_rows",
    "look",
    "sample",
    "stepwise",
]
