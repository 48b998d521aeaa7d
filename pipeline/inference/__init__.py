"""A trained tagger or classifier on text of one's own."""

from pipeline.inference.classify import ClassifyRequest, classify
from pipeline.inference.show import STYLES
from pipeline.inference.tag import Request, annotate
from pipeline.inference.text_files import FORMATS

__all__ = ["FORMATS", "STYLES", "ClassifyRequest", "Request", "annotate", "classify"]
