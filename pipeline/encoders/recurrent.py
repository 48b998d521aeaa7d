"""Recurrent encoders with a matrix from state to state."""

from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import nn

from pipeline.encoders.base import check_at_least_one, check_choice
from pipeline.encoders.cells.lstm_variants import CoupledLSTMCell, MogrifierLSTMCell, SLSTMCell
from pipeline.encoders.cells.standard import ElmanCell, GRUCell, Reset
from pipeline.encoders.initializers import IdentityInitializer, Initializer
from pipeline.encoders.layers.base import RecurrentLayer
from pipeline.encoders.layers.fused import Fused
from pipeline.encoders.layers.unrolled import Unrolled
from pipeline.encoders.settings import MatrixRecurrent, Recurrent
from pipeline.encoders.stack import Joints, Shape, Skip

Nonlinearity: TypeAlias = Literal["tanh", "relu", "sigmoid"]


class Elman(Recurrent):
    """Simple recurrent networks (Elman 1990), of any depth and in one or both directions.

    Args:
        input_size: see `MatrixRecurrent`.
        hidden_size: see `MatrixRecurrent`.
        num_layers: see `MatrixRecurrent`.
        bidirectional: see `MatrixRecurrent`.
        skip: see `MatrixRecurrent`.
        dropout: see `MatrixRecurrent`.
        nonlinearity: "tanh", "relu", or the paper's "sigmoid" (no kernel: a slower loop).
        initializer: see `MatrixRecurrent`.
        variational: see `MatrixRecurrent`.
        weight_dropout: see `MatrixRecurrent`.
        last_size: see `MatrixRecurrent`.
        normalize: see `MatrixRecurrent`.
        zoneout: see `MatrixRecurrent`.
        project: see `MatrixRecurrent`.

    Raises:
        ValueError: see `MatrixRecurrent`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        skip: Skip = "none",
        dropout: float = 0.0,
        nonlinearity: Literal["tanh", "relu", "sigmoid"] = "tanh",
        initializer: Initializer | None = None,
        variational: bool = False,
        weight_dropout: float = 0.0,
        last_size: int | None = None,
        normalize: bool = False,
        zoneout: float = 0.0,
        project: bool = False,
    ) -> None:
        leaf = partial(elman_layer, nonlinearity=nonlinearity, weight_dropout=weight_dropout)
        shape = Shape(input_size, hidden_size, num_layers, bidirectional, last_size)
        joints = Joints(skip, dropout, variational, normalize, project)
        super().__init__(leaf, shape, joints, zoneout, initializer)


class GRU(Recurrent):
    """Gated recurrent units (Cho et al. 2014, arXiv 1406.1078).

    Args:
        input_size: see `MatrixRecurrent`.
        hidden_size: see `MatrixRecurrent`.
        num_layers: see `MatrixRecurrent`.
        bidirectional: see `MatrixRecurrent`.
        skip: see `MatrixRecurrent`.
        dropout: see `MatrixRecurrent`.
        reset: "after" the recurrent product, as cuDNN and torch have it, or "before", as the
            paper has it (no kernel: a slower loop).
        initializer: see `MatrixRecurrent`.
        variational: see `MatrixRecurrent`.
        weight_dropout: see `MatrixRecurrent`.
        last_size: see `MatrixRecurrent`.
        normalize: see `MatrixRecurrent`.
        zoneout: see `MatrixRecurrent`.
        project: see `MatrixRecurrent`.

    Raises:
        ValueError: see `MatrixRecurrent`.
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
        leaf = partial(gru_layer, reset=reset, weight_dropout=weight_dropout)
        shape = Shape(input_size, hidden_size, num_layers, bidirectional, last_size)
        joints = Joints(skip, dropout, variational, normalize, project)
        super().__init__(leaf, shape, joints, zoneout, initializer)


class LSTM(MatrixRecurrent):
    """Long short-term memory with forget gates (Hochreiter and Schmidhuber 1997, Gers et al. 2000).

    Its settings are those of `MatrixRecurrent`; the initialiser sets the forget gates' bias too.
    """

    @staticmethod
    def leaf(input_size: int, hidden_size: int, weight_dropout: float) -> RecurrentLayer:
        """See `MatrixRecurrent`."""
        return lstm_layer(input_size, hidden_size, weight_dropout)


