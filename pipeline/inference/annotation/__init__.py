"""Tags and classifies a user's text files with a trained tagger or classifier."""

from pipeline.inference.annotation.classify import ClassifyRequest, classify, classify_texts
from pipeline.inference.annotation.tag import TagRequest, annotate, tag_sentences

__all__ = [
    "ClassifyRequest",
    "TagRequest",
    "annotate",
    "classify",
    "classify_texts",
    "tag_sentences",
]
