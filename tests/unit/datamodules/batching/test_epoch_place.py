"""The position in an epoch: in checkpoints, and where `limit_train_batches` ends epochs early."""

import math
from types import SimpleNamespace

import pytest

from datamodules.batching.buckets import Buckets
from datamodules.batching.epoch_place import EpochPlace
from tests.examples import refuses


def buckets():
    return Buckets([1] * 10, batch_size=1, shuffle=True, seed=1)


def trained(limit, num_batches):
    """Returns the state after some batches of an epoch that `limit` ends."""
    place = EpochPlace(SimpleNamespace(trainer=None), lambda: {"seed": 1})
    batches = buckets()
    place.start(batches)
    place._data.trainer = SimpleNamespace(num_training_batches=limit)
    for _, _ in zip(range(num_batches), batches, strict=False):
        pass
    return place.state()


@pytest.mark.parametrize(
    ("limit", "num_batches", "position"),
    [(10, 3, 3), (10, 10, 0), (4, 3, 3), (4, 4, 0), (math.inf, 3, 3), (0, 3, 3)],
)
def test_the_end_of_a_limited_epoch_is_the_start_of_the_next(limit, num_batches, position):
    state = trained(limit, num_batches)
    assert state == {"position": position, "settings": {"seed": 1}}
    place = EpochPlace(SimpleNamespace(trainer=None), lambda: {"seed": 1})
    place.load(state)
    batches = buckets()
    place.start(batches)
    assert [batch.rows for batch in batches] == [b.rows for b in buckets()][position:]


def test_other_settings_matter_within_an_epoch_only():
    place = EpochPlace(SimpleNamespace(trainer=None), lambda: {"seed": 2})
    place.load({"position": 0, "settings": {"seed": 1}})
    place.start(buckets())
    with refuses(
        "the checkpoint was saved in the middle of an epoch with seed=1 (now 2); resume with the "
        "saved settings, or from a checkpoint saved at the end of an epoch"
    ):
        place.load({"position": 3, "settings": {"seed": 1}})
