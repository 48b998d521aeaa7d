"""Random states: one for each rank, and restored after a resume."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningModule

from pipeline.callbacks.random_state import RandomState

MODEL = LightningModule()


def on_rank(rank, world_size):
    return SimpleNamespace(global_rank=rank, world_size=world_size)


def draw(callback, rank, world_size, seed=7):
    torch.manual_seed(seed)
    callback.on_train_start(on_rank(rank, world_size), MODEL)
    return torch.rand(3).tolist()


def test_each_rank_draws_other_numbers():
    drawn = [draw(RandomState(), rank, 3) for rank in range(3)]
    expected = []
    for rank in range(3):
        torch.manual_seed(7 + rank)
        expected.append(torch.rand(3).tolist())
    assert drawn == expected
    assert drawn[0] != drawn[1] != drawn[2]


def test_a_lone_process_keeps_its_state():
    torch.manual_seed(7)
    torch.rand(5)
    expected = torch.get_rng_state()
    RandomState().on_train_start(on_rank(0, 1), MODEL)
    assert torch.equal(torch.get_rng_state(), expected)


def test_each_rank_goes_on_where_it_stopped(monkeypatch):
    states = []
    for rank in range(2):
        torch.manual_seed(100 + rank)
        states.append([torch.get_rng_state()])

    def gather(found, own):
        assert torch.equal(own[0], states[1][0])
        found[:] = states

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    checkpoint = {}
    RandomState().on_save_checkpoint(on_rank(1, 2), MODEL, checkpoint)
    assert checkpoint["random_states"] == states
    for rank in range(2):
        callback = RandomState()
        callback.on_load_checkpoint(on_rank(rank, 2), MODEL, checkpoint)
        found = draw(callback, rank, 2)
        torch.manual_seed(100 + rank)
        assert found == torch.rand(3).tolist()
        assert draw(callback, rank, 2) != found  # a second training is seeded anew


def test_a_lone_process_is_restored():
    checkpoint = {}
    torch.manual_seed(11)
    RandomState().on_save_checkpoint(on_rank(0, 1), MODEL, checkpoint)
    expected = torch.rand(3).tolist()
    callback = RandomState()
    callback.on_load_checkpoint(on_rank(0, 1), MODEL, checkpoint)
    assert draw(callback, 0, 1) == expected


def test_another_number_of_processes_is_told():
    callback = RandomState()
    callback.on_load_checkpoint(on_rank(0, 1), MODEL, {"random_states": [[torch.get_rng_state()]]})
    with pytest.warns(UserWarning, match=r"^resumed with 2 processes instead of 1: dropout masks"):
        callback.on_train_start(on_rank(0, 2), MODEL)


def test_a_checkpoint_without_states_seeds():
    callback = RandomState()
    callback.on_load_checkpoint(on_rank(1, 2), MODEL, {})
    found = draw(callback, 1, 2)
    torch.manual_seed(8)
    assert found == torch.rand(3).tolist()


def test_the_state_of_a_gpu_is_saved_and_restored(monkeypatch):
    device = torch.device("cuda", 1)
    on_gpu, restored, checkpoint = SimpleNamespace(device=device), [], {}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: f"state of {device}")
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda *state: restored.append(state))
    RandomState().on_save_checkpoint(on_rank(0, 1), on_gpu, checkpoint)
    [[on_host, of_gpu]] = checkpoint["random_states"]
    assert torch.equal(on_host, torch.get_rng_state())
    assert of_gpu == "state of cuda:1"
    for states, module in (
        ([[on_host, of_gpu]], on_gpu),
        ([[on_host, of_gpu]], MODEL),  # goes on on a CPU
        ([[on_host]], on_gpu),  # comes from a CPU
    ):
        callback = RandomState()
        callback.on_load_checkpoint(on_rank(0, 1), module, {"random_states": states})
        torch.manual_seed(0)
        callback.on_train_start(on_rank(0, 1), module)
        assert torch.equal(torch.get_rng_state(), on_host)
    assert restored == [("state of cuda:1", device)]
