"""Word classes from word vectors: k-means against brute force."""

import itertools

import numpy as np
import pytest
import torch

from pipeline.errors import InputError
from pipeline.heads import ClassSoftmax, KMeans
from pipeline.heads.class_softmax.assign import cluster
from tests.examples import vocabulary


def inertia(points, clusters):
    """The sum of squared distances from the mean of each cluster."""
    return sum(
        ((points[clusters == number] - points[clusters == number].mean(0)) ** 2).sum()
        for number in set(clusters.tolist())
    )


def test_best_of_some_seeds_is_the_best_of_all_divisions():
    points = np.random.default_rng(0).normal(size=(7, 2))
    found = min(inertia(points, cluster(points, 3, seed)) for seed in range(20))
    divisions = itertools.product(range(3), repeat=7)
    assert found == pytest.approx(min(inertia(points, np.array(each)) for each in divisions))


@pytest.mark.parametrize("seed", range(5))
def test_each_point_is_in_the_cluster_with_the_nearest_mean(seed):
    points = np.random.default_rng(seed).normal(size=(60, 4))
    clusters = cluster(points, 6, seed)
    means = np.array([points[clusters == number].mean(0) for number in range(6)])
    nearest = [((means - point) ** 2).sum(1).argmin() for point in points]
    assert clusters.tolist() == nearest
    assert cluster(points, 6, seed).tolist() == clusters.tolist()


def test_equal_points_are_one_cluster():
    assert cluster(np.ones((5, 3)), 4, 0).tolist() == [0] * 5
    assert sorted(set(cluster(np.repeat(np.eye(3), 4, axis=0), 10, 0).tolist())) == [0, 1, 2]


@pytest.fixture
def vectors(tmp_path):
    path = tmp_path / "vectors.txt"
    rows = {"w2": "1 0.1", "w3": "-2 0.1", "w4": "3 -0.1", "w5": "-0.5 0", "other": "0 1"}
    path.write_text("".join(f"{word} {row}\n" for word, row in rows.items()))
    return path


def test_words_without_a_vector_are_a_class_of_their_own(vectors):
    classes = KMeans(str(vectors), 3).assign(vocabulary(7))
    assert classes[0] == classes[1] == classes[6] == 2
    assert classes[2] == classes[4] != classes[3] == classes[5]
    assert KMeans(str(vectors), 1).assign(vocabulary(7)) == [0] * 7


def test_a_layer_takes_them(vectors):
    layer = ClassSoftmax(3, vocabulary(7), KMeans(str(vectors), 3))
    assert layer.log_distribution(torch.ones(3)).exp().sum().item() == pytest.approx(1)


def test_mistakes_are_told(vectors, tmp_path):
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        KMeans(str(vectors), 0)
    with pytest.raises(ValueError, match="must be at most the number of words, 7, got 8"):
        KMeans(str(vectors), 8).assign(vocabulary(7))
    with pytest.raises(InputError, match="has no vector for any of the 2 words"):
        KMeans(str(vectors)).assign(vocabulary(2))
    with pytest.raises(InputError, match="nowhere"):
        KMeans(str(tmp_path / "nowhere")).assign(vocabulary(7))
