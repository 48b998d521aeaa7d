"""Assignment of words to the classes of a class-based softmax."""

import abc
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipeline.text.vectors import load_vectors
from pipeline.text.vocabulary import Vocabulary


class WordClasses(abc.ABC):
    """Abstract base class of rules that divide a vocabulary into classes."""

    @abc.abstractmethod
    def assign(self, vocabulary: Vocabulary) -> list[int]:
        """Returns the class of each id. Classes are numbered from 0 without gaps.

        Raises:
            ValueError: If this rule cannot divide the vocabulary.
        """


class FrequencyBins(WordClasses):
    """Classes of about equal probability: few frequent words in the first, many rare in the last.

    The rule of Mikolov et al. (2011, "Extensions of recurrent neural network language model"):
    words, most frequent first, are added to class i of `num` until the first i classes cover more
    than i / num of the text. After a word as frequent as several classes, the next classes have one
    word each. There may be fewer classes than requested.

    Args:
        num: Number of classes; round(sqrt(number of words)) if None.

    Raises:
        ValueError: If `num` is below 1.

    Example:
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "the", "cat"], counts=[50, 30, 10, 10])
        >>> FrequencyBins(num=2).assign(vocabulary)
        [0, 0, 1, 1]
    """

    def __init__(self, num: int | None = None) -> None:
        _check_num(num)
        self.num = num

    def assign(self, vocabulary: Vocabulary) -> list[int]:
        """See `WordClasses.assign`."""
        return _fill(vocabulary, self.num, power=1)


class SquareRootBins(WordClasses):
    """Classes of about equal sums of the square roots of the word counts.

    The sizes of the classes differ less than with `FrequencyBins`. This is faster and slightly
    worse in the rnnlm toolkit, which has both rules (Mikolov et al. 2011, "RNNLM - Recurrent neural
    network language modeling toolkit").

    Args:
        num: Number of classes; round(sqrt(number of words)) if None.

    Raises:
        ValueError: If `num` is below 1.

    Example:
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "the", "cat"], counts=[16, 9, 9, 1])
        >>> SquareRootBins(num=2).assign(vocabulary)
        [0, 0, 1, 1]
    """

    def __init__(self, num: int | None = None) -> None:
        _check_num(num)
        self.num = num

    def assign(self, vocabulary: Vocabulary) -> list[int]:
        """See `WordClasses.assign`."""
        return _fill(vocabulary, self.num, power=0.5)


class KMeans(WordClasses):
    r"""Clusters of pretrained word vectors; words without a vector form one more class.

    Vectors are scaled to length 1 and clustered by scikit-learn: Lloyd's iterations (1982) from the
    initial centers of k-means++ (Arthur & Vassilvitskii 2007). The clusters differ in size. A large
    cluster, or a file that lacks many words, makes the softmax slower. Checkpoints contain the
    classes, so that only training needs the file.

    Args:
        vectors: File of word vectors: GloVe, fastText (`.vec`) or word2vec.
        num: Number of classes; round(sqrt(number of words)) if None. There are fewer classes if
            there are fewer distinct vectors.
        seed: Random seed of the initial centers.

    Raises:
        ValueError: If `num` is below 1.

    Example:
        >>> import tempfile
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "cat", "dog", "see"])
        >>> with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        ...     print("cat 1 0.1", "dog 0.9 0", "see -1 0", sep="\n", file=file, flush=True)
        ...     classes = KMeans(file.name, num=3).assign(vocabulary)
        >>> classes[2] == classes[3] != classes[4], classes[:2]
        (True, [2, 2])
    """

    def __init__(self, vectors: str, num: int | None = None, seed: int = 0) -> None:
        _check_num(num)
        self.vectors = vectors
        self.num = num
        self.seed = seed

    def assign(self, vocabulary: Vocabulary) -> list[int]:
        """See `WordClasses.assign`.

        Raises:
            InputError: If the file cannot be read or has none of the words.
        """
        num = _num_classes(self.num, vocabulary)
        found = load_vectors(Path(self.vectors), vocabulary.words).vectors
        norms = np.linalg.norm(found.values, axis=1, keepdims=True)
        lacks_some = len(found.words) < len(vocabulary)
        clusters = cluster(
            found.values / np.maximum(norms, 1e-12), max(1, num - lacks_some), self.seed
        )
        of_word = dict(zip(found.words, clusters.tolist(), strict=True))
        others = int(clusters.max()) + 1 if num > 1 else 0
        return [of_word.get(word, others) for word in vocabulary.words]


class StoredClasses(WordClasses):
    """Word classes that were assigned before, such as those of a checkpoint.

    Args:
        class_of: Class of each word [vocab], numbered from 0 without gaps.

    Example:
        >>> import torch
        >>> classes = StoredClasses(torch.tensor([0, 1, 1]))
        >>> classes.assign(Vocabulary(["<eos>", "<unk>", "cat"]))
        [0, 1, 1]
    """

    def __init__(self, class_of: Tensor) -> None:
        self.class_of = class_of

    def assign(self, vocabulary: Vocabulary) -> list[int]:
        """See `WordClasses.assign`."""
        if len(self.class_of) != len(vocabulary):
            raise ValueError(
                f"StoredClasses has the classes of {len(self.class_of)} words, but the vocabulary "
                f"has {len(vocabulary)} words"
            )
        classes: list[int] = self.class_of.tolist()
        return classes


def cluster(points: NDArray[np.float32], num: int, seed: int) -> NDArray[np.int64]:
    """Divides points [points features] into at most `num` clusters by k-means.

    Returns the cluster of each point [points], numbered from 0 without gaps.
    """
    # Imported here because scikit-learn takes long to import and few models need it.
    from sklearn.cluster import KMeans as Clustering
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    kmeans = Clustering(  # type: ignore[no-untyped-call]
        min(num, len(points)), n_init=1, max_iter=100, tol=0, random_state=seed, algorithm="lloyd"
    )
    # With several threads the order of float32 sums varies, and so could the classes of two ranks.
    with threadpool_limits(limits=1), warnings.catch_warnings():  # type: ignore[no-untyped-call]
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than clusters
        clusters = kmeans.fit_predict(points)  # type: ignore[no-untyped-call]
    return np.unique(clusters, return_inverse=True)[1]


def word_counts(vocabulary: Vocabulary, user: str) -> Sequence[int]:
    """Returns the word counts of a vocabulary; raises a `ValueError` if none is above 0.

    `user` names the layer or rule that needs the counts, for the error message.
    """
    if vocabulary.counts is None or not any(vocabulary.counts):
        raise ValueError(
            f"{user} needs the counts of the words in the training text, but the vocabulary "
            "has none; train on a corpus, or use an output layer that needs no counts"
        )
    return vocabulary.counts


def _check_num(num: int | None) -> None:
    if num is not None and num < 1:
        raise ValueError(f"num, the number of word classes, must be at least 1, got {num}")


def _num_classes(num: int | None, vocabulary: Vocabulary) -> int:
    if num is None:
        return max(1, round(math.sqrt(len(vocabulary))))
    if num > len(vocabulary):
        raise ValueError(
            f"num, the number of word classes, must be at most the number of words, "
            f"{len(vocabulary)}, got {num}"
        )
    return num


def _fill(vocabulary: Vocabulary, num: int | None, power: float) -> list[int]:
    num = _num_classes(num, vocabulary)
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
