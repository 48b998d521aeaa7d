"""Synthetic problems that test whether a network can keep information over many steps."""

import abc
import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from pipeline.errors import InputError
from pipeline.metrics import CopyScores, SumScores


class Examples(NamedTuple):
    """Generated sequences with the targets of their last steps."""

    inputs: Tensor  # input sequences, float32 [row time input]
    targets: Tensor  # targets of the last steps [row answer ...]


class Problem(abc.ABC):
    """Abstract base class of synthetic problems, whose examples are generated.

    Attributes:
        kind: Name of the class in `state`, such as "adding"; it differs between classes.
        input_size: Number of features of a step.
        output_size: Number of outputs of an answer.
        num_steps: Number of steps in a sequence.
        num_answers: Number of steps at the end of a sequence with an answer.
        name: Name of the problem in run names, such as "adding-150".
        monitor: Validation score that selects the best checkpoint.
        monitor_mode: Whether a lower ("min") or higher ("max") score is better.
    """

    kind: ClassVar[str]
    input_size: int
    output_size: int
    num_steps: int
    num_answers: int
    name: str
    monitor: ClassVar[str]
    monitor_mode: ClassVar[str]

    @abc.abstractmethod
    def draw(self, random: np.random.Generator, count: int) -> Examples:
        """Generates `count` examples."""

    @abc.abstractmethod
    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss of each sequence [row] for answers [row answer output] and targets."""

    @abc.abstractmethod
    def chosen(self, outputs: Tensor) -> Tensor:
        """Converts answers [row answer output] to predictions in the shape of `targets`."""

    @abc.abstractmethod
    def scores(self) -> Metric:
        """Returns a metric with `update(outputs, targets)` whose `compute` returns a dict."""

    @abc.abstractmethod
    def settings(self) -> dict[str, int]:
        """Returns the arguments of the constructor."""

    def state(self) -> dict[str, Any]:
        """Returns the kind and the settings as plain data, for `from_state`."""
        return {"kind": self.kind, **self.settings()}

    @staticmethod
    def from_state(state: Mapping[str, Any]) -> "Problem":
        """Rebuilds a problem from the result of `state`.

        Raises an `InputError` if no imported subclass is of this kind.
        """
        classes = {cls.kind: cls for cls in Problem.__subclasses__()}
        settings = dict(state)
        kind = settings.pop("kind")
        if kind not in classes:
            raise InputError(f"unknown problem {kind!r}; known problems: {', '.join(classes)}")
        return classes[kind](**settings)


class Adding(Problem):
    """The adding problem: two numbers of a sequence are marked; the target is their sum.

    A step is (value, marker). Values are uniform in [0, 1]. Two markers are 1, one in each half of
    the sequence; the others are 0. This is the version of Arjovsky et al. (2016, arXiv 1511.06464,
    section 5.2). Le et al. (2015, arXiv 1504.00941, section 4.1) do not mention the halves.
    Hochreiter and Schmidhuber (1997, section 5.4) use values in [-1, 1], the first marker among the
    first ten steps, and lengths that vary by a tenth.

    The loss is the squared error. Always answering 1, the mean, has a loss of 1/6 = 0.1667, the
    variance of the sum of two such numbers.

    Args:
        length: Number of steps in a sequence.

    Raises:
        ValueError: If `length` is below 2.

    Example:
        >>> examples = Adding(length=10).draw(np.random.default_rng(0), count=1)
        >>> values, markers = examples.inputs[0].unbind(dim=-1)
        >>> torch.equal((values * markers).sum(), examples.targets[0, 0])
        True
    """

    kind = "adding"
    input_size, output_size, num_answers = 2, 1, 1
    monitor, monitor_mode = "val/mse", "min"

    def __init__(self, length: int = 150) -> None:
        if length < 2:
            raise ValueError(f"length of Adding must be at least 2, got {length}")
        self.num_steps, self.name = length, f"adding-{length}"

    def draw(self, random: np.random.Generator, count: int) -> Examples:
        """See `Problem`; targets are sums [row 1]."""
        half = self.num_steps // 2
        rows = np.arange(count)
        inputs = np.zeros((count, self.num_steps, 2), dtype=np.float32)
        inputs[:, :, 0] = random.random((count, self.num_steps), dtype=np.float32)
        for first, end in ((0, half), (half, self.num_steps)):
            inputs[rows, random.integers(first, end, count), 1] = 1
        sums = (inputs[:, :, 0] * inputs[:, :, 1]).sum(axis=1, keepdims=True)
        return Examples(torch.from_numpy(inputs), torch.from_numpy(sums))

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """See `Problem`: squared errors."""
        return (outputs.squeeze(-1) - targets).square().squeeze(-1)

    def chosen(self, outputs: Tensor) -> Tensor:
        """See `Problem`: sums [row 1]."""
        return outputs.squeeze(-1)

    def scores(self) -> Metric:
        """See `Problem`."""
        return SumScores()

    def settings(self) -> dict[str, int]:
        """See `Problem`."""
        return {"length": self.num_steps}


class Copying(Problem):
    """The copying problem: symbols must be repeated after a long delay.

    The input is `num_symbols` symbols out of `alphabet`, `delay` - 1 blanks, a start signal, and
    `num_symbols` blanks. The targets are `delay` + `num_symbols` blanks, then the symbols (Arjovsky
    et al. 2016, arXiv 1511.06464, section 5.1, after Hochreiter and Schmidhuber 1997). A step is a
    one-hot vector over the symbols, the blank and the start signal.

    The loss is the mean nll over all steps. A model that answers blanks until the start signal and
    then guesses has a loss of num_symbols ln(alphabet) / (delay + 2 num_symbols).

    Args:
        delay: Number of steps between the last symbol read and the first symbol of the answer.
        num_symbols: Number of symbols to copy.
        alphabet: Number of distinct symbols.

    Raises:
        ValueError: If an argument is below 1.

    Example:
        >>> problem = Copying(delay=3, num_symbols=2, alphabet=4)
        >>> examples = problem.draw(np.random.default_rng(0), count=1)
        >>> examples.inputs[0].argmax(dim=-1).tolist()  # 4 is the blank, 5 the start signal
        [3, 2, 4, 4, 5, 4, 4]
        >>> examples.targets[0].tolist()
        [4, 4, 4, 4, 4, 3, 2]
    """

    kind = "copying"
    monitor, monitor_mode = "val/nll", "min"

    def __init__(self, delay: int = 100, num_symbols: int = 10, alphabet: int = 8) -> None:
        sizes = {"delay": delay, "num_symbols": num_symbols, "alphabet": alphabet}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} of Copying must be at least 1, got {size}")
        self.delay, self.num_symbols, self.alphabet = delay, num_symbols, alphabet
        self.input_size, self.output_size = alphabet + 2, alphabet + 1
        self.num_steps = self.num_answers = delay + 2 * num_symbols
        self.name = f"copying-{delay}"

    @property
    def baseline(self) -> float:
        """Mean nll of a model that remembers no symbol."""
        return self.num_symbols * math.log(self.alphabet) / self.num_steps

    def draw(self, random: np.random.Generator, count: int) -> Examples:
        """See `Problem`; targets are ids [row time], and the blank is the last id."""
        blank, sign, many = self.alphabet, self.alphabet + 1, self.num_symbols
        symbols = torch.from_numpy(random.integers(0, self.alphabet, (count, many)))
        read = torch.full((count, self.num_steps), blank)
        read[:, :many] = symbols
        read[:, many + self.delay - 1] = sign
        targets = torch.full((count, self.num_steps), blank)
        targets[:, -many:] = symbols
        return Examples(nn.functional.one_hot(read, self.input_size).float(), targets)

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """See `Problem`: the mean nll over steps, in nats."""
        nll = nn.functional.cross_entropy(outputs.transpose(1, 2), targets, reduction="none")
        return nll.mean(dim=1)

    def chosen(self, outputs: Tensor) -> Tensor:
        """See `Problem`: ids [row time]."""
        return outputs.argmax(dim=-1)

    def scores(self) -> Metric:
        """See `Problem`."""
        return CopyScores(self.num_symbols)

    def settings(self) -> dict[str, int]:
        """See `Problem`."""
        return {"delay": self.delay, "num_symbols": self.num_symbols, "alphabet": self.alphabet}
