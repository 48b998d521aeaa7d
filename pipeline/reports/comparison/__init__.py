"""Comparison of trained runs: differences, significance tests and pages; no training."""

from pipeline.reports.comparison.difference import Difference, compare
from pipeline.reports.comparison.evidence import Evidence, collect
from pipeline.reports.comparison.page import html_page
from pipeline.reports.comparison.significance import PairedTest, paired_test
from pipeline.reports.comparison.text import markdown_page

__all__ = [
    "Difference",
    "Evidence",
    "PairedTest",
    "collect",
    "compare",
    "html_page",
    "markdown_page",
    "paired_test",
]
