"""Every setting can be written in a configuration or as a flag."""

import pytest
import torch
from jsonargparse import ArgumentParser

from pipeline.encoders import (
    GRU,
    IRNN,
    LSTM,
    QRNN,
    SLSTM,
    SRU,
    CoupledLSTM,
    Elman,
    Encoder,
    MinGRU,
    MinLSTM,
    MogrifierLSTM,
    Uniform,
)


def build(*flags):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--encoder", type=Encoder)
    return parser.instantiate(parser.parse_args(list(flags))).encoder


def build_from(words):
    """Builds `CLASS name=value ...`, each word a flag."""
    name, *settings = words.split()
    return build(f"--encoder={name}", *(f"--encoder.{setting}" for setting in settings))


def test_short_names_and_flags():
    encoder = build_from(
        "LSTM input_size=3 hidden_size=8 num_layers=2 bidirectional=true skip=residual dropout=0.5"
        " initializer=Uniform initializer.scale=0.25"
    )
    torch.manual_seed(1)
    expected = LSTM(3, 8, 2, True, "residual", 0.5, Uniform(0.25))
    assert str(encoder) == str(expected)
    largest = max(parameter.abs().max() for parameter in encoder.parameters())
    assert 0.24 < largest <= 0.25


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Elman nonlinearity=sigmoid", Elman(3, 8, nonlinearity="sigmoid")),
        ("Elman nonlinearity=relu", Elman(3, 8, nonlinearity="relu")),
        ("pipeline.encoders.GRU reset=before", GRU(3, 8, reset="before")),
        ("GRU", GRU(3, 8)),
        ("IRNN num_layers=2", IRNN(3, 8, 2)),
        ("CoupledLSTM", CoupledLSTM(3, 8)),
        ("MogrifierLSTM rounds=4 rank=2", MogrifierLSTM(3, 8, rounds=4, rank=2)),
        ("SLSTM skip=residual", SLSTM(3, 8, skip="residual")),
        ("MinGRU bidirectional=true", MinGRU(3, 8, bidirectional=True)),
        ("MinLSTM", MinLSTM(3, 8)),
        ("QRNN pooling=ifo window=2", QRNN(3, 8, pooling="ifo", window=2)),
        ("SRU", SRU(3, 8)),
    ],
)
def test_options_of_each(words, expected):
    encoder = build_from(f"{words} input_size=3 hidden_size=8")
    assert type(encoder) is type(expected)
    assert str(encoder) == str(expected)
    shapes = {name: value.shape for name, value in expected.state_dict().items()}
    assert {name: value.shape for name, value in encoder.state_dict().items()} == shapes


def test_class_path_and_init_args():
    encoder = build(
        """--encoder={class_path: pipeline.encoders.LSTM, init_args: {input_size: 3, hidden_size: 8,
        initializer: {class_path: pipeline.encoders.Orthogonal, init_args: {forget_bias: 3}}}}"""
    )
    bias = encoder.layers.layers[0].weights.input_bias
    assert bias[8:16].tolist() == [3.0] * 8


def test_the_base_of_the_flat_encoders_is_not_offered():
    with pytest.raises(Exception, match="Recurrent"):
        build("--encoder=pipeline.encoders.settings.Recurrent")
