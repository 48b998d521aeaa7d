"""Synthetic long-memory problems, generated from a seed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from lightning.pytorch import LightningDataModule
from torch import Tensor

from datamodules.batching.epoch_place import EpochPlace
from datamodules.batching.resumable import ResumableBatches
from pipeline.batches import Series, column_share
from pipeline.errors import InputError
from pipeline.synthetic import Problem

_TRAIN, _VALID, _TEST = 0, 1, 2


class LongMemoryData(LightningDataModule):
    """A datamodule that generates the sequences of a synthetic problem.

    No training sequence occurs twice: batch k of an epoch is a function of the seed, the epoch and
    k. The validation and test sequences are the same for all seeds. The batches of all ranks
    together are those of a single process. A checkpoint contains the problem and the position in
    the epoch.

    Args:
        problem: The problem, which generates the sequences.
        batch_size: Number of sequences of a training batch, over all ranks.
        num_batches: Number of training batches in an epoch.
        num_valid: Number of validation sequences.
        num_test: Number of test sequences.
        eval_batch_size: Maximum number of sequences of an evaluation batch. It determines which
            sequences are generated, so only runs with the same value can be compared.
        seed: Random seed of the training sequences, independent of `seed_everything`.

    Raises:
        InputError: If a number is below 1, or the seed is below 0.

    Example:
        >>> from pipeline.synthetic import Adding
        >>> data = LongMemoryData(Adding(length=8), batch_size=2, num_batches=3)
        >>> batch = next(iter(data.train_dataloader()))
        >>> value, marker = batch.inputs.unbind(-1)
        >>> bool((value * marker).sum(1, keepdim=True).allclose(batch.targets))
        True
    """

    def __init__(
        self,
        problem: Problem,
        batch_size: int = 32,
        num_batches: int = 200,
        num_valid: int = 1000,
        num_test: int = 10_000,
        eval_batch_size: int = 500,
        seed: int = 1,
    ) -> None:
        super().__init__()
        sizes = {
            "batch_size": batch_size,
            "num_batches": num_batches,
            "num_valid": num_valid,
            "num_test": num_test,
            "eval_batch_size": eval_batch_size,
        }
        for name, size in sizes.items():
            if size < 1:
                raise InputError(f"{name} must be at least 1, got {size}")
        if seed < 0:
            raise InputError(f"seed must be at least 0, got {seed}")
        self._problem, self._seed = problem, seed
        self._batch_size, self._num_batches = batch_size, num_batches
        self._num_valid, self._num_test = num_valid, num_test
        self._eval_batch_size = eval_batch_size
        self._place = EpochPlace(self, self._epoch_settings)

    @property
    def problem(self) -> Problem:
        """The problem, which generates and scores sequences."""
        return self._problem

    @property
    def name(self) -> str:  # type: ignore[override]  # None in Lightning, which never sets it
        """Name of the problem."""
        return self.problem.name

    @property
    def summary(self) -> str:
        """Length and number of the sequences."""
        return (
            f"{self.problem.num_steps:,} steps per sequence; sequences: train "
            f"{self._num_batches * self._batch_size:,} new ones per epoch, valid "
            f"{self._num_valid:,}, test {self._num_test:,}"
        )

    def describe(self) -> list[Any]:
        """Returns an empty list, because there are no files."""
        return []

    def texts(self) -> dict[str, str]:
        """Returns an empty dict, because a run stores no text of a problem."""
        return {}

    def lines(self, batch: Series, outputs: Tensor) -> Iterator[str]:
        """Yields one line per sequence: target and answer, separated by TAB."""
        for target, answer in zip(batch.targets.tolist(), outputs.tolist(), strict=True):
            yield "\t".join(" ".join(f"{number:g}" for number in one) for one in (target, answer))

    def train_dataloader(self) -> "SyntheticBatches":
        """Returns this rank's part of new sequences, from the position of a loaded checkpoint."""
        sizes = [self._batch_size] * self._num_batches
        batches = self._batches(sizes, lambda: (_TRAIN, self._seed, self._place.epoch()))
        self._place.start(batches)
        return batches

    def val_dataloader(self) -> "SyntheticBatches":
        """Returns this rank's part of the validation sequences."""
        return self._eval_batches(self._num_valid, _VALID)

    def check_processes(self, world_size: int) -> None:
        """See `pipeline.contracts.ChecksProcesses`."""
        self._check([self._batch_size], world_size)

    def test_dataloader(self) -> "SyntheticBatches":
        """Returns this rank's part of the test sequences."""
        return self._eval_batches(self._num_test, _TEST)

    def predict_dataloader(self) -> "SyntheticBatches":
        """Returns the same batches as `test_dataloader`."""
        return self.test_dataloader()

    def state_dict(self) -> dict[str, Any]:
        """Returns the problem and the position in the epoch, as plain data."""
        return {**self._place.state(), "problem": self.problem.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the position in the epoch.

        Raises `InputError` if the state is of another problem or of an epoch with other settings.
        """
        if state_dict["problem"] != self.problem.state():
            raise InputError(
                f"the checkpoint was trained on the problem {_shown(state_dict['problem'])}, not "
                f"on {_shown(self.problem.state())}; use the problem of the checkpoint"
            )
        self._place.load(state_dict)

    def _epoch_settings(self) -> dict[str, Any]:
        return {
            "batch_size": self._batch_size,
            "num_batches": self._num_batches,
            "seed": self._seed,
        }

    def _eval_batches(self, count: int, split: int) -> "SyntheticBatches":
        num_batches = -(-count // self._eval_batch_size)
        bounds = np.arange(num_batches + 1) * count // num_batches
        batches = self._batches(np.diff(bounds).tolist(), lambda: (split, 0, 0))
        batches.map = self._place.lazy_map()
        return batches

    def _batches(self, sizes: list[int], seed: Callable[[], tuple[int, ...]]) -> "SyntheticBatches":
        rank, world_size = self._place.ranks
        self._check(sizes, world_size)
        return SyntheticBatches(self.problem, sizes, seed, rank, world_size)

    @staticmethod
    def _check(sizes: list[int], world_size: int) -> None:
        if min(sizes) < world_size:
            raise InputError(
                f"a batch of {min(sizes)} sequences cannot be divided among {world_size} processes,"
                " at least one for each; make batches larger or use fewer devices"
            )


def _shown(problem: Mapping[str, Any]) -> str:
    settings = ", ".join(f"{name}={value}" for name, value in problem.items() if name != "kind")
    return f"{problem['kind']}({settings})"


class SyntheticBatches(ResumableBatches[Series]):
    """One rank's part of the batches of a synthetic problem.

    `sizes` are numbers of sequences over all ranks, at least one per rank. `seed` returns the
    numbers that determine the batches; it is called when iteration begins.
    """

    def __init__(
        self,
        problem: Problem,
        sizes: Sequence[int],
        seed: Callable[[], tuple[int, ...]],
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__()
        self._problem, self._sizes, self._seed = problem, sizes, seed
        self._rank, self._world_size = rank, world_size

    def __len__(self) -> int:
        """Returns the number of batches."""
        return len(self._sizes)

    def _epoch(self) -> Callable[[int], Series]:
        seed = self._seed()
        return lambda index: self._batch((*seed, index), self._sizes[index])

    def _batch(self, seed: tuple[int, ...], size: int) -> Series:
        examples = self._problem.draw(np.random.default_rng(seed), size)
        share = column_share(size, self._rank, self._world_size)
        per_rank = size / self._world_size
        return Series(
            examples.inputs[share],
            examples.targets[share],
            per_rank,
            per_rank * self._problem.num_steps,
        )
