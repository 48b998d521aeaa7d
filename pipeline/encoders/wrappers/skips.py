"""Skip connections around an encoder."""

import torch
from torch import Tensor, nn

from pipeline.encoders.base import Encoder
from pipeline.encoders.wrappers.base import EncoderWrapper


class Residual(EncoderWrapper):
    r"""Adds the inputs of an encoder to its states (He et al. 2015, arXiv 1512.03385, eq. 1 and 2).

    .. math:: y_t = x_t + F(x)_t   \quad\text{or}\quad   y_t = W x_t + F(x)_t

    Args:
        inner: Encoder F.
        project: Whether inputs of another size than the states are projected by a learned W,
            without bias. Equal sizes are never projected.

    Raises:
        ValueError: If `inner` has different sizes and `project` is false.

    Example:
        >>> import torch
        >>> from pipeline.encoders import Identity
        >>> Residual(Identity(2))(torch.ones(1, 1, 2)).states
        tensor([[[2., 2.]]])
    """

    def __init__(self, inner: Encoder, project: bool = False) -> None:
        super().__init__(inner)
        self.projection = _projection("Residual", inner, project)

    def _join(self, inputs: Tensor, states: Tensor) -> Tensor:
        return _carried(self.projection, inputs) + states


class Highway(EncoderWrapper):
    r"""Mixes the states and inputs of an encoder by a gate (Srivastava et al. 2015).

    arXiv 1505.00387, equation 3; the gate reads the inputs.

    .. math:: g_t = \sigma(W_g x_t + b_g), \quad y_t = g_t \circ F(x)_t + (1 - g_t) \circ x_t

    Args:
        inner: Encoder F.
        project: Whether inputs of another size than the states are projected by a learned matrix
            before they are mixed.
        bias: Initial value of b_g; negative values pass the inputs on at first (section 2.2 of the
            paper). With -2 the states have a weight of about an eighth.

    Raises:
        ValueError: If `inner` has different sizes and `project` is false.

    Example:
        >>> import torch
        >>> from pipeline.encoders import LSTM
        >>> encoder, inputs = Highway(LSTM(2, 2), bias=-100.0), torch.ones(1, 1, 2)
        >>> torch.allclose(encoder(inputs).states, inputs)  # the gate is closed
        True
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
    """Concatenates the inputs of an encoder and its states (Godin et al. 2017, arXiv 1707.06130).

    In a stack of these, each layer reads the inputs of the stack and the states of all layers
    below, and `output_size` is the sum of `input_size` and the sizes of all layers.

    Args:
        inner: Encoder of any sizes.

    Example:
        >>> from pipeline.encoders import LSTM
        >>> Dense(LSTM(input_size=3, hidden_size=4)).output_size
        7
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
            f"{name} needs an encoder of equal input and output size, got input_size "
            f"{inner.input_size} and output_size {inner.output_size}; project=True adds a learned "
            "projection"
        )
    return nn.Linear(inner.input_size, inner.output_size, bias=False)


def _carried(projection: nn.Linear | None, inputs: Tensor) -> Tensor:
    if projection is None:
        return inputs
    projected: Tensor = projection(inputs)
    return projected
