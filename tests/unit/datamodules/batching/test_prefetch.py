"""Prefetching: the batches, positions and random numbers of `map`, from a thread."""

import random
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule

from datamodules.batching import prefetch as module
from datamodules.batching.buckets import Buckets
from datamodules.batching.encode import Batches
from datamodules.batching.epoch_place import EpochPlace
from datamodules.batching.prefetch import Prefetch
from datamodules.files.paths import COLORS
from datamodules.language_model.datamodule import LanguageModelData
from datamodules.language_model.streams import Streams
from datamodules.long_memory.datamodule import LongMemoryData
from datamodules.sentiment.builtin import BuiltinReviews
from datamodules.sentiment.datamodule import SentimentData
from datamodules.tagging.builtin import BuiltinOpinions
from datamodules.tagging.datamodule import TaggingData
from pipeline.batches import StreamWindow
from pipeline.synthetic import Adding
from tests.examples import quiet_trainer

DEVICE = torch.device("cuda", 1)


class Pinned(torch.Tensor):
    """Stands for a tensor in pinned memory."""


@pytest.fixture(autouse=True)
def gpu(monkeypatch):
    """Simulates pinning; returns the devices that threads selected."""
    selected = []
    monkeypatch.setattr(module, "_pin", lambda tensor: tensor.as_subclass(Pinned))
    monkeypatch.setattr(torch.cuda, "set_device", selected.append)
    return selected


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def wait_for_the_end():
    for thread in threads():
        thread.join(timeout=10)
    assert threads() == []


def plain(batch):
    """The fields of a batch, with tensors as lists."""
    return [x.tolist() if isinstance(x, torch.Tensor) else x for x in batch]


def streams():
    return Streams(np.arange(1, 200, dtype=np.int32), eos_id=0, batch_size=3, bptt=5)


def test_results_are_those_of_map(gpu):
    results = list(Prefetch(DEVICE)(lambda index: torch.tensor([index, index**2]), range(3, 40)))
    assert [result.tolist() for result in results] == [[i, i * i] for i in range(3, 40)]
    assert all(isinstance(result, Pinned) for result in results)
    assert gpu == [DEVICE]
    wait_for_the_end()


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_results(count):
    assert list(Prefetch(DEVICE)(str, range(count))) == [str(index) for index in range(count)]
    wait_for_the_end()


def test_tensors_of_named_tuples_are_pinned():
    window = StreamWindow(torch.ones(1, 2), torch.zeros(1, 2), 2.0, afresh=True)
    (pinned,) = Prefetch(DEVICE)(lambda index: window, range(1))
    assert type(pinned) is StreamWindow
    assert plain(pinned) == plain(window)
    assert isinstance(pinned.tokens, Pinned)
    assert isinstance(pinned.targets, Pinned)


@pytest.mark.parametrize("num_ahead", [1, 2, 5])
def test_results_are_prepared_ahead_but_not_further(num_ahead):
    started = threading.Semaphore(0)
    count = 0

    def make(index):
        nonlocal count
        count += 1
        started.release()
        return index

    results = Prefetch(DEVICE, num_ahead)(make, range(20))
    assert count == 0
    for used in range(3):
        assert next(results) == used
        for _ in range(num_ahead + 1 if used == 0 else 1):
            assert started.acquire(timeout=10)
        assert count == used + 1 + num_ahead
    results.close()
    wait_for_the_end()


def test_an_exception_comes_in_place_of_its_result():
    def make(index):
        if index == 4:
            raise OSError("the file is gone")
        return index

    results = Prefetch(DEVICE)(make, range(9))
    assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(OSError, match="the file is gone"):
        next(results)
    wait_for_the_end()
    assert list(results) == []


def test_the_thread_ends_when_iteration_is_stopped():
    for _ in zip(range(2), streams_ahead(), strict=False):
        assert threads()
    wait_for_the_end()
    with pytest.raises(ZeroDivisionError):
        [1 / (window is None) for window in streams_ahead()]
    wait_for_the_end()


def streams_ahead():
    windows = streams()
    windows.map = Prefetch(DEVICE)
    return windows


def test_position_counts_the_batches_in_use():
    windows, ahead = streams(), streams_ahead()
    for window, early in zip(windows, ahead, strict=True):
        assert plain(window) == plain(early)
        assert windows.position == ahead.position
    assert ahead.position == 0
    ahead.position = 4
    resumed = [plain(window) for window in ahead]
    assert resumed == [plain(window) for window in windows][4:]
    assert [plain(window) for window in ahead] == [plain(window) for window in windows]


