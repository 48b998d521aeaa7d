"""Classes of words that mean alike, from word vectors."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.heads.class_softmax.assign import WordClasses, check_num, num_classes
from pipeline.text.vectors import load_vectors
from pipeline.text.vocabulary import Vocabulary

_MAX_ROUNDS = 100

Rows = NDArray[np.float64]


class KMeans(WordClasses):
    """Clusters of pre-trained word vectors; words without a vector are a class of their own.

    Lloyd's iterations (1982) over vectors of length 1, from the seeds of k-means++ (Arthur &
    Vassilvitskii 2007), until no word changes its cluster. The clusters are uneven: a large one
    makes the softmax slower, and so does a file that lacks many words. A checkpoint holds the
    classes, so that the file is needed in training only.

    Args:
        vectors: file of word vectors: GloVe, fastText (`.vec`) or word2vec.
        num: number of classes; None takes round(sqrt(number of words)). Where fewer vectors
            differ, there are fewer classes.
        seed: of the choice of seeds.

    Raises:
        ValueError: `num` is below 1.
    """

    def __init__(self, vectors: str, num: int | None = None, seed: int = 0) -> None:
        check_num(num)
        self.vectors = vectors
        self.num = num
        self.seed = seed

    def assign(self, vocabulary: Vocabulary) -> list[int]:
        """See `WordClasses.assign`.

        Raises:
            ValueError: there are more classes than words.
            InputError: the file cannot be read, or has a vector of none of the words.
        """
        num = num_classes(self.num, vocabulary)
        found = load_vectors(Path(self.vectors), vocabulary.words).vectors
        values = found.values.astype(np.float64)
        values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
        lacks_some = len(found.words) < len(vocabulary)
        clusters = cluster(values, max(1, num - lacks_some), self.seed)
        of_word = dict(zip(found.words, clusters.tolist(), strict=True))
        others = int(clusters.max()) + 1 if num > 1 else 0
        return [of_word.get(word, others) for word in vocabulary.words]


def cluster(points: Rows, num: int, seed: int) -> NDArray[np.int64]:
    """Divides points into clusters by Lloyd's iterations.

    Args:
        points: [points features].
        num: the most clusters.
        seed: of the choice of the first centres.

    Returns:
        The cluster of each point, numbered from 0 without gaps [points].
    """
    centres = _first_centres(points, min(num, len(points)), np.random.default_rng(seed))
    clusters = np.full(len(points), -1)
    for _ in range(_MAX_ROUNDS):
        nearest = _distances(points, centres).argmin(axis=1)
        if (nearest == clusters).all():
            break
        clusters = nearest
        for number in np.unique(clusters):  # a cluster that lost its points keeps its centre
            centres[number] = points[clusters == number].mean(axis=0)
    return np.unique(clusters, return_inverse=True)[1]


def _first_centres(points: Rows, num: int, generator: np.random.Generator) -> Rows:
    """Draws points by their squared distance from the nearest centre so far."""
    centres = points[[generator.integers(len(points))]]
    nearest = _distances(points, centres)[:, 0]
    while len(centres) < num and nearest.sum() > 0:
        chosen = points[[generator.choice(len(points), p=nearest / nearest.sum())]]
        centres = np.concatenate([centres, chosen])
        nearest = np.minimum(nearest, _distances(points, chosen)[:, 0])
    return centres


def _distances(points: Rows, centres: Rows) -> Rows:
    """Gives the squared distances [points centres]."""
    squares = (points**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1)
    distances: Rows = np.maximum(squares - 2 * points @ centres.T, 0)
    # What is left of the rounding of equal points would make them seeds once more.
    distances[distances < 1e-12] = 0
    return distances
