"""Problems whose only difficulty is memory: what they ask, and how an answer is scored."""

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
    """Sequences and what is to be answered at their last steps.

    Attributes:
        inputs: float32 [row time input].
        targets: [row answer ...], one for each of the last `answer` steps.
    """

    inputs: Tensor
    targets: Tensor


class Problem(abc.ABC):
    """A problem that is made up, never stored.

    Attributes:
        kind: Name of the class in `state`, such as "adding"; it differs between classes.
        input_size: features of a step.
        output_size: numbers that an answer has.
        num_steps: steps of a sequence.
        num_answers: the last steps of a sequence, at which an answer is read.
        name: what runs are filed under, as "adding-150".
        monitor: the validation score that says which weights are best.
        monitor_mode: "min" or "max".
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
        """Makes up examples.

        Args:
            random: all of the choices.
            count: sequences.
        """

    @abc.abstractmethod
    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Gives the loss of each sequence, [row].

        Args:
            outputs: answers [row answer output].
            targets: of `draw`.
        """

    @abc.abstractmethod
    def chosen(self, outputs: Tensor) -> Tensor:
        """Gives what answers [row answer output] say, of the shape of `targets`."""

    @abc.abstractmethod
    def scores(self) -> Metric:
        """Makes a metric with `update(outputs, targets)`, whose `compute` gives scores by name."""

    @abc.abstractmethod
    def settings(self) -> dict[str, int]:
        """Returns the arguments of the constructor."""

    def state(self) -> dict[str, Any]:
        """Returns the kind and the settings as plain data, for `from_state`."""
        return {"kind": self.kind, **self.settings()}

    @staticmethod
    def from_state(state: Mapping[str, Any]) -> "Problem":
        """Rebuilds a problem from what `state` returned.

        Raises:
            InputError: If no imported subclass is of this kind.
        """
        classes = {cls.kind: cls for cls in Problem.__subclasses__()}
        settings = dict(state)
        kind = settings.pop("kind")
        if kind not in classes:
            raise InputError(f"unknown problem {kind!r}; known problems: {', '.join(classes)}")
        return classes[kind](**settings)


class Adding(Problem):
    """The adding problem: two of many numbers are marked; their sum is asked for at the end.

    A step is (value, marker); values are uniform in [0, 1], markers are 0 but for two, one in each
    half of the sequence. So Arjovsky et al. (2016, arXiv 1511.06464, section 5.2) have it, and Le
    et al. (2015, arXiv 1504.00941, section 4.1) but for the halves, of which they say nothing.
    Hochreiter and Schmidhuber (1997, section 5.4) have values in [-1, 1], the first marker among
    the first ten steps and lengths that vary by a tenth.

    The loss is the squared error. Who answers 1, the mean, has one of 1/6 = 0.1667, the variance of
    the sum of two such numbers.

    Args:
        length: steps of a sequence.

    Raises:
        ValueError: `length` is below 2.
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
    """The copying problem: symbols are read, nothing for long, and then are to be written again.

    `num_symbols` symbols out of `alphabet`, `delay` - 1 blanks, a sign to begin, `num_symbols`
    blanks; the answers are `delay` + `num_symbols` blanks and then the symbols (Arjovsky et al.
    2016, arXiv 1511.06464, section 5.1, after Hochreiter and Schmidhuber 1997). A step is one-hot:
    the symbols, the blank, the sign.

    The loss is the mean nll over all steps. Who remembers nothing but writes blanks until the sign
    has one of num_symbols ln(alphabet) / (delay + 2 num_symbols).

    Args:
        delay: steps between the last symbol and the first that is written.
        num_symbols: to be remembered.
        alphabet: symbols to choose from.

    Raises:
        ValueError: a number is below 1.
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
        """The mean nll of who remembers no symbol."""
        return self.num_symbols * math.log(self.alphabet) / self.num_steps

    def draw(self, random: np.random.Generator, count: int) -> Examples:
        """See `Problem`; targets are ids [row time], the blank comes after the symbols."""
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
