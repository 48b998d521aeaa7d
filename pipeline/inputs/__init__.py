"""Input parts, which map the tokens of a sentence to vectors that are concatenated."""

from pipeline.inputs.base import InputPart
from pipeline.inputs.characters import CharacterCNN, CharacterLSTM
from pipeline.inputs.joined import Inputs
from pipeline.inputs.shape import Affixes, Capitalisation
from pipeline.inputs.words import Column, Words

__all__ = [
    "Affixes",
    "Capitalisation",
    "CharacterCNN",
    "CharacterLSTM",
    "Column",
    "InputPart",
    "Inputs",
    "Words",
]
