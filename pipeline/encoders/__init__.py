"""What reads a sequence: one interface, the recurrent encoders, and what they are composed of."""

from pipeline.encoders.base import Encoded, Encoder
from pipeline.encoders.carry import Carry, concatenate_rows, detach_carry, select_rows
from pipeline.encoders.cells import Cell, ElmanCell, GRUCell, LSTMCell
from pipeline.encoders.dropout import VariationalDropout
from pipeline.encoders.flat import ElementwiseRecurrent, MatrixRecurrent
from pipeline.encoders.identity import Identity
from pipeline.encoders.initializers import Initializer, Orthogonal, Uniform
from pipeline.encoders.leaves import Fused, Unrolled
from pipeline.encoders.recurrent import GRU, LSTM, Elman
from pipeline.encoders.skips import Dense, Highway, Residual
from pipeline.encoders.weights import RecurrentWeights
from pipeline.encoders.window import Window
from pipeline.encoders.wrappers import Bidirectional, DropInputs, Normalized, Stacked
from pipeline.encoders.zoneout import Zoneout

__all__ = [
    "GRU",
    "LSTM",
    "Bidirectional",
    "Carry",
    "Cell",
    "Dense",
    "DropInputs",
    "ElementwiseRecurrent",
    "Elman",
    "ElmanCell",
    "Encoded",
    "Encoder",
    "Fused",
    "GRUCell",
    "Highway",
    "Identity",
    "Initializer",
    "LSTMCell",
    "MatrixRecurrent",
    "Normalized",
    "Orthogonal",
    "RecurrentWeights",
    "Residual",
    "Stacked",
    "Uniform",
    "Unrolled",
    "VariationalDropout",
    "Window",
    "Zoneout",
    "concatenate_rows",
    "detach_carry",
    "select_rows",
]
