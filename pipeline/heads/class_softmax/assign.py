"""Which class each word of a class-based softmax belongs to."""

import abc
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline.text.vocabulary import Vocabulary


class WordClasses(abc.ABC):
    """Divides a vocabulary into classes."""

    @abc.abstractmethod
    def assign(self, vocabulary: Vocabulary) -> list[int]:
        """Gives the class of each word.

        Args:
            vocabulary: the token types.

        Returns:
            A number from 0 for each id. Each number up to the largest has a word.

        Raises:
            ValueError: this vocabulary cannot be divided so.
        """


class FrequencyBins(WordClasses):
    """Classes of about equal probability: the first hold few frequent words, the last many rare.

    The rule of Mikolov et al. (2011, "Extensions of recurrent neural network language model"): the
    words, most frequent first, fill a class until their share of the text is that of the classes so
    far. A word that fills several classes leaves the others to the words behind it, so that there
    may be fewer classes than asked for.

    Args:
        num: number of classes; None takes round(sqrt(number of words)).

    Raises:
        ValueError: `num` is below 1.
    """

    def __init__(self, num: int | None = None) -> None:
        check_num(num)
        self.num = num

    def assign(self, vocabulary: Vocabulary) -> list[int]:
        """See `WordClasses.assign`."""
        return _fill(vocabulary, self.num, power=1)


class SquareRootBins(WordClasses):
    """As `FrequencyBins`, but by the square root of the counts.

    The classes are less uneven in size: faster, and a little worse, in the rnnlm toolkit, which has
    both rules (Mikolov et al. 2011, "RNNLM - Recurrent neural network language modeling toolkit").

    Args:
        num: number of classes; None takes round(sqrt(number of words)).

    Raises:
        ValueError: `num` is below 1.
    """

    def __init__(self, num: int | None = None) -> None:
        check_num(num)
        self.num = num

    def assign(self, vocabulary: Vocabulary) -> list[int]:
        """See `WordClasses.assign`."""
        return _fill(vocabulary, self.num, power=0.5)


class StoredClasses(WordClasses):
    """Word classes that were assigned before, such as those in a checkpoint.

    Args:
        class_of: Class of each word [vocab], numbered from 0 without gaps.
    """

    def __init__(self, class_of: Tensor | list[int]) -> None:
        self.class_of = class_of

    def assign(self, vocabulary: Vocabulary) -> list[int]:
        """See `WordClasses.assign`.

        Raises:
            ValueError: If there is not exactly one class for each word of the vocabulary.
        """
        if len(self.class_of) != len(vocabulary):
            raise ValueError(
                f"StoredClasses has the classes of {len(self.class_of)} words, but the vocabulary "
                f"has {len(vocabulary)} words"
            )
        return torch.as_tensor(self.class_of).tolist()


def check_num(num: int | None) -> None:
    """Checks a number of classes.

    Raises:
        ValueError: it is below 1.
    """
    if num is not None and num < 1:
        raise ValueError(f"num, the number of word classes, must be at least 1, got {num}")


def num_classes(num: int | None, vocabulary: Vocabulary) -> int:
    """Gives the number of classes of a vocabulary, round(sqrt(words)) where none is asked for.

    Raises:
        ValueError: it is above the number of words.
    """
    if num is None:
        return max(1, round(math.sqrt(len(vocabulary))))
    if num > len(vocabulary):
        raise ValueError(
            f"num, the number of word classes, is at most the number of words, "
            f"{len(vocabulary)}, got {num}"
        )
    return num


def word_counts(vocabulary: Vocabulary, wanted_by: str) -> Sequence[int]:
    """Gives the counts of a vocabulary.

    Args:
        vocabulary: the token types.
        wanted_by: what needs them.

    Raises:
        ValueError: there are none, **or** no word occurs.
    """
    if vocabulary.counts is None or not any(vocabulary.counts):
        raise ValueError(
            f"{wanted_by} needs the counts of the words in the training text, but the vocabulary "
            "has none; train on a corpus, or take an output layer that needs no counts"
        )
    return vocabulary.counts


def _fill(vocabulary: Vocabulary, num: int | None, power: float) -> list[int]:
    num = num_classes(num, vocabulary)
    counts = np.asarray(word_counts(vocabulary, "a class-based softmax"), dtype=np.float64)
    order = np.argsort(-counts, kind="stable")
    shares = counts[order] ** power
    filled = np.cumsum(shares / shares.sum())
    classes, current = [0] * len(counts), 0
    for index, share in zip(order.tolist(), filled.tolist(), strict=True):
        classes[index] = current
        if share > (current + 1) / num and current < num - 1:
            current += 1
    return classes
