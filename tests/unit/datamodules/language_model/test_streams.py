import random
from itertools import pairwise

import numpy as np
import pytest
import torch

from datamodules.language_model.streams import Streams
from pipeline.batches import IGNORE_INDEX
from tests.examples import refuses

EOS = 0


def text(length):
    """Returns tokens that are all different."""
    return np.arange(1, length + 1, dtype=np.int32)


def random_cuts(count, seed=0):
    rng = random.Random(seed)
    for _ in range(count):
        batch_size = rng.randint(1, 9)
        length = rng.randint(batch_size, 80)
        bptt = rng.randint(1, -(-length // batch_size))
        yield text(length), batch_size, bptt, rng.randint(1, batch_size)


def test_windows_by_hand():
    # 8 targets in 3 columns: 0 1 | 2 3 4 | 5 6 7, the first one is one step shorter
    windows = list(Streams(np.array([7, 1, 2, 7, 3, 4, 5, 7], dtype=np.int32), 7, 3, 2))
    assert [(w.tokens.tolist(), w.targets.tolist(), w.targets_per_rank) for w in windows] == [
        ([[7, 7], [1, 2], [3, 4]], [[7, 1], [2, 7], [4, 5]], 6.0),
        ([[1], [7], [5]], [[IGNORE_INDEX], [3], [7]], 2.0),
    ]
    assert {w.tokens.dtype for w in windows} == {w.targets.dtype for w in windows} == {torch.int64}


def test_reading_again_by_hand():
    # columns 7 1 2 7 3 | 4 5 7 8 9: windows of 2 that reread up to 3 tokens
    windows = list(Streams(np.array([7, 1, 2, 7, 3, 4, 5, 7, 8, 9], np.int32), 7, 2, 2, reread=3))
    assert [(w.tokens.tolist(), w.targets.tolist(), w.reread_next) for w in windows] == [
        ([[7, 7], [3, 4]], [[7, 1], [4, 5]], 2),
        ([[7, 7, 1, 2], [3, 4, 5, 7]], [[2, 7], [7, 8]], 3),
        ([[7, 1, 2, 7], [4, 5, 7, 8]], [[3], [9]], 3),
    ]


def test_the_owned_columns_by_hand():
    # 3 columns, 2 processes: the first owns one of them; the means are over all 6 and 2 targets
    ids = np.array([7, 1, 2, 7, 3, 4, 5, 7], dtype=np.int32)
    first, last = (list(Streams(ids, 7, 3, 2, rank, 2)) for rank in (0, 1))
    assert [w.targets.tolist() for w in first] == [[[7, 1]], [[IGNORE_INDEX]]]
    assert [w.targets.tolist() for w in last] == [[[2, 7], [4, 5]], [[3], [7]]]
    assert [w.targets_per_rank for w in first] == [w.targets_per_rank for w in last] == [3.0, 1.0]


def test_every_token_is_a_target_exactly_once():
    for ids, batch_size, bptt, world_size in random_cuts(150):
        targets = [
            w.targets[w.targets != IGNORE_INDEX]
            for rank in range(world_size)
            for w in Streams(ids, EOS, batch_size, bptt, rank, world_size)
        ]
        assert sorted(torch.cat(targets).tolist()) == ids.tolist()


def test_columns_are_the_text_cut_in_equal_parts():
    for ids, batch_size, bptt, _ in random_cuts(100, seed=1):
        windows = list(Streams(ids, EOS, batch_size, bptt))
        targets = torch.cat([w.targets for w in windows], dim=1)
        columns = [column[column != IGNORE_INDEX].tolist() for column in targets]
        bounds = [index * len(ids) // batch_size for index in range(batch_size + 1)]
        assert columns == [ids[a:b].tolist() for a, b in pairwise(bounds)]
        assert targets.size(1) == max(map(len, columns)) <= min(map(len, columns)) + 1
        # IGNORE_INDEX occurs only at the end
        assert not (targets[:, :-1] == IGNORE_INDEX).any()
        assert all(w.targets.size(1) == bptt for w in windows[:-1])


def test_a_token_is_the_target_before():
    for ids, batch_size, bptt, _ in random_cuts(100, seed=2):
        windows = list(Streams(ids, EOS, batch_size, bptt))
        tokens, targets = (
            torch.cat([w[part] for w in windows], dim=1).flatten() for part in (0, 1)
        )
        before = torch.tensor([EOS, *ids[:-1]])
        for token, target in zip(tokens, targets, strict=True):
            assert target == IGNORE_INDEX or token == before[target - 1]
            assert 0 <= token <= ids[-1]


def test_the_processes_together_see_what_one_sees():
    for ids, batch_size, bptt, world_size in random_cuts(100, seed=3):
        alone = list(Streams(ids, EOS, batch_size, bptt))
        parts = [
            list(Streams(ids, EOS, batch_size, bptt, rank, world_size))
            for rank in range(world_size)
        ]
        assert {len(part) for part in parts} == {len(alone)}
        for window, *shares in zip(alone, *parts, strict=True):
            assert torch.equal(torch.cat([share.tokens for share in shares]), window.tokens)
            assert torch.equal(torch.cat([share.targets for share in shares]), window.targets)
            real = int((window.targets != IGNORE_INDEX).sum())
            assert window.targets_per_rank == real
            assert {share.targets_per_rank for share in shares} == {real / world_size}


def same(left, right):
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert torch.equal(one.tokens, other.tokens)
        assert torch.equal(one.targets, other.targets)
        assert one.targets_per_rank == other.targets_per_rank


def test_the_rest_of_an_epoch_elsewhere():
    for ids, batch_size, bptt, world_size in random_cuts(60, seed=4):
        streams = Streams(ids, EOS, batch_size, bptt, world_size - 1, world_size)
        whole = list(streams)
        assert (len(whole), streams.position) == (len(streams), 0)
        for index, _ in enumerate(streams):
            assert streams.position == (index + 1) % len(streams)
            elsewhere = Streams(ids, EOS, batch_size, bptt, world_size - 1, world_size)
            elsewhere.position = streams.position
            assert elsewhere.position == streams.position
            same(list(elsewhere), whole[streams.position :])
            same(list(elsewhere), whole)  # the next epoch is complete


def test_asking_for_an_iterator_changes_nothing():
    streams = Streams(text(20), EOS, 2, 3)
    streams.position = 2
    iter(streams), iter(streams)
    assert streams.position == 2
    assert next(iter(streams)).targets[0, 0] == 7


def test_iterating_that_is_broken_off_starts_again_from_the_beginning():
    streams = Streams(text(20), EOS, 2, 3)
    whole = list(streams)
    for _ in zip(range(2), streams, strict=False):
        pass
    same(list(streams), whole)


def test_a_position_that_there_is_not():
    streams = Streams(text(20), EOS, 2, 3)
    for position in (-1, 4):
        with pytest.raises(ValueError, match=rf"^windows are numbered 0 to 3, got {position}$"):
            streams.position = position


def test_what_cannot_be_cut_is_refused():
    with refuses(
        "corpus/train.txt has 19 tokens, fewer than batch_size=20 columns; lower batch_size or add"
        " text"
    ):
        Streams(text(19), EOS, 20, 1, source="corpus/train.txt")
    with refuses(
        "a window of bptt=6 steps is longer than the columns: corpus/train.txt has 18 tokens, in"
        " batch_size=4 columns 5 each; lower bptt or batch_size (n-gram models need no bptt:"
        " --data.bptt=null)"
    ):
        Streams(text(18), EOS, 4, 6, source="corpus/train.txt")
    assert len(Streams(text(18), EOS, 4, 5)) == 1
    with refuses("batch_size must be at least 1, got 0"):
        Streams(text(9), EOS, 0, 1)
    with refuses("bptt must be at least 1, got -3"):
        Streams(text(9), EOS, 1, -3)
    with refuses(
        "batch_size=2 columns cannot be divided among 3 processes, at least one for each; raise"
        " batch_size or use fewer devices"
    ):
        Streams(text(9), EOS, 2, 3, 0, 3)
