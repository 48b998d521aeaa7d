"""Decoders: from the states of a sentence to a distribution over its tags and to the best tags."""

from pipeline.decoders.base import Decoder
from pipeline.decoders.crf import CRF
from pipeline.decoders.softmax import ConstrainedSoftmax, Softmax

__all__ = ["CRF", "ConstrainedSoftmax", "Decoder", "Softmax"]