def test_encoded_rows_are_prepared_in_the_thread():
    names = []

    class Encoded:
        lengths = (3, 1, 4, 1, 5, 9, 2, 6)

        def batch(self, share, world_size):
            names.append(threading.current_thread().name)
            return share.rows

    buckets = Buckets(Encoded.lengths, 2, shuffle=True, seed=1)
    expected = list(Batches(Encoded(), buckets, 1, lambda: 3))
    buckets.map = Prefetch(DEVICE)
    assert list(Batches(Encoded(), buckets, 1, lambda: 3)) == expected
    assert [name.partition("_")[0] for name in names] == 4 * ["MainThread"] + 4 * ["batches"]


def test_random_numbers_of_the_process_are_not_used():
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    for make in DATA.values():
        list(loaders(make(), Prefetch(DEVICE))["train"])
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert (np.random.get_state()[1] == states[2]).all()


DATA = {
    "stream": lambda: LanguageModelData(batch_size=4, bptt=70),
    "random": lambda: LanguageModelData(batch_size=4, bptt=70, random_bptt=True),
    "list": lambda: LanguageModelData(COLORS, unit="character", batch_size=50),
    "tagging": lambda: TaggingData(BuiltinOpinions(num_train=60), batch_size=10),
    "sentiment": lambda: SentimentData(BuiltinReviews(num_train=60)),
    "memory": lambda: LongMemoryData(
        Adding(length=8), batch_size=4, num_batches=6, num_valid=9, num_test=9, eval_batch_size=3
    ),
}


def loaders(data, lazy_map):
    """All loaders of a datamodule."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EpochPlace, "lazy_map", lambda self: lazy_map)
        names = ("train", "val", "test", "predict")
        return {name: getattr(data, f"{name}_dataloader")() for name in names}


@pytest.mark.parametrize("name", DATA)
def test_all_loaders_prefetch(name):
    for split, loader in loaders(DATA[name](), Prefetch(DEVICE)).items():
        expected = loaders(DATA[name](), map)[split]
        for batch, early in zip(expected, loader, strict=True):
            assert plain(batch) == plain(early)
            assert isinstance(early[0], Pinned)
    wait_for_the_end()


@pytest.mark.parametrize(("device", "kind"), [("cpu", map), ("cuda", Prefetch), ("mps", map)])
def test_only_a_gpu_needs_a_thread(device, kind):
    strategy = SimpleNamespace(root_device=torch.device(device))
    data = SimpleNamespace(trainer=SimpleNamespace(strategy=strategy))
    lazy_map = EpochPlace(data, dict).lazy_map()
    assert lazy_map is map if kind is map else isinstance(lazy_map, Prefetch)
    assert EpochPlace(SimpleNamespace(trainer=None), dict).lazy_map() is map


class Recorder(LightningModule):
    """Trains nothing; records what it reads, and can stop within an epoch."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen, self.stop_at, self.checkpoint = [], stop_at, None

    def training_step(self, batch):
        self.seen.append(plain(batch))
        return self.weight.sum()

    def on_train_batch_end(self, outputs, batch, batch_idx):
        if self.global_step == self.stop_at:
            self.trainer.save_checkpoint(self.checkpoint)
            raise KeyError

    def validation_step(self, batch):
        self.seen.append(plain(batch))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(model, data, lazy_map, checkpoint=None):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EpochPlace, "lazy_map", lambda self: lazy_map)
        trainer = quiet_trainer(
            max_epochs=3, limit_val_batches=2, num_sanity_val_steps=0, use_distributed_sampler=False
        )
        trainer.fit(model, datamodule=data, ckpt_path=checkpoint)


@pytest.mark.parametrize("name", ["random", "tagging", "memory"])
def test_training_resumes_within_an_epoch(name, tmp_path):
    whole = Recorder()
    fit(whole, DATA[name](), map)
    begun, resumed = Recorder(stop_at=8), Recorder()
    begun.checkpoint = tmp_path / "last.ckpt"
    with pytest.raises(KeyError):
        fit(begun, DATA[name](), Prefetch(DEVICE))
    fit(resumed, DATA[name](), Prefetch(DEVICE), begun.checkpoint)
    assert begun.seen + resumed.seen == whole.seen
    wait_for_the_end()
