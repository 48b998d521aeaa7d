"""Recurrent encoders with a recurrent matrix: Elman, GRU, LSTM and variants."""

from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import nn

from pipeline.encoders.base import check_choice, check_sizes
from pipeline.encoders.cells.lstm_variants import CoupledLSTMCell, MogrifierLSTMCell, SLSTMCell
from pipeline.encoders.cells.standard import ElmanCell, GRUCell, Reset
from pipeline.encoders.initializers import IdentityInitializer, Initializer
from pipeline.encoders.layers.base import RecurrentLayer
from pipeline.encoders.layers.fused import Fused
from pipeline.encoders.layers.unrolled import Unrolled
from pipeline.encoders.settings import MatrixRecurrent, Recurrent
from pipeline.encoders.stack import Connections, Skip, StackShape

Nonlinearity: TypeAlias = Literal["tanh", "relu", "sigmoid"]


class Elman(Recurrent):
    """Simple recurrent networks (Elman 1990); the other settings are those of `Recurrent`.

    Args:
        nonlinearity: Activation function, "tanh", "relu" or the paper's "sigmoid" (a slower loop).

    Example:
        >>> import torch
        >>> encoder = Elman(input_size=3, hidden_size=4, num_layers=2)
        >>> encoder(torch.zeros(1, 5, 3)).states.shape
        torch.Size([1, 5, 4])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        skip: Skip = "none",
        dropout: float = 0.0,
        nonlinearity: Nonlinearity = "tanh",
        initializer: Initializer | None = None,
        variational: bool = False,
        weight_dropout: float = 0.0,
        last_size: int | None = None,
        normalize: bool = False,
        zoneout: float = 0.0,
        project: bool = False,
    ) -> None:
        make_layer = partial(elman_layer, nonlinearity=nonlinearity, weight_dropout=weight_dropout)
        shape = StackShape(input_size, hidden_size, num_layers, bidirectional, last_size)
        connections = Connections(skip, dropout, variational, normalize, project)
        super().__init__(make_layer, shape, connections, zoneout, initializer)


class GRU(Recurrent):
    """Gated recurrent units (Cho et al. 2014, arXiv 1406.1078); see `Recurrent`.

    Args:
        reset: Position of the reset gate: "after" the recurrent product, as in cuDNN and torch, or
            "before" it, as in the paper (a slower loop).

    Example:
        >>> GRU(input_size=3, hidden_size=4, bidirectional=True).output_size
        8
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        skip: Skip = "none",
        dropout: float = 0.0,
        reset: Literal["after", "before"] = "after",
        initializer: Initializer | None = None,
        variational: bool = False,
        weight_dropout: float = 0.0,
        last_size: int | None = None,
        normalize: bool = False,
        zoneout: float = 0.0,
        project: bool = False,
    ) -> None:
        make_layer = partial(gru_layer, reset=reset, weight_dropout=weight_dropout)
        shape = StackShape(input_size, hidden_size, num_layers, bidirectional, last_size)
        connections = Connections(skip, dropout, variational, normalize, project)
        super().__init__(make_layer, shape, connections, zoneout, initializer)


class LSTM(MatrixRecurrent):
    """LSTMs with forget gates (Hochreiter and Schmidhuber 1997, Gers et al. 2000).

    Example:
        >>> import torch
        >>> encoder, inputs = LSTM(input_size=3, hidden_size=4), torch.ones(1, 6, 3)
        >>> states, carry = encoder(inputs[:, :2])
        >>> rest, _ = encoder(inputs[:, 2:], carry=carry)
        >>> torch.allclose(torch.cat([states, rest], dim=1), encoder(inputs).states)
        True
    """

    @staticmethod
    def make_layer(input_size: int, hidden_size: int, weight_dropout: float) -> RecurrentLayer:
        """See `MatrixRecurrent`."""
        check_sizes(input_size, hidden_size)
        return Fused(nn.LSTM(input_size, hidden_size, batch_first=True), weight_dropout)


