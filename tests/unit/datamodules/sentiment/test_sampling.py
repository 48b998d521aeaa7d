"""Samplers choose the rows that their definitions require."""

from collections import Counter

import numpy as np

from datamodules.batching.buckets import Buckets
from datamodules.sentiment.sampling import BalancedSampler, PhraseSampler


def test_all_texts_and_some_phrases_of_each():
    sampler = PhraseSampler(
        3, [2, 0, 5, 4], count=3
    )  # the last four are of a text that was left out
    assert sampler.size == 3 + 2 + 0 + 3 + 3
    seen = Counter()
    for seed in range(300):
        rows = sampler(np.random.default_rng(seed)).tolist()
        assert len(set(rows)) == len(rows) == sampler.size
        assert {0, 1, 2, 3, 4} <= set(rows)
        assert len({5, 6, 7, 8, 9} & set(rows)) == 3
        assert len({10, 11, 12, 13} & set(rows)) == 3
        seen.update(rows)
    assert all(130 < seen[row] < 230 for row in range(5, 10))  # 180 of 300 are expected


def test_as_many_of_each_label():
    labels = [0] * 90 + [1] * 9 + [2]
    sampler = BalancedSampler(labels)
    rows = sampler(np.random.default_rng(1))
    assert len(rows) == sampler.size == 100
    assert sorted(Counter(labels[row] for row in rows).values()) == [33, 33, 34]


def test_epochs_draw_anew_and_ranks_share():
    lengths = [3, 1, 2, *range(1, 15)]
    sampler = PhraseSampler(3, [14], count=5)

    def epoch(number, rank=0, world_size=1):
        made = Buckets(
            lengths, 4, shuffle=True, seed=1, rank=rank, world_size=world_size, sampler=sampler
        )
        made.set_epoch(number)
        assert len(made) == 2
        return [share.rows for share in made]

    first = sorted(row for rows in epoch(0) for row in rows)
    assert len(first) == len(set(first)) == 8
    assert {0, 1, 2} <= set(first)
    assert first != sorted(row for rows in epoch(1) for row in rows)
    for whole, one, other in zip(epoch(0), epoch(0, 0, 2), epoch(0, 1, 2), strict=True):
        assert sorted(whole) == sorted([*one, *other])
