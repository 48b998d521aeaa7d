"""Tags and classifies a user's text files with a trained tagger or classifier."""

from pipeline.inference.annotation.classify import (
    ClassifyRequest,
    classify,
    classify_texts,
    text_classifier,
)
from pipeline.inference.annotation.tag import (
    TagRequest,
    annotate,
    sentence_tagger,
    tag_sentences,
)

__all__ = [
    "ClassifyRequest",
    "TagRequest",
    "annotate",
    "classify",
    "classify_texts",
    "sentence_tagger",
    "tag_sentences",
    "text_classifier",
]
