"""Windows of random lengths: their distribution, and the laws of all windows."""

import math
import re
import statistics

import numpy as np
import pytest
import torch

from datamodules.language_model.datamodule import LanguageModelData
from datamodules.language_model.random_windows import RandomWindows
from datamodules.language_model.streams import Streams
from pipeline.batches import IGNORE_INDEX
from pipeline.errors import InputError
from tests.examples import refuses

IDS = np.arange(1, 2001, dtype=np.int32)  # all different


def streams(epoch=0, batch_size=7, bptt=20, rank=0, world_size=1, seed=1, reread=0):
    random = RandomWindows(bptt, seed, lambda: epoch)
    return Streams(IDS, 0, batch_size, bptt, rank, world_size, reread=reread, random=random)


def widths(windows):
    return [window.targets.size(1) for window in windows]


def law(bptt):
    """Returns the probability of each length: a normal number, rounded down and clipped."""

    def below(x, mean):
        return statistics.NormalDist(mean, 5).cdf(x)

    def chance(length, mean):
        low = -math.inf if length == 5 else length
        high = math.inf if length == bptt + 20 else length + 1
        return below(high, mean) - below(low, mean)

    lengths = range(5, bptt + 21)
    return {k: 0.95 * chance(k, bptt) + 0.05 * chance(k, bptt / 2) for k in lengths}


@pytest.mark.parametrize("bptt", [70, 35, 5])
def test_the_lengths_have_the_law(bptt):
    """Each length occurs as often as expected, within five standard deviations."""
    length, epochs = 100_000, 2 * bptt
    counts = np.zeros(bptt + 21)
    for epoch in range(epochs):
        random = RandomWindows(bptt, 1, lambda epoch=epoch: epoch)
        cuts = random.cuts(length, random.num_windows(length))
        assert (cuts[0], cuts[-1]) == (0, length)
        np.add.at(counts, np.diff(cuts)[:-1], 1)  # the last one ends with the text
    expected = law(bptt)
    assert sum(expected.values()) == pytest.approx(1)
    assert not counts[:5].any()
    for k, chance in expected.items():
        mean = chance * counts.sum()
        assert abs(counts[k] - mean) <= 5 * math.sqrt(mean) + 3, k


def test_every_token_is_a_target_exactly_once_on_any_ranks():
    for epoch, world_size in ((0, 1), (1, 2), (2, 3), (3, 7)):
        ranks = [list(streams(epoch, rank=r, world_size=world_size)) for r in range(world_size)]
        assert {tuple(widths(rank)) for rank in ranks} == {tuple(widths(streams(epoch)))}
        targets = torch.cat([w.targets.flatten() for rank in ranks for w in rank])
        assert sorted(targets[targets != IGNORE_INDEX].tolist()) == IDS.tolist()


def test_the_number_of_windows_is_that_of_each_epoch_and_the_cuts_are_not():
    cuts = [widths(streams(epoch)) for epoch in range(20)]
    assert {len(cut) for cut in cuts} == {len(streams())}
    assert len({tuple(cut) for cut in cuts}) == 20
    assert widths(streams(3)) == cuts[3]
    assert widths(streams(3, seed=2)) != cuts[3]
    assert {sum(cut) for cut in cuts} == {286}


def test_the_rate_goes_with_the_length():
    windows = list(streams())
    assert [w.rate_factor for w in windows] == [width / 20 for width in widths(windows)]
    assert {w.rate_factor for w in Streams(IDS, 0, 7, 20)} == {1.0}


def test_the_rest_of_an_epoch_elsewhere():
    for epoch in range(3):
        whole = [w.tokens.tolist() for w in streams(epoch, reread=3)]
        for position in range(len(whole)):
            elsewhere = streams(epoch, reread=3)
            elsewhere.position = position
            assert [w.tokens.tolist() for w in elsewhere] == whole[position:]


def test_short_texts():
    """Texts of any length are divided, even if a typical window contains the whole text."""
    for length in range(5, 60):
        ids = IDS[:length]
        for bptt in (5, length):
            cut = Streams(ids, 0, 1, bptt, random=RandomWindows(bptt, 1, lambda: 4))
            assert sum(widths(cut)) == length
            assert len(widths(cut)) == len(cut)


@pytest.fixture
def folder(write_corpus):
    text = "\n".join(" ".join(f"w{(7 * i + j) % 40}" for j in range(9)) for i in range(60))
    return write_corpus(text, "w1 w2\n", "w3\n", name="mine")


def data(folder, **more):
    return LanguageModelData(
        str(folder), **{"batch_size": 4, "bptt": 10, "random_bptt": True, **more}
    )


def test_resumed_data_goes_on_with_the_same_cuts(folder):
    module = data(folder)
    windows = iter(module.train_dataloader())
    next(windows), next(windows)
    other = data(folder)
    other.load_state_dict(module.state_dict())
    rest = [w.targets.tolist() for w in other.train_dataloader()]
    assert rest == [w.targets.tolist() for w in windows]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"seed": 2}, "seed=1 (now 2);"), ({"random_bptt": False}, "random_bptt=True (now False), ")],
)
def test_other_cuts_are_refused_within_an_epoch(folder, change, message):
    module = data(folder)
    next(iter(module.train_dataloader()))
    other = data(folder, **change)
    other.load_state_dict(module.state_dict())
    with pytest.raises(InputError, match=re.escape(f"in the middle of an epoch with {message}")):
        other.train_dataloader()


def test_windows_too_short_to_be_random(folder):
    with refuses("bptt must be at least 5 with random_bptt, got 4"):
        _ = data(folder, bptt=4).vocab_size
