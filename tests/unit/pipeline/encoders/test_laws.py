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
    detach_carry,
)
from pipeline.encoders.testing import assert_laws
from tests.examples import needs_bfloat16

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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_carry_keeps_no_window_alive(kind, bidirectional):
    # A carry goes into every checkpoint: torch.save writes the whole storage behind a view.
    for layer in KINDS[kind](3, 4, 3, bidirectional)(torch.randn(3, 50, 3)).carry:
        for part in layer:
            assert part.untyped_storage().nbytes() == part.numel() * part.element_size()


@needs_bfloat16
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "elman-relu"])  # unbounded
def test_a_carry_crosses_between_autocast_and_float32(kind):
    torch.manual_seed(1)
    encoder, left, right = KINDS[kind](4, 6, 2), torch.randn(3, 7, 4), torch.randn(3, 7, 4)
    exact = encoder(right, carry=encoder(left).carry).states
    with torch.autocast("cpu", torch.bfloat16):
        carry = detach_carry(encoder(left).carry)
        mixed = encoder(right, carry=carry).states
    after = encoder(right, carry=carry).states
    assert after.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        before = encoder(right, carry=encoder(left).carry).states
    for states in (mixed, after, before):
        # bfloat16 keeps 8 bits: an error of 0.004 of a number of about 1, some steps deep.
        torch.testing.assert_close(states.float(), exact, rtol=0, atol=0.03)
