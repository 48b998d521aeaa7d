"""Connections that go past an encoder: what it reads reaches the next one by a short way too."""

import torch
from torch import Tensor, nn

from pipeline.encoders.base import Encoder
from pipeline.encoders.wrappers.stacked import EncoderWrapper


class Residual(EncoderWrapper):
    r"""Adds what an encoder reads to its states (He et al. 2015, arXiv 1512.03385, eq. 1 and 2).

    .. math:: y_t = x_t + F(x)_t   \quad\text{or}\quad   y_t = W x_t + F(x)_t

    Args:
        inner: F, of one size for inputs and states, unless projected.
        project: whether inputs of another size than the states are brought to it by a learned W,
            without a bias; nothing is projected where the sizes are equal.

    Raises:
        ValueError: `inner` has different sizes, and `project` is false.
    """

    def __init__(self, inner: Encoder, project: bool = False) -> None:
        super().__init__(inner)
        self.projection = _projection("Residual", inner, project)

    def _join(self, inputs: Tensor, states: Tensor) -> Tensor:
        return _carried(self.projection, inputs) + states


class Highway(EncoderWrapper):
    r"""A gate mixes the states of an encoder and what it reads (Srivastava et al. 2015).

    arXiv 1505.00387, equation 3, with the gate computed from what is read.

    .. math:: g_t = \sigma(W_g x_t + b_g), \quad y_t = g_t \circ F(x)_t + (1 - g_t) \circ x_t

    Args:
        inner: F, of one size for inputs and states, unless projected.
        project: see `Residual`; the projected inputs are carried, the gate reads the inputs.
        bias: first value of b_g: negative, so that the inputs are carried at first (section 2.2
            there); with -2 an eighth of the states is let in.

    Raises:
        ValueError: `inner` has different sizes, and `project` is false.
    """

    def __init__(self, inner: Encoder, project: bool = False, bias: float = -2.0) -> None:
        super().__init__(inner)
        self.projection = _projection("Highway", inner, project)
        self.gate = nn.Linear(inner.input_size, inner.output_size)
        nn.init.xavier_uniform_(self.gate.weight)
        nn.init.constant_(self.gate.bias, bias)

    def _join(self, inputs: Tensor, states: Tensor) -> Tensor:
        carried = _carried(self.projection, inputs)
        return carried + torch.sigmoid(self.gate(inputs)) * (states - carried)


class Dense(EncoderWrapper):
    """Puts the states of an encoder beside what it reads (Godin et al. 2017, arXiv 1707.06130).

    In a stack of these each layer reads the stack's inputs and the states of all layers below, and
    the states of the stack are all of them side by side: `output_size` is `input_size` and the
    sizes of all layers together, the inputs first.

    Args:
        inner: of any sizes.
    """

    def __init__(self, inner: Encoder) -> None:
        super().__init__(inner, inner.input_size + inner.output_size)

    def _join(self, inputs: Tensor, states: Tensor) -> Tensor:
        return torch.cat([inputs, states], dim=-1)


def _projection(name: str, inner: Encoder, project: bool) -> nn.Linear | None:
    if inner.input_size == inner.output_size:
        return None
    if not project:
        raise ValueError(
            f"{name} needs an encoder whose states are as wide as its inputs, got input_size "
            f"{inner.input_size} and output_size {inner.output_size}; project=True joins unequal "
            "sizes by a learned projection"
        )
    return nn.Linear(inner.input_size, inner.output_size, bias=False)


def _carried(projection: nn.Linear | None, inputs: Tensor) -> Tensor:
    if projection is None:
        return inputs
    projected: Tensor = projection(inputs)
    return projected
