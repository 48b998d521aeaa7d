"""An encoder of fixed-size windows around each step."""

from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.encoders.base import (
    Encoded,
    Encoder,
    RowLengths,
    Steps,
    check_at_least_one,
    check_choice,
    check_inputs,
    check_lengths,
)
from pipeline.encoders.carry import Carry

_NONLINEARITIES = {"tanh": torch.tanh, "relu": torch.relu}


class Window(Encoder):
    """Concatenates the inputs around each step, optionally followed by one hidden layer.

    state_t = f(W [input_(t-before); ...; input_(t+after)] + b): window classification (Collobert et
    al. 2011, arXiv 1103.0398, section 3.3.1), and with `after=0` the fixed-window language model of
    Bengio et al. (2003, JMLR 3). Learned vectors pad the start and the end of each row. The carry
    is the last `before` inputs.

    Args:
        input_size: Number of features of each input.
        before: Number of steps to the left of each step.
        after: Number of steps to the right of each step; 0 makes the encoder causal.
        hidden_size: Number of features of the hidden layer; no hidden layer if omitted.
        nonlinearity: Activation function of the hidden layer, "tanh" or "relu".

    Raises:
        ValueError: If a size is out of range.

    Example:
        >>> import torch
        >>> encoder = Window(input_size=1, before=1, after=0)
        >>> encoder(torch.tensor([[[5.0], [6.0], [7.0]]])).states[0, 1:]
        tensor([[5., 6.],
                [6., 7.]], grad_fn=<SliceBackward0>)
    """

    def __init__(
        self,
        input_size: int,
        before: int = 2,
        after: int = 2,
        hidden_size: int | None = None,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
    ) -> None:
        super().__init__()
        check_at_least_one("input_size", input_size)
        check_choice("nonlinearity", nonlinearity, ("tanh", "relu"))
        for name, size in (("before", before), ("after", after)):
            if size < 0:
                raise ValueError(f"{name} must be at least 0, got {size}")
        self.input_size, self.before, self.after = input_size, before, after
        self.nonlinearity = nonlinearity
        self.is_causal = after == 0
        self.is_local = True
        width = before + 1 + after
        self.hidden = None if hidden_size is None else nn.Linear(width * input_size, hidden_size)
        self.output_size = width * input_size if hidden_size is None else hidden_size
        self.start = nn.Parameter(_vectors(before, input_size)) if before else None
        self.end = nn.Parameter(_vectors(after, input_size)) if after else None

    def forward(
        self, inputs: Steps, lengths: RowLengths | None = None, carry: Carry | None = None
    ) -> Encoded:
        """See `Encoder`."""
        check_inputs(self, inputs)
        check_lengths(inputs, lengths)
        (left,) = self.initial_carry(inputs.shape[0]) if carry is None else carry
        if left.shape != (inputs.shape[0], self.before, self.input_size):
            raise ValueError(
                f"Window expects a carry [batch={inputs.shape[0]} before={self.before} "
                f"input={self.input_size}], got {list(left.shape)}"
            )
        seen = torch.cat([left.to(inputs, non_blocking=True), inputs], dim=1)
        windows = self._with_ends(seen, lengths).unfold(1, self.before + 1 + self.after, 1)
        states = windows.transpose(2, 3).flatten(2)
        if self.hidden is not None:
            states = _NONLINEARITIES[self.nonlinearity](self.hidden(states))
        if self.start is not None:  # DDP expects a gradient for every parameter
            states = states + 0 * self.start.sum().to(states)
        return Encoded(states, (seen[:, seen.shape[1] - self.before :],))

    def initial_carry(self, batch_size: int) -> Carry:
        """See `Encoder`; the learned vectors before the first step."""
        if self.start is None:
            return (torch.zeros(batch_size, 0, self.input_size),)
        return (self.start.expand(batch_size, -1, -1),)

    def _with_ends(self, seen: Tensor, lengths: Tensor | None) -> Tensor:
        """Inserts the end vectors after each row's last real step."""
        if self.end is None:
            return seen
        batch, time, _ = seen.shape
        whole = torch.cat([seen, self.end.to(seen.dtype).expand(batch, -1, -1)], dim=1)
        if lengths is None:
            return whole
        # Distance of each step from its row's end; steps beyond the window are never read.
        steps = torch.arange(time + self.after, device=seen.device) - self.before
        beyond = steps - lengths.to(seen.device, non_blocking=True).unsqueeze(1)
        ends = self.end.to(seen.dtype)[beyond.clamp(0, self.after - 1)]
        return torch.where((beyond >= 0).unsqueeze(-1), ends, whole)


def _vectors(count: int, size: int) -> Tensor:
    return torch.empty(count, size).uniform_(-0.1, 0.1)
