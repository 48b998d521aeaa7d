import random
from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.batching.buckets import Buckets

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=80)
UNITS = st.sampled_from(["sentences", "tokens"])
SIZES = st.integers(1, 100)


def buckets(lengths, size, unit="sentences", shuffle=True, seed=1, rank=0, world_size=1, epoch=0):
    made = Buckets(
        lengths, size, unit, shuffle=shuffle, seed=seed, rank=rank, world_size=world_size
    )
    made.set_epoch(epoch)
    return made


def sentence_lengths(count, seed=0):
    """Lengths like those of MPQA: mean 27, up to 120."""
    rng = random.Random(seed)
    return [min(120, 1 + int(rng.gammavariate(2.4, 10.8))) for _ in range(count)]


def padding(lengths, batches):
    """Ratio of padded tokens to real tokens."""
    padded = sum(len(batch.rows) * max(lengths[row] for row in batch.rows) for batch in batches)
    return padded / sum(lengths)


def test_batches_by_hand():
    # sorted: 9 | 4 4 | 3 2 1, as 3 x 3 is 9 tokens and 2 x 4 is 8
    lengths = [1, 4, 9, 2, 4, 3]
    assert list(buckets(lengths, 9, "tokens", shuffle=False)) == [
        ([2], 1, 9),
        ([1, 4], 2, 8),
        ([5, 3, 0], 3, 6),
    ]
    assert list(buckets(lengths, 4, shuffle=False)) == [([2, 1, 4, 5], 4, 20), ([3, 0], 2, 3)]
    # a sentence longer than a batch is a batch of its own
    rows = [share.rows for share in buckets(lengths, 3, "tokens", shuffle=False)]
    assert rows == [[2], [1], [4], [5], [3], [0]]


@given(LENGTHS, SIZES, UNITS, st.booleans(), st.integers(0, 5))
def test_every_sentence_comes_once(lengths, size, unit, shuffle, epoch):
    made = buckets(lengths, size, unit, shuffle, epoch=epoch)
    batches = list(made)
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(lengths)))
    assert len(batches) == len(made)
    for batch in batches:
        assert batch.num_rows == len(batch.rows)
        assert batch.num_tokens == sum(lengths[row] for row in batch.rows)


@given(LENGTHS, SIZES, st.booleans(), st.integers(0, 5))
def test_no_batch_is_too_large_and_none_could_be_joined(lengths, size, shuffle, epoch):
    sentences = [len(batch.rows) for batch in buckets(lengths, size, shuffle=shuffle, epoch=epoch)]
    assert sorted(sentences)[1:] == [size] * (len(sentences) - 1)
    batches = list(buckets(lengths, size, "tokens", shuffle, epoch=epoch))
    for batch in batches:
        width = max(lengths[row] for row in batch.rows)
        assert len(batch.rows) == 1 or len(batch.rows) * width <= size
    widest = sorted(((max(lengths[r] for r in b.rows), len(b.rows)) for b in batches), reverse=True)
    # only the batch of the shortest sentences may have room left
    for (width, count), _ in pairwise(widest):
        assert (count + 1) * width > size


@given(LENGTHS, SIZES, UNITS, st.booleans(), st.integers(0, 5), st.integers(1, 5))
def test_the_ranks_together_get_what_one_process_gets(lengths, size, unit, shuffle, epoch, world):
    alone = list(buckets(lengths, size, unit, shuffle, epoch=epoch))
    parts = [
        buckets(lengths, size, unit, shuffle, rank=rank, world_size=world, epoch=epoch)
        for rank in range(world)
    ]
    assert {len(part) for part in parts} == {len(alone)}
    for batch, *shares in zip(alone, *parts, strict=True):
        rows = [share.rows for share in shares]
        assert sorted(chain.from_iterable(rows)) == sorted(batch.rows)
        assert {share.num_tokens for share in shares} == {batch.num_tokens}
        assert {share.num_rows for share in shares} == {batch.num_rows}
        assert max(map(len, rows)) - min(map(len, rows)) <= 1


def test_a_rank_may_get_nothing():
    lengths = [5, 5, 5]
    last = buckets(lengths, 2, shuffle=False, rank=2, world_size=3)
    assert list(last) == [([], 2, 10), ([], 1, 5)]


