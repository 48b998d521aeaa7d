"""Recurrent encoders with an elementwise linear recurrence, computed by a scan over all steps."""

from pipeline.encoders.cells.linear import MinGRUCell, MinLSTMCell, Pooling, QRNNCell, SRUCell
from pipeline.encoders.initializers import Initializer
from pipeline.encoders.layers.base import RecurrentLayer
from pipeline.encoders.layers.scanned import Scanned
from pipeline.encoders.settings import ElementwiseRecurrent, Recurrent
from pipeline.encoders.stack import Connections, Skip, StackShape


class MinGRU(ElementwiseRecurrent):
    """Minimal GRUs: layers of `MinGRUCell` (Feng et al. 2024, arXiv 2410.01201).

    Example:
        >>> import torch
        >>> MinGRU(input_size=3, hidden_size=4, num_layers=2)(torch.zeros(1, 5, 3)).states.shape
        torch.Size([1, 5, 4])
    """

    cell_class = MinGRUCell


class MinLSTM(ElementwiseRecurrent):
    """Minimal LSTMs: layers of `MinLSTMCell` (Feng et al. 2024, arXiv 2410.01201).

    Example:
        >>> len(MinLSTM(input_size=3, hidden_size=4).initial_carry(2)[0])  # no separate cell
        1
    """

    cell_class = MinLSTMCell


class SRU(ElementwiseRecurrent):
    """Simple recurrent units: layers of `SRUCell` (Lei et al. 2018, arXiv 1709.02755).

    Each layer contains a highway connection, whatever `skip` is.

    Example:
        >>> SRU(input_size=3, hidden_size=4, bidirectional=True).output_size
        8
    """

    cell_class = SRUCell


class QRNN(Recurrent):
    """Quasi-recurrent networks: layers of `QRNNCell` (Bradbury et al. 2016, arXiv 1611.01576).

    Args:
        pooling: Gates of the recurrence: "f" (forget), "fo" (forget, output) or "ifo" (input,
            forget, output).
        window: Number of inputs that each gate reads, 1 or 2.

    Example:
        >>> encoder = QRNN(input_size=3, hidden_size=4, window=2)
        >>> [tuple(part.shape) for part in encoder.initial_carry(2)[0]]  # cell and last input
        [(2, 4), (2, 3)]
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
        def make_layer(below: int, size: int) -> RecurrentLayer:
            return Scanned(QRNNCell(below, size, pooling, window))

        shape = StackShape(input_size, hidden_size, num_layers, bidirectional, last_size)
        connections = Connections(skip, dropout, variational, normalize, project)
        super().__init__(make_layer, shape, connections, zoneout, initializer)
