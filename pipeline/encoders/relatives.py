"""Recurrent encoders beyond the lectures, with a matrix from state to state."""

from functools import partial

from pipeline.encoders.cells.lstm_variants import CoupledLSTMCell, MogrifierLSTMCell, SLSTMCell
from pipeline.encoders.initializers import IdentityInitializer, Initializer
from pipeline.encoders.layers.factories import elman_leaf
from pipeline.encoders.layers.leaves import Leaf, Unrolled
from pipeline.encoders.settings import MatrixRecurrent, Recurrent
from pipeline.encoders.stack import Joints, Shape, Skip


class IRNN(MatrixRecurrent):
    """ReLU networks that begin as the identity (Le et al. 2015, arXiv 1504.00941).

    Its settings are those of `MatrixRecurrent`, save that `initializer` is `IdentityInitializer()`
    if omitted. It is `Elman` with ReLU and those first values.
    """

    @staticmethod
    def leaf(input_size: int, hidden_size: int, weight_dropout: float) -> Leaf:
        """See `MatrixRecurrent`."""
        return elman_leaf(input_size, hidden_size, "relu", weight_dropout)

    @staticmethod
    def default_initializer() -> Initializer:
        """See `Recurrent`."""
        return IdentityInitializer()


class CoupledLSTM(MatrixRecurrent):
    """LSTMs whose input gate is one less the forget gate, see `CoupledLSTMCell`; a loop.

    Its settings are those of `MatrixRecurrent`; the initialiser sets the forget gates' bias too.
    """

    @staticmethod
    def leaf(input_size: int, hidden_size: int, weight_dropout: float) -> Leaf:
        """See `MatrixRecurrent`."""
        return Unrolled(CoupledLSTMCell(input_size, hidden_size), weight_dropout)


class SLSTM(MatrixRecurrent):
    """sLSTMs with exponential gates, see `SLSTMCell`; a loop.

    Its settings are those of `MatrixRecurrent`; the initialiser sets the forget gates' bias too,
    and zoneout keeps old hidden states, never a memory without its normalizer.
    """

    @staticmethod
    def leaf(input_size: int, hidden_size: int, weight_dropout: float) -> Leaf:
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
