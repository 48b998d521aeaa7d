"""Synthetic sequences: new in training, fixed in evaluation, divided among ranks, resumable."""

from types import SimpleNamespace

import pytest
import torch

from datamodules.long_memory.datamodule import LongMemoryData
from pipeline.errors import InputError
from pipeline.synthetic import Adding, Copying, Problem


def data(problem=None, rank=0, world_size=1, epoch=0, **settings):
    settings = {"batch_size": 6, "num_batches": 4, "num_valid": 25, "num_test": 7, **settings}
    built = LongMemoryData(problem or Adding(8), eval_batch_size=10, **settings)
    built.trainer = SimpleNamespace(
        global_rank=rank,
        world_size=world_size,
        current_epoch=epoch,
        num_training_batches=4,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )
    return built


def inputs(batches):
    return [batch.inputs for batch in batches]


def test_no_sequence_comes_twice_and_the_same_ones_each_time():
    seen = [
        batch
        for seed in (1, 2)
        for epoch in (0, 1)
        for batch in inputs(data(epoch=epoch, seed=seed).train_dataloader())
    ]
    seen += inputs(data().val_dataloader()) + inputs(data().test_dataloader())
    rows = torch.cat(seen).flatten(1)
    assert len(rows) == 4 * 24 + 25 + 7
    assert len(torch.unique(rows, dim=0)) == len(rows)
    again = inputs(data(epoch=1).train_dataloader())
    assert torch.equal(torch.cat(again), torch.cat(seen[4:8]))


def test_what_is_tested_on_does_not_depend_on_the_seed_or_the_epoch():
    for name in ("val_dataloader", "test_dataloader", "predict_dataloader"):
        one = torch.cat(inputs(getattr(data(seed=1), name)()))
        other = torch.cat(inputs(getattr(data(seed=5, epoch=3), name)()))
        assert torch.equal(one, other)


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("world_size", [2, 3])
def test_the_batches_of_all_ranks_are_those_of_one_process(split, world_size):
    def batches(**place):
        return list(getattr(data(**place), f"{split}_dataloader")())

    whole = batches()
    shares = [batches(rank=rank, world_size=world_size) for rank in range(world_size)]
    for index, batch in enumerate(whole):
        parts = [share[index] for share in shares]
        assert torch.equal(torch.cat([part.inputs for part in parts]), batch.inputs)
        assert torch.equal(torch.cat([part.targets for part in parts]), batch.targets)
        for part in parts:
            assert part.targets_per_rank == pytest.approx(len(batch.inputs) / world_size)
            assert part.tokens_per_rank == pytest.approx(8 * len(batch.inputs) / world_size)


def test_going_on_from_the_middle_of_an_epoch():
    first = data(epoch=2)
    batches = first.train_dataloader()
    iterator = iter(batches)
    next(iterator), next(iterator)
    state = first.state_dict()
    assert state["position"] == 2
    assert Problem.from_state(state["problem"]).state() == {"kind": "adding", "length": 8}
    other = data(epoch=2)
    other.load_state_dict(state)
    rest = inputs(other.train_dataloader())
    assert torch.equal(torch.cat(rest), torch.cat(inputs(batches)[2:]))
    assert other.state_dict()["position"] == 0
    changed = data(batch_size=5)
    changed.load_state_dict(state)
    with pytest.raises(InputError, match=r"middle of an epoch with batch_size=6 \(now 5\); "):
        changed.train_dataloader()
    with pytest.raises(InputError, match=r"problem adding\(length=8\), not on copying\(delay=3, "):
        data(Copying(3)).load_state_dict(state)


def test_an_unknown_kind_of_problem():
    with pytest.raises(InputError, match=r"^unknown problem 'sorting'; known problems: adding, "):
        Problem.from_state({"kind": "sorting"})


def test_the_line_of_each_sequence():
    built = data(Copying(delay=1, num_symbols=2, alphabet=2))
    batch = next(iter(built.test_dataloader()))
    lines = list(built.lines(batch, batch.targets))
    assert len(lines) == 7
    for line in lines:
        gold, answer = line.split("\t")
        assert gold == answer
        assert gold.split()[:3] == ["2", "2", "2"]


def test_impossible_sizes():
    with pytest.raises(InputError, match="num_valid must be at least 1, got 0"):
        LongMemoryData(Adding(8), num_valid=0)
    with pytest.raises(InputError, match="6 sequences cannot be divided among 7 processes"):
        data(world_size=7).train_dataloader()
