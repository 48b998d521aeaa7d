"""Recurrent encoders beyond the lectures whose memory is linear, trained by a parallel scan."""

from pipeline.encoders.cells.linear import MinGRUCell, MinLSTMCell, Pooling, QRNNCell, SRUCell
from pipeline.encoders.initializers import Initializer
from pipeline.encoders.layers.base import RecurrentLayer
from pipeline.encoders.layers.scanned import Scanned
from pipeline.encoders.settings import ElementwiseRecurrent, Recurrent
from pipeline.encoders.stack import Joints, Shape, Skip


class MinGRU(ElementwiseRecurrent):
    """Minimal GRUs (Feng et al. 2024, arXiv 2410.01201), see `MinGRUCell`.

    Its settings are those of `ElementwiseRecurrent`.
    """

    @staticmethod
    def leaf(input_size: int, hidden_size: int) -> RecurrentLayer:
        """See `ElementwiseRecurrent`."""
        return Scanned(MinGRUCell(input_size, hidden_size))


class MinLSTM(ElementwiseRecurrent):
    """Minimal LSTMs (Feng et al. 2024, arXiv 2410.01201), see `MinLSTMCell`.

    Its settings are those of `ElementwiseRecurrent`; the initialiser sets the forget gates' bias.
    """

    @staticmethod
    def leaf(input_size: int, hidden_size: int) -> RecurrentLayer:
        """See `ElementwiseRecurrent`."""
        return Scanned(MinLSTMCell(input_size, hidden_size))


class SRU(ElementwiseRecurrent):
    """Simple recurrent units (Lei et al. 2018, arXiv 1709.02755), see `SRUCell`.

    Its settings are those of `ElementwiseRecurrent`; the initialiser sets the forget gates' bias.
    Each layer has a highway connection of its own, whatever `skip` is.
    """

    @staticmethod
    def leaf(input_size: int, hidden_size: int) -> RecurrentLayer:
        """See `ElementwiseRecurrent`."""
        return Scanned(SRUCell(input_size, hidden_size))


class QRNN(Recurrent):
    """Quasi-recurrent networks (Bradbury et al. 2016, arXiv 1611.01576), see `QRNNCell`.

    Args:
        input_size: see `MatrixRecurrent`.
        hidden_size: see `MatrixRecurrent`.
        num_layers: see `MatrixRecurrent`.
        bidirectional: see `MatrixRecurrent`.
        skip: see `MatrixRecurrent`.
        dropout: see `MatrixRecurrent`.
        pooling: "f", "fo" or "ifo".
        window: inputs that a step of each layer reads, 1 or 2.
        initializer: see `MatrixRecurrent`; the forget gates' bias is set here too.
        variational: see `MatrixRecurrent`.
        last_size: see `MatrixRecurrent`.
        normalize: see `MatrixRecurrent`.
        zoneout: see `MatrixRecurrent`.
        project: see `MatrixRecurrent`.

    Raises:
        ValueError: see `MatrixRecurrent` and `QRNNCell`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        skip: Skip = "none",
        dropout: float = 0.0,
        pooling: Pooling = "fo",
        window: int = 1,
        initializer: Initializer | None = None,
        variational: bool = False,
        last_size: int | None = None,
        normalize: bool = False,
        zoneout: float = 0.0,
        project: bool = False,
    ) -> None:
        shape = Shape(input_size, hidden_size, num_layers, bidirectional, last_size)
        joints = Joints(skip, dropout, variational, normalize, project)
        super().__init__(
            lambda below, size: Scanned(QRNNCell(below, size, pooling, window)),
            shape,
            joints,
            zoneout,
            initializer,
        )
