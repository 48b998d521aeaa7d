"""A trained tagger or classifier on text of one's own."""

from pipeline.annotation.annotate import Request, annotate
from pipeline.annotation.classify import ClassifyRequest, classify
from pipeline.annotation.reading import FORMATS
from pipeline.annotation.writing import STYLES

__all__ = ["FORMATS", "STYLES", "ClassifyRequest", "Request", "annotate", "classify"]
