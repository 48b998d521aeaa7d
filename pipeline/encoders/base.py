"""The encoder interface, and checks shared by its implementations."""

import abc
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pipeline.encoders.carry import Carry

Steps: TypeAlias = Float[Tensor, "batch time input"]
RowLengths: TypeAlias = Int[Tensor, "batch"]


class Encoded(NamedTuple):
    """The output of an encoder.

    Attributes:
        states: One vector per step, [batch time output]; unspecified at padded steps.
        carry: State after the last column, to be passed to the next call; unspecified for rows
            that ended before.
    """

    states: Float[Tensor, "batch time output"]
    carry: Carry


class Encoder(nn.Module, abc.ABC):
    """Base class of encoders, which map a sequence of vectors to a sequence of states.

    An encoder keeps no state between calls: the carry is passed in and returned.
    `pipeline.encoders.testing.assert_laws` checks every property stated here.

    Attributes:
        input_size: Number of features of each input.
        output_size: Number of features of each state.
        is_causal: Whether `states[:, t]` depends on `inputs[:, : t + 1]` and the carry only.
        is_local: Whether a state depends on a fixed number of neighboring inputs only.
    """

    input_size: int
    output_size: int
    is_causal: bool
    is_local: bool = False

    # nn.Module declares a call that returns anything; narrowed so that callers are type-checked.
    __call__: Callable[..., Encoded]

    @abc.abstractmethod
    def forward(
        self, inputs: Steps, lengths: RowLengths | None = None, carry: Carry | None = None
    ) -> Encoded:
        """Encodes right-padded sequences.

        Args:
            inputs: Vectors [batch time input], at least one step.
            lengths: Number of real steps of each row, 0 allowed; all steps are real if omitted.
            carry: Carry returned by an earlier call; `initial_carry` if omitted.

        Returns:
            The states [batch time output] and the carry after the last column, with the structure
            and shapes of `initial_carry(batch)`.

        Raises:
            ValueError: If `inputs`, `lengths` or `carry` do not fit this encoder or each other.
        """

    @abc.abstractmethod
    def initial_carry(self, batch_size: int) -> Carry:
        """Returns the carry before the first step: nested tuples of tensors [batch_size ...]."""


def check_inputs(encoder: Encoder, inputs: Tensor) -> None:
    """Raises a ValueError unless `inputs` is [batch time encoder.input_size] with time >= 1."""
    name, size = type(encoder).__name__, encoder.input_size
    if inputs.dim() != 3 or inputs.shape[-1] != size:
        raise ValueError(
            f"{name} has input_size {size} and expects inputs [batch time {size}], "
            f"got {list(inputs.shape)}"
        )
    if inputs.shape[1] == 0:
        raise ValueError(f"{name} expects at least one step, got inputs {list(inputs.shape)}")


def check_lengths(inputs: Tensor, lengths: Tensor | None) -> None:
    """Raises a ValueError unless `lengths` is None or [batch] whole numbers from 0 to time.

    The range is checked on a CPU only: on a GPU the host would have to wait for the device. It is
    not checked while torch compiles or exports, because no values exist then.
    """
    if lengths is None:
        return
    batch, time = inputs.shape[:2]
    if tuple(lengths.shape) != (batch,):
        raise ValueError(
            f"lengths must be [batch={batch}] for inputs {list(inputs.shape)}, "
            f"got {list(lengths.shape)}"
        )
    if lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise ValueError(f"lengths must be whole numbers (torch.int64), got {lengths.dtype}")
    if lengths.device.type == "cpu" and batch and not torch.compiler.is_compiling():
        least, most = torch.aminmax(lengths)
        if least < 0 or most > time:
            raise ValueError(f"lengths must be between 0 and {time} (time), got {lengths.tolist()}")


def all_full(inputs: Tensor, lengths: Tensor | None) -> bool:
    """Returns True if `inputs` [batch time ...] has no padding.

    Returns False for lengths on a GPU, where the host would have to wait for the device, and for
    lengths whose values do not exist yet because torch compiles or exports.
    """
    if lengths is None:
        return True
    if lengths.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return bool((lengths == inputs.shape[1]).all())


def refuse_second_derivatives(name: str) -> None:
    """Raises a RuntimeError for `create_graph=True` in a custom backward pass.

    Autograd would take that pass for a constant.
    """
    if torch.is_grad_enabled():
        raise RuntimeError(
            f"{name} has no second derivative, but create_graph=True requires one; omit it, or use "
            "an encoder that is a plain loop (pipeline.encoders.Unrolled)"
        )


def check_at_least_one(name: str, value: int) -> None:
    """Raises a ValueError unless the argument called `name` is at least 1."""
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")


def check_sizes(input_size: int, hidden_size: int) -> None:
    """Raises a ValueError unless both sizes are at least 1."""
    check_at_least_one("input_size", input_size)
    check_at_least_one("hidden_size", hidden_size)


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises a ValueError unless the argument called `name` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def check_dropout(dropout: float, name: str = "dropout") -> None:
    """Raises a ValueError unless the probability called `name` is in [0, 1)."""
    if not 0 <= dropout < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, got {dropout}")


@torch.no_grad()
def reads_ahead(encoder: Encoder) -> bool:
    """Tests whether states depend on later inputs, whatever `is_causal` says.

    Encodes six random steps twice, with the last three changed. Module modes and global random
    states stay unchanged.
    """
    sample = next(encoder.parameters(), torch.zeros(()))
    generator = torch.Generator().manual_seed(20260101)
    inputs = torch.randn(1, 6, encoder.input_size, generator=generator).to(sample)
    changed = inputs.clone()
    changed[:, 3:] += 1.0
    modes = [(module, module.training) for module in encoder.modules()]
    encoder.eval()
    try:
        states, others = (encoder(read).states[:, :3] for read in (inputs, changed))
    finally:
        for module, mode in modes:
            module.training = mode
    return not torch.allclose(states.double(), others.double(), rtol=1e-3, atol=1e-4)
