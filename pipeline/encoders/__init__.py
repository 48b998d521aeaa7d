"""Encoders: maps from a sequence of vectors to a sequence of states; no embeddings and losses."""

from pipeline.encoders.base import Encoded, Encoder
from pipeline.encoders.carry import (
    Carry,
    concatenate_rows,
    detach_carry,
    flatten_carry,
    select_rows,
    unflatten_carry,
)
from pipeline.encoders.cells.linear import LinearCell, MinGRUCell, MinLSTMCell, QRNNCell, SRUCell
from pipeline.encoders.cells.lstm_variants import CoupledLSTMCell, MogrifierLSTMCell, SLSTMCell
from pipeline.encoders.cells.standard import Cell, ElmanCell, GRUCell, LSTMCell
from pipeline.encoders.elementwise import QRNN, SRU, MinGRU, MinLSTM
from pipeline.encoders.identity import Identity
from pipeline.encoders.initializers import IdentityInitializer, Initializer, Orthogonal, Uniform
from pipeline.encoders.kernels.linear_scan import linear_scan
from pipeline.encoders.layers.fused import Fused
from pipeline.encoders.layers.scanned import Scanned
from pipeline.encoders.layers.unrolled import Unrolled
from pipeline.encoders.layers.weights import RecurrentWeights
from pipeline.encoders.recurrent import GRU, IRNN, LSTM, SLSTM, CoupledLSTM, Elman, MogrifierLSTM
from pipeline.encoders.settings import ElementwiseRecurrent, MatrixRecurrent, Recurrent
from pipeline.encoders.window import Window
from pipeline.encoders.wrappers.base import Normalized
from pipeline.encoders.wrappers.bidirectional import Bidirectional
from pipeline.encoders.wrappers.dropout import DropInputs, VariationalDropout
from pipeline.encoders.wrappers.skips import Dense, Highway, Residual
from pipeline.encoders.wrappers.stacked import Stacked
from pipeline.encoders.wrappers.zoneout import Zoneout

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
    "Recurrent",
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
    "flatten_carry",
    "linear_scan",
    "select_rows",
    "unflatten_carry",
]
