"""Tags and classifies a user's text files with a trained tagger or classifier."""

from pipeline.inference.annotation.classify import ClassifyRequest, classify
from pipeline.inference.annotation.tag import TagRequest, annotate

__all__ = ["ClassifyRequest", "TagRequest", "annotate", "classify"]
