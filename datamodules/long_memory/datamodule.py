"""Problems of memory as data: made up from a seed, never stored."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from lightning.pytorch import LightningDataModule
from torch import Tensor

from datamodules.batching.resumable import Numbered
from pipeline.batches import Series, column_share
from pipeline.errors import InputError
from pipeline.synthetic import Problem

_TRAIN, _VALID, _TEST = 0, 1, 2


class LongMemoryData(LightningDataModule):
    """A problem in batches.

    Training never sees a sequence twice: the k-th batch of an epoch is a function of the seed, the
    epoch and k. What is validated and tested on is the same for all seeds. All ranks together make
    the batches of a single process.

    A checkpoint keeps the position in the epoch.

    Args:
        problem: makes the sequences up.
        batch_size: sequences of a training batch, over all ranks.
        num_batches: training batches of an epoch.
        num_valid: sequences to validate on.
        num_test: sequences to test on.
        eval_batch_size: most sequences of a batch in evaluation; for another number other
            sequences are made up, so scores are comparable between runs of one.
        seed: of the training sequences, which `seed_everything` does not set.

    Raises:
        InputError: a number is below 1, or the seed below 0.
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
                raise InputError(f"{name} is {size}; 1 or more is expected")
        if seed < 0:
            raise InputError(f"seed is {seed}; 0 or more is expected")
        self._problem, self._seed = problem, seed
        self._batch_size, self._num_batches = batch_size, num_batches
        self._num_valid, self._num_test = num_valid, num_test
        self._eval_batch_size = eval_batch_size
        self._train: MadeUp | None = None
        self._resumed: dict[str, Any] | None = None

    @property
    def problem(self) -> Problem:
        """What is asked, and how it is scored."""
        return self._problem

    @property
    def name(self) -> str:  # type: ignore[override]  # None in Lightning, which never sets it
        """The problem's name."""
        return self.problem.name

    @property
    def summary(self) -> str:
        """How long sequences are, and how many."""
        return (
            f"{self.problem.num_steps:,} steps a sequence; an epoch of "
            f"{self._num_batches * self._batch_size:,} new ones, valid {self._num_valid:,}, "
            f"test {self._num_test:,}"
        )

    def describe(self) -> list[Any]:
        """Tells what each split holds: there are no files."""
        return []

    def texts(self) -> dict[str, str]:
        """Gives what the run keeps: nothing."""
        return {}

    def lines(self, batch: Series, outputs: Tensor) -> Iterator[str]:
        """Gives what was asked for and what was answered, TAB between them, a line a sequence.

        Args:
            batch: the sequences.
            outputs: answers, of the shape of its targets.
        """
        for target, answer in zip(batch.targets.tolist(), outputs.tolist(), strict=True):
            yield "\t".join(" ".join(f"{number:g}" for number in one) for one in (target, answer))

    def train_dataloader(self) -> "MadeUp":
        """Gives this rank's share of new sequences, from a loaded checkpoint's position."""
        sizes = [self._batch_size] * self._num_batches
        self._train = self._made_up(sizes, lambda: (_TRAIN, self._seed, self._epoch()))
        self._resume(self._train)
        return self._train

    def val_dataloader(self) -> "MadeUp":
        """Gives this rank's share of the validation sequences."""
        return self._held_out(self._num_valid, _VALID)

    def test_dataloader(self) -> "MadeUp":
        """Gives this rank's share of the test sequences."""
        return self._held_out(self._num_test, _TEST)

    def predict_dataloader(self) -> "MadeUp":
        """Gives the test sequences."""
        return self._held_out(self._num_test, _TEST)

    def state_dict(self) -> dict[str, Any]:
        """Gives the next training batch, and what an epoch is made of: plain data."""
        position = self._train.position if self._train else 0
        batches = self.trainer.num_training_batches if self.trainer else 0
        if isinstance(batches, int) and batches:  # limit_train_batches ends an epoch early
            position %= batches
        return {"position": position, **self._cut}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave.

        Args:
            state_dict: the state.

        Raises:
            InputError: the state is of another problem, or in the middle of an epoch that was made
                up otherwise.
        """
        if state_dict["problem"] != self.name:
            raise InputError(
                f"the checkpoint is of the problem {state_dict['problem']}, and this is "
                f"{self.name}; give the problem that it was trained on"
            )
        self._resumed = state_dict
        if self._train is not None:  # a schedule may ask for the length before the state is read
            self._resume(self._train)

    def _resume(self, batches: "MadeUp") -> None:
        state, self._resumed = self._resumed, None
        if state is None:
            return
        for name, value in self._cut.items():
            if state["position"] and state[name] != value:
                raise InputError(
                    f"the checkpoint is in the middle of an epoch with {name}={state[name]}, and "
                    f"{name} is now {value}; go on with {name}={state[name]}, or from a "
                    "checkpoint at the end of an epoch"
                )
        batches.position = state["position"]

    @property
    def _cut(self) -> dict[str, Any]:
        return {
            "problem": self.name,
            "batch_size": self._batch_size,
            "num_batches": self._num_batches,
            "seed": self._seed,
        }

    def _epoch(self) -> int:
        return self.trainer.current_epoch if self.trainer else 0

    def _held_out(self, count: int, split: int) -> "MadeUp":
        num_batches = -(-count // self._eval_batch_size)
        bounds = np.arange(num_batches + 1) * count // num_batches
        return self._made_up(np.diff(bounds).tolist(), lambda: (split, 0, 0))

    def _made_up(self, sizes: list[int], seed: Callable[[], tuple[int, ...]]) -> "MadeUp":
        trainer = self.trainer
        rank, world_size = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        if min(sizes) < world_size:
            raise InputError(
                f"{min(sizes)} sequences of a batch cannot be shared by {world_size} processes; "
                "each needs one: make batches larger or use fewer devices"
            )
        return MadeUp(self.problem, sizes, seed, rank, world_size)


class MadeUp(Numbered[Series]):
    """Batches of a problem that one rank gets.

    Args:
        problem: makes the sequences up.
        sizes: sequences of each batch, over all ranks; each rank gets one at least.
        seed: tells what the batches are a function of, when iterating begins.
        rank: this process.
        world_size: processes.
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
        """Gives the number of batches."""
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
