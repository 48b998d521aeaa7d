"""Gradient analysis: how far the gradient of a loss reaches back in recurrent layers."""

from pipeline.analysis.gradients.analysis import (
    GateStatistics,
    GradientAnalysis,
    LayerGradients,
    NoLossError,
    analyze,
)
from pipeline.analysis.gradients.batches import few_rows, sample
from pipeline.analysis.gradients.loss import LossAt, Traceable
from pipeline.analysis.gradients.recording import LayerRecord, record_steps

__all__ = [
    "GateStatistics",
    "GradientAnalysis",
    "LayerGradients",
    "LayerRecord",
    "LossAt",
    "NoLossError",
    "Traceable",
    "analyze",
    "few_rows",
    "record_steps",
    "sample",
]
