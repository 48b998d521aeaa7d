"""What reads a sequence: one interface, the recurrent encoders, and what they are composed of."""

from pipeline.encoders.base import Encoded, Encoder
from pipeline.encoders.carry import Carry, concatenate_rows, detach_carry, select_rows
from pipeline.encoders.cells import Cell, ElmanCell, GRUCell, LSTMCell
from pipeline.encoders.dropout import VariationalDropout
from pipeline.encoders.flat import ElementwiseRecurrent, MatrixRecurrent
from pipeline.encoders.identity import Identity
from pipeline.encoders.initializers import IdentityInitializer, Initializer, Orthogonal, Uniform
from pipeline.encoders.leaves import Fused, Unrolled
from pipeline.encoders.linear import QRNN, SRU, MinGRU, MinLSTM
from pipeline.encoders.linear_cells import LinearCell, MinGRUCell, MinLSTMCell, QRNNCell, SRUCell
from pipeline.encoders.lstm_cells import CoupledLSTMCell, MogrifierLSTMCell, SLSTMCell
from pipeline.encoders.recurrent import GRU, LSTM, Elman
from pipeline.encoders.relatives import IRNN, SLSTM, CoupledLSTM, MogrifierLSTM
from pipeline.encoders.scan import linear_scan
from pipeline.encoders.scanned import Scanned
from pipeline.encoders.skips import Dense, Highway, Residual
from pipeline.encoders.weights import RecurrentWeights
from pipeline.encoders.window import Window
from pipeline.encoders.wrappers import Bidirectional, DropInputs, Normalized, Stacked
from pipeline.encoders.zoneout import Zoneout

__all__ = [
    "GRU",
    "IRNN",
    "LSTM",
    "QRNN",
    "SLSTM",
    "SRU",
    "Bidirectional",
    "Carry",
    "Cell",
    "CoupledLSTM",
    "CoupledLSTMCell",
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
    "IdentityInitializer",
    "Initializer",
    "LSTMCell",
    "LinearCell",
    "MatrixRecurrent",
    "MinGRU",
    "MinGRUCell",
    "MinLSTM",
    "MinLSTMCell",
    "MogrifierLSTM",
    "MogrifierLSTMCell",
    "Normalized",
    "Orthogonal",
    "QRNNCell",
    "RecurrentWeights",
    "Residual",
    "SLSTMCell",
    "SRUCell",
    "Scanned",
    "Stacked",
    "Uniform",
    "Unrolled",
    "VariationalDropout",
    "Window",
    "Zoneout",
    "concatenate_rows",
    "detach_carry",
    "linear_scan",
    "select_rows",
]
