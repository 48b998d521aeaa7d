"""The losses of a language model's test tokens by block, sentence and word frequency."""

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.metrics.items import ItemScores
from pipeline.text.units import Unit, join_tokens
from pipeline.text.vocabulary import Vocabulary

BLOCK = 50
"""Tokens per item."""
WORST = 50
"""Number of sentences in the table of the worst ones."""


def blocks(nll: Tensor, targets: Tensor) -> ItemScores:
    """Returns sums over blocks of `BLOCK` tokens of nlls in nats [tokens], float64."""
    if not len(nll):
        return ItemScores("perplexity", "", np.zeros((2, 0)))
    starts = np.arange(0, len(nll), BLOCK)
    sums = np.add.reduceat(nll.numpy(), starts)
    counts = np.diff(np.append(starts, len(nll))).astype(np.float64)
    digest = hashlib.sha256(targets.to(torch.int64).numpy().tobytes()).hexdigest()[:16]
    return ItemScores("perplexity", digest, np.stack([sums, counts]))


def worst_sentences(
    nll: Tensor, targets: Tensor, vocabulary: Vocabulary, unit: Unit = "word"
) -> list[list[Any]]:
    """Returns the sentences with the highest mean loss: number from 1, nll, tokens and text.

    Args:
        nll: Loss of each token of the test split in nats [tokens].
        targets: Token ids [tokens]; `<eos>` ends a sentence.
        vocabulary: Vocabulary.
        unit: "word" or "character".

    Example:
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "the", "cat"])
        >>> targets = torch.tensor([2, 0, 3, 0])
        >>> worst_sentences(torch.tensor([1.0, 0.0, 4.0, 1.0]), targets, vocabulary)
        [[2, 2.5, 2, 'cat'], [1, 0.5, 2, 'the']]
    """
    is_end = targets == vocabulary.eos_id
    sentence = torch.cumsum(is_end, 0) - is_end.long()
    num = int(sentence[-1]) + 1
    sums = torch.zeros(num, dtype=torch.float64).index_add_(0, sentence, nll.double())
    sizes = torch.bincount(sentence, minlength=num)
    means = sums / sizes
    starts = torch.cumsum(sizes, 0) - sizes
    rows = []
    for place in torch.argsort(means, descending=True, stable=True)[:WORST].tolist():
        ids = targets[starts[place] : starts[place] + sizes[place]].tolist()
        words = vocabulary.decode([token for token in ids if token != vocabulary.eos_id])
        text = join_tokens(words, unit)
        rows.append([place + 1, round(float(means[place]), 4), int(sizes[place]), text])
    return rows


def loss_by_frequency(nll: Tensor, targets: Tensor, counts: Sequence[int]) -> list[list[Any]]:
    """Returns the mean loss of words by their frequency in training, in powers of ten.

    Args:
        nll: Loss of each token in nats [tokens].
        targets: Token ids [tokens].
        counts: Occurrences of each word in the training text.

    Example:
        >>> loss_by_frequency(torch.tensor([1.0, 3.0, 2.0]), torch.tensor([0, 1, 1]), [120, 9])
        [['1 to 9', 2, 2.5], ['100 to 999', 1, 1.0]]
    """
    powers = torch.tensor([-1 if count < 1 else int(math.log10(count)) for count in counts])
    found = powers[targets.long()]
    rows: list[list[Any]] = []
    for power in sorted(set(found.tolist())):
        chosen = nll[found == power]
        name = "0" if power < 0 else f"{10**power:,} to {10 ** (power + 1) - 1:,}"
        rows.append([name, len(chosen), round(float(chosen.double().mean()), 4)])
    return rows