class IRNN(MatrixRecurrent):
    """ReLU networks initialized with the identity (Le et al. 2015, arXiv 1504.00941).

    The same as `Elman` with nonlinearity "relu" and `IdentityInitializer()`.

    Example:
        >>> import torch
        >>> carry = ((torch.ones(1, 2),),)  # one layer, whose carry is one tensor
        >>> IRNN(input_size=3, hidden_size=2)(torch.zeros(1, 9, 3), carry=carry).states[0, -1]
        tensor([1., 1.], grad_fn=<SelectBackward0>)
    """

    @staticmethod
    def make_layer(input_size: int, hidden_size: int, weight_dropout: float) -> RecurrentLayer:
        """See `MatrixRecurrent`."""
        return elman_layer(input_size, hidden_size, "relu", weight_dropout)

    @staticmethod
    def default_initializer() -> Initializer:
        """See `Recurrent`."""
        return IdentityInitializer()


class CoupledLSTM(MatrixRecurrent):
    """LSTMs with coupled input and forget gates (Greff et al. 2017, arXiv 1503.04069), by a loop.

    Example:
        >>> lstm, coupled = LSTM(3, 4), CoupledLSTM(3, 4)
        >>> [sum(p.numel() for p in encoder.parameters()) for encoder in (lstm, coupled)]
        [144, 108]
    """

    @staticmethod
    def make_layer(input_size: int, hidden_size: int, weight_dropout: float) -> RecurrentLayer:
        """See `MatrixRecurrent`."""
        return Unrolled(CoupledLSTMCell(input_size, hidden_size), weight_dropout)


class SLSTM(MatrixRecurrent):
    """sLSTMs with exponential input gates (Beck et al. 2024, arXiv 2405.04517), by a loop.

    Zoneout acts on the hidden state only, because cell and normalizer change together.

    Example:
        >>> [tuple(part.shape) for part in SLSTM(3, 4).initial_carry(2)[0]]
        [(2, 4), (2, 4), (2, 4), (2, 4)]
    """

    @staticmethod
    def make_layer(input_size: int, hidden_size: int, weight_dropout: float) -> RecurrentLayer:
        """See `MatrixRecurrent`."""
        return Unrolled(SLSTMCell(input_size, hidden_size), weight_dropout)


class MogrifierLSTM(Recurrent):
    """LSTMs with mutual gating of input and state (Melis et al. 2020, arXiv 1909.01792), by a loop.

    Args:
        rounds: Number of gating rounds in each step of each layer; 0 makes it an LSTM.
        rank: Rank of the matrices of the rounds; full matrices if omitted.
        weight_dropout: Probability of setting a recurrent weight to 0 for one call in training. It
            is not applied to the matrices of the rounds.

    Example:
        >>> encoder = MogrifierLSTM(input_size=3, hidden_size=4, rounds=2)
        >>> [tuple(matrix.shape) for matrix in encoder.layers.layers[0].cell.others]
        [(3, 4), (4, 3)]
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        skip: Skip = "none",
        dropout: float = 0.0,
        rounds: int = 5,
        rank: int | None = None,
        initializer: Initializer | None = None,
        variational: bool = False,
        weight_dropout: float = 0.0,
        last_size: int | None = None,
        normalize: bool = False,
        zoneout: float = 0.0,
        project: bool = False,
    ) -> None:
        def make_layer(below: int, size: int) -> RecurrentLayer:
            return Unrolled(MogrifierLSTMCell(below, size, rounds, rank), weight_dropout)

        shape = StackShape(input_size, hidden_size, num_layers, bidirectional, last_size)
        connections = Connections(skip, dropout, variational, normalize, project)
        super().__init__(make_layer, shape, connections, zoneout, initializer)


def elman_layer(
    input_size: int, hidden_size: int, nonlinearity: Nonlinearity, weight_dropout: float
) -> RecurrentLayer:
    """Returns an Elman layer: a kernel for tanh and relu, a loop for sigmoid."""
    check_sizes(input_size, hidden_size)
    check_choice("nonlinearity", nonlinearity, ("tanh", "relu", "sigmoid"))
    if nonlinearity == "sigmoid":
        return Unrolled(ElmanCell(input_size, hidden_size, torch.sigmoid), weight_dropout)
    kernel = nn.RNN(input_size, hidden_size, nonlinearity=nonlinearity, batch_first=True)
    return Fused(kernel, weight_dropout)


def gru_layer(
    input_size: int, hidden_size: int, reset: Reset, weight_dropout: float
) -> RecurrentLayer:
    """Returns a GRU layer: a kernel for reset "after", a loop for "before"."""
    check_sizes(input_size, hidden_size)
    if reset == "after":
        return Fused(nn.GRU(input_size, hidden_size, batch_first=True), weight_dropout)
    return Unrolled(GRUCell(input_size, hidden_size, reset), weight_dropout)
