"""What does not fit is value_error in one sentence: what was expected, and what came."""

import pytest
import torch

from pipeline.encoders import GRU, LSTM, Bidirectional, Elman, Identity, Window
from pipeline.encoders.base import check_choice, check_lengths
from pipeline.encoders.carry import fit_dtype
from tests.examples import value_error

KINDS = [Elman, GRU, LSTM]
ENCODERS = {
    "causal": LSTM(4, 6),
    "deep": GRU(4, 6, 3),
    "both ways": Elman(4, 6, bidirectional=True),
    "composed": Bidirectional(LSTM(4, 6), GRU(4, 2)),
    "window": Window(4),
    "identity": Identity(4),
}


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS.keys())
@pytest.mark.parametrize("lengths", [[5, -1, 2], [5, 6, 2]])
def test_lengths_out_of_the_columns(encoder, lengths):
    with value_error(f"lengths must be between 0 and 5 (time), got {lengths}"):
        encoder(torch.zeros(3, 5, 4), torch.tensor(lengths))


def test_lengths_of_another_batch_or_kind():
    inputs = torch.zeros(3, 5, 4)
    with value_error("lengths must be [batch=3] for inputs [3, 5, 4], got [1]"):
        check_lengths(inputs, torch.tensor([5]))
    with value_error("lengths must be [batch=3] for inputs [3, 5, 4], got [3, 1]"):
        check_lengths(inputs, torch.ones(3, 1, dtype=torch.long))
    for dtype in (torch.float32, torch.bool):
        with value_error(f"lengths must be whole numbers (torch.int64), got {dtype}"):
            check_lengths(inputs, torch.ones(3, dtype=dtype))


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS.keys())
def test_empty_rows_and_no_rows_are_fine(encoder):
    states = encoder(torch.zeros(3, 5, 4), torch.zeros(3, dtype=torch.long)).states
    assert states.shape == (3, 5, encoder.output_size)
    check_lengths(torch.zeros(0, 5, 4), torch.zeros(0, dtype=torch.long))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("skip", ["none", "residual", "dense", "highway"])
def test_a_carry_of_another_batch_or_depth(kind, skip):
    encoder, inputs = kind(4, 6, 2, skip=skip), torch.zeros(3, 5, 4)
    parts = 2 if kind is LSTM else 1
    with value_error(
        f"Fused expects a carry of {parts} tensors [batch=3 hidden=6], got "
        f"{[[2, 6]] * parts}; initial_carry(3) returns a new one"
    ):
        encoder(inputs, carry=encoder.initial_carry(2))
    for layers in (1, 3):
        with value_error(f"Stacked expects a carry of 2 parts, one for each layer, got {layers}"):
            encoder(inputs, carry=kind(4, 6, layers, skip=skip).initial_carry(3))


def of_dtype(dtype):
    return tuple(torch.ones(2, 6).to(dtype) for _ in range(2))


@pytest.mark.parametrize(
    ("encoder", "dtype"),
    [
        (torch.float32, torch.float64),
        (torch.float32, torch.int64),
        (torch.float32, torch.bool),
        (torch.bfloat16, torch.float32),
        (torch.bfloat16, torch.float16),
    ],
)
def test_a_carry_that_would_lose_digits(encoder, dtype):
    message = (
        f"Fused expects a floating-point carry of {encoder} or lower precision, got {dtype}; "
        "convert the carry or the encoder explicitly"
    )
    with value_error(message):
        fit_dtype("Fused", of_dtype(dtype), encoder)


@pytest.mark.parametrize(
    ("encoder", "dtype"),
    [
        (torch.float32, torch.float32),
        (torch.float32, torch.bfloat16),  # what autocast leaves
        (torch.float32, torch.float16),
        (torch.float64, torch.float32),
    ],
)
def test_a_carry_that_fits(encoder, dtype):
    assert all(part.dtype == encoder for part in fit_dtype("Fused", of_dtype(dtype), encoder))


def test_a_float64_carry_is_refused_by_the_encoder():
    with pytest.raises(
        ValueError, match=r"^Fused expects a floating-point carry of torch\.float32 or"
    ):
        LSTM(4, 6)(torch.zeros(2, 5, 4), carry=(of_dtype(torch.float64),))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("skip", ["residual", "highway"])
def test_a_skip_between_unequal_sizes(kind, skip):
    with value_error(
        f"skip={skip} adds the inputs of layer 3, 10 features, to its states, 4 features, which "
        "needs equal sizes; change input_size, hidden_size or last_size, or set project=True"
    ):
        kind(3, 5, num_layers=3, bidirectional=True, skip=skip, last_size=2)
    assert kind(3, 5, 3, True, skip, last_size=2, project=True).output_size == 4


def test_one_feature_cannot_be_normalised():
    with value_error(
        "Normalized needs an encoder with an input_size of at least 2, because one feature "
        "equals its mean and would become 0, got input_size 1"
    ):
        LSTM(4, 1, num_layers=2, normalize=True)


def test_an_unknown_skip():
    # Not through a constructor: there, the tests' type checker would answer first.
    with value_error("skip must be one of none, residual, dense, highway, got 'jump'"):
        check_choice("skip", "jump", ("none", "residual", "dense", "highway"))


@pytest.mark.parametrize("skip", ["none", "residual", "dense", "highway"])
def test_64_layers_run(skip):
    torch.manual_seed(1)
    encoder = GRU(4, 4, num_layers=64, skip=skip)
    inputs = torch.randn(2, 3, 4)
    states, carry = encoder(inputs)
    assert states.shape == (2, 3, 4 + 64 * 4 if skip == "dense" else 4)
    assert states.isfinite().all()
    assert len(carry) == 64
    right = encoder(inputs[:, 2:], carry=encoder(inputs[:, :2]).carry)
    torch.testing.assert_close(right.states, states[:, 2:])
