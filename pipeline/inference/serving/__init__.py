"""Trained models as MLflow models: raw text in; spans, labels, scores or continuations out."""

from pipeline.inference.serving.signature import description
from pipeline.inference.serving.text_model import TextModel

__all__ = ["TextModel", "description"]
