"""The one interface of everything that reads a sequence."""

import abc
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pipeline.encoders.carry import Carry


class Encoded(NamedTuple):
    """What an encoder makes of a batch of sequences.

    Attributes:
        states: one vector per step, [batch time output]; unspecified at padded steps.
        carry: the memory after the last column, to be given to the next window; unspecified for
            rows that ended before.
    """

    states: Float[Tensor, "batch time output"]
    carry: Carry


class Encoder(nn.Module, abc.ABC):
    """Turns sequences of vectors into sequences of states; it remembers nothing between calls.

    `pipeline.encoders.testing.assert_laws` checks all that is promised here.

    Attributes:
        input_size: features of each input step.
        output_size: features of each state.
        is_causal: `states[:, t]` depends on `inputs[:, : t + 1]` (and the carry) only.
        is_local: a state depends on so many inputs around it, and on none beyond.
    """

    input_size: int
    output_size: int
    is_causal: bool
    is_local: bool = False

    # nn.Module declares a call that returns anything; narrowed so that callers are type-checked.
    __call__: Callable[..., Encoded]

    @abc.abstractmethod
    def forward(
        self,
        inputs: Float[Tensor, "batch time input"],
        lengths: Int[Tensor, "batch"] | None = None,
        carry: Carry | None = None,
    ) -> Encoded:
        """Encodes right-padded sequences.

        Args:
            inputs: [batch time input], at least one step.
            lengths: real steps of each row, 0 allowed; all steps are real if omitted.
            carry: what an earlier window returned; `initial_carry` if omitted.

        Returns:
            The states [batch time output], and the carry after the last column (unspecified for
            rows that ended before), of the same structure and shapes as `initial_carry(batch)`.

        Raises:
            ValueError: `inputs`, `lengths` or `carry` do not fit this encoder or each other.
        """

    @abc.abstractmethod
    def initial_carry(self, batch_size: int) -> Carry:
        """The memory before the first step: nested tuples of tensors [batch_size ...]."""


def check_inputs(encoder: Encoder, inputs: Tensor) -> None:
    """Raises a ValueError unless `inputs` is [batch time encoder.input_size] with a step in it."""
    name, size = type(encoder).__name__, encoder.input_size
    if inputs.dim() != 3 or inputs.shape[-1] != size:
        raise ValueError(
            f"{name} has input_size {size} and expects inputs [batch time {size}], "
            f"got {list(inputs.shape)}"
        )
    if inputs.shape[1] == 0:
        raise ValueError(f"{name} expects at least one step, got inputs {list(inputs.shape)}")


def check_lengths(inputs: Tensor, lengths: Tensor | None) -> None:
    """Checks the real steps of each row; for the encoders that are named or that read them.

    Args:
        inputs: [batch time ...].
        lengths: [batch], whole numbers from 0 to time; None passes.

    Raises:
        ValueError: of another shape, not of whole numbers or, on a CPU, out of that range.
    """
    if lengths is None:
        return
    batch, time = inputs.shape[:2]
    if lengths.shape != (batch,):
        raise ValueError(
            f"lengths must be [batch={batch}] for inputs {list(inputs.shape)}, "
            f"got {list(lengths.shape)}"
        )
    if lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise ValueError(f"lengths must be whole numbers, as torch.int64, got {lengths.dtype}")
    # Only where it costs nothing: on a GPU the host would wait for the device.
    if lengths.device.type == "cpu" and batch:
        least, most = torch.aminmax(lengths)
        if least < 0 or most > time:
            raise ValueError(f"lengths must be between 0 and {time} (time), got {lengths.tolist()}")


def all_full(inputs: Tensor, lengths: Tensor | None) -> bool:
    """Whether every row of `inputs` [batch time ...] is known to be real to its end."""
    if lengths is None:
        return True
    # On a GPU the host would wait for the device.
    return lengths.device.type == "cpu" and bool((lengths == inputs.shape[1]).all())


def refuse_second_derivatives(what: str) -> None:
    """For the backward pass of a function of our own, which autograd would take for a constant.

    Raises:
        RuntimeError: the gradient is to be differentiated (`create_graph`).
    """
    if torch.is_grad_enabled():
        raise RuntimeError(
            f"{what} has no second derivative, and create_graph=True asks for one; leave it out, "
            "or take an encoder that is a plain loop (pipeline.encoders.Unrolled)"
        )


def check_at_least_one(name: str, value: int) -> None:
    """Raises a ValueError unless the argument called `name` is at least 1."""
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises a ValueError unless the argument called `name` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def check_dropout(dropout: float, name: str = "dropout") -> None:
    """Raises a ValueError unless `dropout`, the argument called `name`, is a chance in [0, 1)."""
    if not 0 <= dropout < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, got {dropout}")


@torch.no_grad()
def reads_ahead(encoder: Encoder) -> bool:
    """Tells whether states change with inputs to their right, whatever `is_causal` says.

    A few steps of random numbers are read twice; neither modes nor random states are changed.
    """
    sample = next(encoder.parameters(), torch.zeros(()))
    generator = torch.Generator().manual_seed(_SEED)
    inputs = torch.randn(1, _TIME, encoder.input_size, generator=generator).to(sample)
    changed = inputs.clone()
    changed[:, _TIME // 2 :] += 1.0
    modes = [(module, module.training) for module in encoder.modules()]
    encoder.eval()
    try:
        states, others = (encoder(read).states[:, : _TIME // 2] for read in (inputs, changed))
    finally:
        for module, mode in modes:
            module.training = mode
    return not torch.allclose(states.double(), others.double(), rtol=1e-3, atol=1e-4)
