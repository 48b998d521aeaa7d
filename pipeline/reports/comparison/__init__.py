"""Comparison of trained runs: differences, significance tests and pages; no training."""

from pipeline.reports.comparison.difference import Difference, compare
from pipeline.reports.comparison.significance import PairedTest, paired_test

__all__ = ["Difference", "PairedTest", "compare", "paired_test"]
