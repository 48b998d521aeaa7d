"""Every encoder that a configuration can name keeps every law."""

import itertools
from functools import partial

import pytest
import torch
from torch import nn

from pipeline.encoders import (
    GRU,
    IRNN,
    LSTM,
    QRNN,
    SLSTM,
    SRU,
    Bidirectional,
    CoupledLSTM,
    DropInputs,
    Elman,
    ElmanCell,
    Fused,
    GRUCell,
    LSTMCell,
    MinGRU,
    MinLSTM,
    MogrifierLSTM,
    Residual,
    Stacked,
    Unrolled,
)
from pipeline.encoders.testing import assert_laws

KINDS = {
    "elman-tanh": Elman,
    "elman-relu": partial(Elman, nonlinearity="relu"),
    "elman-sigmoid": partial(Elman, nonlinearity="sigmoid"),
    "gru-after": GRU,
    "gru-before": partial(GRU, reset="before"),
    "lstm": LSTM,
    "irnn": IRNN,
    "lstm-coupled": CoupledLSTM,
    "lstm-mogrifier": partial(MogrifierLSTM, rounds=3),
    "lstm-mogrifier-low-rank": partial(MogrifierLSTM, rounds=2, rank=2),
    "slstm": SLSTM,
    "mingru": MinGRU,
    "minlstm": MinLSTM,
    "qrnn-f": partial(QRNN, pooling="f"),
    "qrnn-fo": QRNN,
    "qrnn-ifo-window": partial(QRNN, pooling="ifo", window=2),
    "sru": SRU,
}


DEPTHS = list(itertools.product([1, 3], [False, True], ["none", "residual", "dense", "highway"]))


def setting(depth):
    num_layers, bidirectional, skip = depth
    return f"{num_layers}-{'both' if bidirectional else 'one'}-{skip}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", DEPTHS, ids=setting)
def test_laws(kind, depth):
    num_layers, bidirectional, skip = depth
    settings = {"num_layers": num_layers, "bidirectional": bidirectional, "skip": skip}
    make = partial(KINDS[kind], 3, 4, dropout=0.5, **settings)
    assert_laws(make)
    assert make().is_causal is not bidirectional


@pytest.mark.parametrize("kind", KINDS)
def test_laws_of_everything_at_once(kind):
    """Unequal sizes, normalised, zoned out: two layers, both ways, past a projected highway."""
    settings = {"last_size": 2, "normalize": True, "zoneout": 0.2, "project": True}
    assert_laws(partial(KINDS[kind], 3, 4, 2, True, "highway", **settings))


COMPOSED = {
    "a wrapper of other sizes each way": lambda: Bidirectional(
        Unrolled(LSTMCell(3, 2)), Unrolled(ElmanCell(3, 4, torch.relu))
    ),
    "a stack of different encoders": lambda: Stacked(
        [Elman(3, 4, bidirectional=True), LSTM(8, 2), Residual(Unrolled(GRUCell(2, 2, "before")))]
    ),
    "both directions of a stack": lambda: Bidirectional(LSTM(3, 2, 2), LSTM(3, 2, 2)),
    "dropout on what is read": lambda: DropInputs(GRU(3, 2), 0.3),
}


@pytest.mark.parametrize("make", COMPOSED.values(), ids=COMPOSED.keys())
def test_laws_of_compositions(make):
    assert_laws(make)


def test_fused_is_a_leaf_by_itself():
    assert_laws(lambda: Fused(nn.GRU(3, 5, batch_first=True)))
