"""How far the gradient of a loss reaches back through recurrent layers: plain torch."""

from pipeline.lens.batches import few_rows, sample
from pipeline.lens.look import GateLook, LayerLook, Look, NothingToFollowError, look
from pipeline.lens.loss import LossAt, Traceable
from pipeline.lens.trace import Trace, stepwise

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
