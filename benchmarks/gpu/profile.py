"""Measures training steps on a device: time, kernel launches, busy time and waits of the host."""

import json
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

_LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch")


class WaitCounter:
    """Counts the calls by which the host waits for the GPU.

    It uses `torch.cuda.set_sync_debug_mode`, which does not see waits inside of libraries. On a
    machine without a GPU it counts nothing.
    """

    def __init__(self) -> None:
        self.count = 0
        self._catcher: Any = None
        self._seen: list[warnings.WarningMessage] = []

    def start(self) -> None:
        """Starts to count."""
        if torch.cuda.is_available():
            self._catcher = warnings.catch_warnings(record=True)
            self._seen = self._catcher.__enter__()
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")

    def stop(self) -> None:
        """Stops counting and adds what was seen to `count`."""
        if self._catcher is not None:
            torch.cuda.set_sync_debug_mode("default")
            self._catcher.__exit__(None, None, None)
            self._catcher = None
            self.count += sum("synchronizing CUDA" in str(each.message) for each in self._seen)


class Activity:
    """Counts kernel launches and adds up the time in which the GPU is busy.

    Attributes:
        launches: Number of launches of kernels and of CUDA graphs.
        busy: Seconds of all kernels and copies.
    """

    def __init__(self) -> None:
        self.launches, self.busy = 0, 0.0
        kinds = [ProfilerActivity.CPU]
        if torch.cuda.is_available():
            kinds.append(ProfilerActivity.CUDA)
        self._profile = profile(activities=kinds)

    def start(self) -> None:
        """Starts to record."""
        synchronize()
        self._profile.start()

    def stop(self) -> None:
        """Stops recording and sets the attributes."""
        synchronize()
        self._profile.stop()
        for event in self._profile.events() or []:
            if event.name.startswith(_LAUNCHES):
                self.launches += 1
            is_note = getattr(event, "is_user_annotation", False)
            if event.device_type == DeviceType.CUDA and not is_note:
                self.busy += event.self_device_time_total / 1e6


class StepProfile(Callback):
    """Profiles the steps of a training and writes the result as JSON, then stops the training.

    After `warm_up` steps, it measures the waits of `counted` steps, then the kernels of `profiled`
    steps, then the time of `timed` steps.

    Args:
        path: JSON file to write.
        warm_up: Number of first steps to exclude.
        counted: Number of steps whose waits are counted.
        profiled: Number of steps whose kernels are recorded.
        timed: Number of steps whose time is measured.
    """

    def __init__(
        self, path: str, warm_up: int = 20, counted: int = 50, profiled: int = 5, timed: int = 60
    ) -> None:
        self.path = Path(path)
        self.sizes = {"counted": counted, "profiled": profiled, "timed": timed}
        self._at = {
            warm_up: self._start_counting,
            warm_up + counted: self._start_profiling,
            warm_up + counted + profiled: self._start_timing,
            warm_up + counted + profiled + timed: self._finish,
        }
        self._steps = 0
        self._waits, self._activity = WaitCounter(), Activity()
        self._start = 0.0

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """See `Callback`."""
        self._steps += 1
        if act := self._at.get(self._steps):
            act(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, _: BaseException) -> None:
        """See `Callback`."""
        self._waits.stop()

    def _start_counting(self, _: Trainer) -> None:
        self._waits.start()

    def _start_profiling(self, _: Trainer) -> None:
        self._waits.stop()
        self._activity.start()

    def _start_timing(self, _: Trainer) -> None:
        self._activity.stop()
        synchronize()
        self._start = time.perf_counter()

    def _finish(self, trainer: Trainer) -> None:
        synchronize()
        seconds = (time.perf_counter() - self._start) / self.sizes["timed"]
        measured = {
            "ms": seconds * 1e3,
            "launches": self._activity.launches / self.sizes["profiled"],
            "busy": self._activity.busy / self.sizes["profiled"] / seconds,
            "waits": self._waits.count / self.sizes["counted"],
        }
        self.path.write_text(json.dumps(measured), encoding="utf-8")
        trainer.should_stop = True


def synchronize() -> None:
    """Waits until the GPU, if there is one, has done all work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