class IRNN(MatrixRecurrent):
    """ReLU networks that begin as the identity (Le et al. 2015, arXiv 1504.00941).

    Its settings are those of `MatrixRecurrent`, save that `initializer` is `IdentityInitializer()`
    if omitted. It is `Elman` with ReLU and those first values.
    """

    @staticmethod
    def leaf(input_size: int, hidden_size: int, weight_dropout: float) -> RecurrentLayer:
        """See `MatrixRecurrent`."""
        return elman_layer(input_size, hidden_size, "relu", weight_dropout)

    @staticmethod
    def default_initializer() -> Initializer:
        """See `Recurrent`."""
        return IdentityInitializer()


class CoupledLSTM(MatrixRecurrent):
    """LSTMs whose input gate is one less the forget gate, see `CoupledLSTMCell`; a loop.

    Its settings are those of `MatrixRecurrent`; the initialiser sets the forget gates' bias too.
    """

    @staticmethod
    def leaf(input_size: int, hidden_size: int, weight_dropout: float) -> RecurrentLayer:
        """See `MatrixRecurrent`."""
        return Unrolled(CoupledLSTMCell(input_size, hidden_size), weight_dropout)


class SLSTM(MatrixRecurrent):
    """sLSTMs with exponential gates, see `SLSTMCell`; a loop.

    Its settings are those of `MatrixRecurrent`; the initialiser sets the forget gates' bias too,
    and zoneout keeps old hidden states, never a memory without its normalizer.
    """

    @staticmethod
    def leaf(input_size: int, hidden_size: int, weight_dropout: float) -> RecurrentLayer:
        """See `MatrixRecurrent`."""
        return Unrolled(SLSTMCell(input_size, hidden_size), weight_dropout)


class MogrifierLSTM(Recurrent):
    """LSTMs whose input and state gate each other first, see `MogrifierLSTMCell`; a slow loop.

    Args:
        input_size: see `MatrixRecurrent`.
        hidden_size: see `MatrixRecurrent`.
        num_layers: see `MatrixRecurrent`.
        bidirectional: see `MatrixRecurrent`.
        skip: see `MatrixRecurrent`.
        dropout: see `MatrixRecurrent`.
        rounds: of gating, in each step of each layer; with 0 it is the LSTM.
        rank: of the matrices of the rounds; full if omitted.
        initializer: see `MatrixRecurrent`.
        variational: see `MatrixRecurrent`.
        weight_dropout: see `MatrixRecurrent`; not of the matrices of the rounds.
        last_size: see `MatrixRecurrent`.
        normalize: see `MatrixRecurrent`.
        zoneout: see `MatrixRecurrent`.
        project: see `MatrixRecurrent`.

    Raises:
        ValueError: see `MatrixRecurrent` and `MogrifierLSTMCell`.
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
        cell = partial(MogrifierLSTMCell, rounds=rounds, rank=rank)
        shape = Shape(input_size, hidden_size, num_layers, bidirectional, last_size)
        joints = Joints(skip, dropout, variational, normalize, project)
        super().__init__(
            lambda below, size: Unrolled(cell(below, size), weight_dropout),
            shape,
            joints,
            zoneout,
            initializer,
        )


def elman_layer(
    input_size: int, hidden_size: int, nonlinearity: Nonlinearity, weight_dropout: float
) -> RecurrentLayer:
    """An Elman layer: torch's kernel for tanh and relu, a loop for the paper's sigmoid."""
    _check_sizes(input_size, hidden_size)
    check_choice("nonlinearity", nonlinearity, ("tanh", "relu", "sigmoid"))
    if nonlinearity == "sigmoid":
        return Unrolled(ElmanCell(input_size, hidden_size, torch.sigmoid), weight_dropout)
    kernel = nn.RNN(input_size, hidden_size, nonlinearity=nonlinearity, batch_first=True)
    return Fused(kernel, weight_dropout)


def gru_layer(
    input_size: int, hidden_size: int, reset: Reset, weight_dropout: float
) -> RecurrentLayer:
    """A GRU layer: a kernel for reset after the product, a loop for reset before it."""
    _check_sizes(input_size, hidden_size)
    if reset == "after":
        return Fused(nn.GRU(input_size, hidden_size, batch_first=True), weight_dropout)
    return Unrolled(GRUCell(input_size, hidden_size, reset), weight_dropout)


def lstm_layer(input_size: int, hidden_size: int, weight_dropout: float) -> RecurrentLayer:
    """An LSTM layer."""
    _check_sizes(input_size, hidden_size)
    return Fused(nn.LSTM(input_size, hidden_size, batch_first=True), weight_dropout)


def _check_sizes(input_size: int, hidden_size: int) -> None:
    check_at_least_one("input_size", input_size)
    check_at_least_one("hidden_size", hidden_size)
