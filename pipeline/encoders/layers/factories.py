"""One direction of one layer, of each cell that torch or a loop computes."""

from typing import Literal, TypeAlias

import torch
from torch import nn

from pipeline.encoders.base import check_at_least_one, check_choice
from pipeline.encoders.cells.standard import ElmanCell, GRUCell, Reset
from pipeline.encoders.layers.leaves import Fused, Leaf, Unrolled

Nonlinearity: TypeAlias = Literal["tanh", "relu", "sigmoid"]


def elman_leaf(
    input_size: int, hidden_size: int, nonlinearity: Nonlinearity, weight_dropout: float
) -> Leaf:
    """An Elman layer: torch's kernel for tanh and relu, a loop for the paper's sigmoid."""
    _check_sizes(input_size, hidden_size)
    check_choice("nonlinearity", nonlinearity, ("tanh", "relu", "sigmoid"))
    if nonlinearity == "sigmoid":
        return Unrolled(ElmanCell(input_size, hidden_size, torch.sigmoid), weight_dropout)
    kernel = nn.RNN(input_size, hidden_size, nonlinearity=nonlinearity, batch_first=True)
    return Fused(kernel, weight_dropout)


def gru_leaf(input_size: int, hidden_size: int, reset: Reset, weight_dropout: float) -> Leaf:
    """A GRU layer: a kernel for reset after the product, a loop for reset before it."""
    _check_sizes(input_size, hidden_size)
    if reset == "after":
        return Fused(nn.GRU(input_size, hidden_size, batch_first=True), weight_dropout)
    return Unrolled(GRUCell(input_size, hidden_size, reset), weight_dropout)


def lstm_leaf(input_size: int, hidden_size: int, weight_dropout: float) -> Leaf:
    """An LSTM layer."""
    _check_sizes(input_size, hidden_size)
    return Fused(nn.LSTM(input_size, hidden_size, batch_first=True), weight_dropout)


def _check_sizes(input_size: int, hidden_size: int) -> None:
    check_at_least_one("input_size", input_size)
    check_at_least_one("hidden_size", hidden_size)
