"""Output layers under test. A new layer needs one line here."""

from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.batches import IGNORE_INDEX
from pipeline.heads import (
    NCE,
    AdaptiveSoftmax,
    BalancedTree,
    BlackOut,
    ClassSoftmax,
    FrequencyBins,
    FullSoftmax,
    HierarchicalSoftmax,
    NegativeSampling,
    OutputLayer,
    Sampled,
    SquareRootBins,
    WordClasses,
)
from pipeline.text.vocabulary import Vocabulary
from tests.examples import vocabulary

INPUT_SIZE, VOCAB_SIZE = 5, 13
ZIPF = [int(120 / rank) for rank in range(1, VOCAB_SIZE + 1)]


class ByHand(WordClasses):
    """Explicitly given classes."""

    def __init__(self, *classes: int) -> None:
        self.classes = list(classes)

    def assign(self, vocabulary: Vocabulary) -> list[int]:
        return self.classes


Maker = Callable[[int, Vocabulary], OutputLayer]

EXACT: dict[str, Maker] = {
    "full": FullSoftmax,
    "classes": ClassSoftmax,
    "classes, no bias": lambda size, words: ClassSoftmax(size, words, bias=False),
    "one class": lambda size, words: ClassSoftmax(size, words, FrequencyBins(1)),
    "as many classes": lambda size, words: ClassSoftmax(size, words, FrequencyBins(13)),
    "square roots": lambda size, words: ClassSoftmax(size, words, SquareRootBins(5)),
    "scattered": lambda size, words: ClassSoftmax(
        size, words, ByHand(2, 0, 1, 1, 2, 0, 3, 2, 2, 4, 4, 1, 2)
    ),
    "tree": HierarchicalSoftmax,
    "tree, no bias": lambda size, words: HierarchicalSoftmax(size, words, bias=False),
    "balanced tree": lambda size, words: HierarchicalSoftmax(size, words, BalancedTree()),
    "adaptive": AdaptiveSoftmax,
    "adaptive, no bias": lambda size, words: AdaptiveSoftmax(size, words, bias=False),
    "one tail": lambda size, words: AdaptiveSoftmax(size, words, [12], div_value=1),
    "three tails": lambda size, words: AdaptiveSoftmax(size, words, [1, 4, 9], div_value=1.5),
}
"""Layers whose loss is the exact nll."""

SAMPLED: dict[str, Maker] = {
    "sampled": Sampled,
    "sampled, no bias": lambda size, words: Sampled(size, words, bias=False),
    "sampled, uniform": lambda size, words: Sampled(size, words, power=0),
    "nce": lambda size, words: Sampled(size, words, NCE()),
    "negative sampling": lambda size, words: Sampled(size, words, NegativeSampling()),
    "blackout": lambda size, words: Sampled(size, words, BlackOut()),
}
"""Layers with a sampled loss and exact evaluation."""

ALL = {**EXACT, **SAMPLED}


def make(
    maker: Maker,
    dtype: torch.dtype = torch.float64,
    rows: tuple[int, ...] = (3, 8),
    scale: float = 0.7,
) -> tuple[OutputLayer, Tensor, Tensor]:
    """Returns a layer, states, and targets with some ignored positions."""
    generator = torch.Generator().manual_seed(1)
    layer = maker(INPUT_SIZE, vocabulary(VOCAB_SIZE, ZIPF)).to(dtype)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    states = torch.randn(*rows, INPUT_SIZE, generator=generator).to(dtype).requires_grad_()
    targets = torch.randint(VOCAB_SIZE, rows, generator=generator)
    targets[..., -1] = IGNORE_INDEX
    return layer, states, targets
