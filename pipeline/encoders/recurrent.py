"""The recurrent encoders of the lectures."""

from functools import partial
from typing import Literal

from pipeline.encoders.initializers import Initializer
from pipeline.encoders.layers.factories import elman_leaf, gru_leaf, lstm_leaf
from pipeline.encoders.layers.leaves import Leaf
from pipeline.encoders.settings import MatrixRecurrent, Recurrent
from pipeline.encoders.stack import Joints, Shape, Skip


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
        leaf = partial(elman_leaf, nonlinearity=nonlinearity, weight_dropout=weight_dropout)
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
        leaf = partial(gru_leaf, reset=reset, weight_dropout=weight_dropout)
        shape = Shape(input_size, hidden_size, num_layers, bidirectional, last_size)
        joints = Joints(skip, dropout, variational, normalize, project)
        super().__init__(leaf, shape, joints, zoneout, initializer)


class LSTM(MatrixRecurrent):
    """Long short-term memory with forget gates (Hochreiter and Schmidhuber 1997, Gers et al. 2000).

    Its settings are those of `MatrixRecurrent`; the initialiser sets the forget gates' bias too.
    """

    @staticmethod
    def leaf(input_size: int, hidden_size: int, weight_dropout: float) -> Leaf:
        """See `MatrixRecurrent`."""
        return lstm_leaf(input_size, hidden_size, weight_dropout)
