"""Reports written after a test: tables, figures and JSON files."""

from pipeline.reports.calibration import apply_platt, expected_calibration_error, fit_platt
from pipeline.reports.gradients import GradientReport
from pipeline.reports.labels import LabelReport
from pipeline.reports.tagging import TaggingReport

__all__ = [
    "GradientReport",
    "LabelReport",
    "TaggingReport",
    "apply_platt",
    "expected_calibration_error",
    "fit_platt",
]