@given(LENGTHS, SIZES, UNITS, st.integers(0, 5))
def test_the_order_is_a_function_of_seed_and_epoch(lengths, size, unit, epoch):
    expected = list(buckets(lengths, size, unit, epoch=epoch))
    made = buckets(lengths, size, unit)
    for other in (3, 0, epoch):  # the order does not depend on earlier epochs
        made.set_epoch(other)
        seen = list(made)
    assert seen == expected


@pytest.mark.parametrize("unit", ["sentences", "tokens"])
def test_epochs_and_seeds_differ_in_batches_and_their_order(unit):
    lengths = sentence_lengths(4000)
    orders = [
        list(buckets(lengths, 32 if unit == "sentences" else 900, unit, seed=seed, epoch=epoch))
        for seed, epoch in ((1, 0), (1, 1), (2, 0), (0, 1))
    ]
    for index, order in enumerate(orders):
        companies = {frozenset(batch.rows) for batch in order}
        for other in orders[:index]:
            shared = companies & {frozenset(batch.rows) for batch in other}
            assert len(shared) < 0.1 * len(companies)  # some of the longest sentences meet again
        means = [batch.num_tokens / len(batch.rows) for batch in order]
        drift = np.corrcoef(means, np.arange(len(means)))[0, 1]
        assert abs(drift) < 0.5  # short and long batches alternate


def test_a_sentence_meets_many_others():
    """Over 40 epochs, a sentence meets more than those of its own length."""
    lengths = sentence_lengths(1000)
    row, met = lengths.index(22), set()
    assert lengths.count(22) < 40
    for epoch in range(40):
        batches = list(buckets(lengths, 32, epoch=epoch))
        met |= next(set(batch.rows) for batch in batches if row in batch.rows)
    assert len(met) > 100


@given(LENGTHS, SIZES, UNITS, st.booleans())
@settings(max_examples=30)
def test_the_rest_of_an_epoch_elsewhere(lengths, size, unit, shuffle):
    def make(epoch):
        return buckets(lengths, size, unit, shuffle, rank=1, world_size=2, epoch=epoch)

    whole, following = list(make(3)), list(make(4))
    made = make(3)
    for index, _ in enumerate(made):
        assert made.position == (index + 1) % len(made)
        elsewhere = make(0)
        elsewhere.position = made.position
        iterator = iter(elsewhere)  # Lightning creates it before it sets the epoch
        elsewhere.set_epoch(3)
        assert elsewhere.position == made.position
        assert list(iterator) == whole[made.position :]
        elsewhere.set_epoch(4)
        assert list(elsewhere) == following
    assert made.position == 0


def test_iterating_that_is_broken_off_starts_again_from_the_beginning():
    made = buckets(sentence_lengths(100), 8)
    whole = list(made)
    for _ in zip(range(2), made, strict=False):
        pass
    assert list(made) == whole


def test_padding():
    """Random batches of 32 are more than twice as wide as their sentences are long."""
    lengths = sentence_lengths(11_111)
    assert 25 < sum(lengths) / len(lengths) < 29
    assert padding(lengths, buckets(lengths, 32, epoch=2)) < 1.06
    assert padding(lengths, buckets(lengths, 1000, "tokens", epoch=2)) < 1.02
    assert padding(lengths, buckets(lengths, 32, shuffle=False)) < 1.02
    rows = random.Random(0).sample(range(11_111), 11_111)
    widths = [max(lengths[row] for row in rows[i : i + 32]) for i in range(0, 11_111, 32)]
    assert 32 * sum(widths) / sum(lengths) > 2


def test_the_lines_of_mpqa(real_data):
    text = (real_data / "mpqa" / "dse.txt").read_text(encoding="utf-8")
    lengths = [block.count("\n") + 1 for block in text.strip("\n").split("\n\n")]
    assert (len(lengths), sum(lengths)) == (14_492, 364_570)
    assert padding(lengths, buckets(lengths, 32)) < 1.06
    assert padding(lengths, buckets(lengths, 1000, "tokens")) < 1.06


def test_what_is_refused():
    made = buckets([3, 4, 5], 2)
    for position in (-1, 2):
        with pytest.raises(ValueError, match=rf"^batches are numbered 0 to 1, got {position}$"):
            made.position = position
    for lengths, size in (([3], 0), ([3, 0], 2)):
        with pytest.raises(ValueError, match=f"got batch_size={size}$"):
            buckets(lengths, size)
