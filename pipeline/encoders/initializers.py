"""Initializers of recurrent layers, to be passed to an encoder."""

import abc

import torch
from torch import nn

from pipeline.encoders.layers.weights import RecurrentWeights


class Initializer(abc.ABC):
    """Base class of initializers: set the parameters of one recurrent layer in place."""

    @abc.abstractmethod
    def __call__(self, weights: RecurrentWeights) -> None:
        """Sets every tensor of `weights`, with torch's global random generator."""


class Orthogonal(Initializer):
    """Orthogonal recurrent matrices, Xavier-uniform input matrices, zero biases; the default.

    Each gate's matrix is initialized separately (Saxe et al. 2013, arXiv 1312.6120; Glorot and
    Bengio 2010). Only the forget gate's bias is not 0.

    Args:
        forget_bias: Total bias of each forget gate (torch's LSTM has two biases, which are added);
            Jozefowicz et al. (2015) recommend 1. It has no effect on cells without forget gate.

    Example:
        >>> from pipeline.encoders import LSTMCell
        >>> cell = LSTMCell(input_size=2, hidden_size=1)
        >>> Orthogonal(forget_bias=3.0)(cell.weights)
        >>> cell.bias_ih.tolist()  # input, forget, candidate, output
        [0.0, 3.0, 0.0, 0.0]
    """

    def __init__(self, forget_bias: float = 1.0) -> None:
        self.forget_bias = forget_bias

    @torch.no_grad()
    def __call__(self, weights: RecurrentWeights) -> None:
        """See `Initializer`."""
        count = len(weights.gates)
        for block in weights.input.chunk(count):
            nn.init.xavier_uniform_(block)
        for matrix in weights.others:
            nn.init.xavier_uniform_(matrix)
        if weights.recurrent is not None:
            for block in weights.recurrent.chunk(count):
                nn.init.orthogonal_(block)
        _zero_biases(weights)
        for gate, block in zip(weights.gates, weights.input_bias.chunk(count), strict=True):
            if gate == "forget":
                block.fill_(self.forget_bias)


class Uniform(Initializer):
    """Every parameter, including biases, uniform in [-scale, scale].

    Both biases of torch's layers are drawn, as in the code of Zaremba et al. (2014, arXiv
    1409.2329), whose layers add two linear maps with a bias each.

    Args:
        scale: Bound of the values: 0.1 in Zaremba's small model, 0.05 in the medium and 0.04 in
            the large one. If None, torch's default of 1 / sqrt(hidden size), as in AWD-LSTM
            (Merity et al. 2018, arXiv 1708.02182).

    Raises:
        ValueError: If `scale` is not above 0.

    Example:
        >>> from pipeline.encoders import LSTM
        >>> encoder = LSTM(2, 3, initializer=Uniform(0.05))
        >>> bool((encoder.state_dict()["layers.layers.0.kernel.bias_ih_l0"].abs() <= 0.05).all())
        True
    """

    def __init__(self, scale: float | None = 0.1) -> None:
        if scale is not None and not scale > 0:
            raise ValueError(f"scale must be above 0, got {scale}")
        self.scale = scale

    @torch.no_grad()
    def __call__(self, weights: RecurrentWeights) -> None:
        """See `Initializer`."""
        scale = weights.hidden_size**-0.5 if self.scale is None else self.scale
        for parameter in weights.tensors:
            parameter.uniform_(-scale, scale)


class IdentityInitializer(Initializer):
    """Scaled identity for recurrent matrices, Gaussian input matrices, zero biases.

    With ReLU units it is the IRNN of Le et al. (2015, arXiv 1504.00941, section 3): states and
    gradients are copied from step to step at the start of training.

    Args:
        scale: Diagonal value: 1 in the paper, and 0.01 for its tasks with shorter dependencies.
        input_std: Standard deviation of the other weights; 0.001 in the paper.

    Raises:
        ValueError: If `input_std` is not above 0.

    Example:
        >>> from pipeline.encoders import LSTMCell
        >>> cell = LSTMCell(input_size=2, hidden_size=1)
        >>> IdentityInitializer(scale=0.5)(cell.weights)
        >>> cell.weight_hh.flatten().tolist()
        [0.5, 0.5, 0.5, 0.5]
    """

    def __init__(self, scale: float = 1.0, input_std: float = 0.001) -> None:
        if not input_std > 0:
            raise ValueError(f"input_std must be above 0, got {input_std}")
        self.scale, self.input_std = scale, input_std

    @torch.no_grad()
    def __call__(self, weights: RecurrentWeights) -> None:
        """See `Initializer`."""
        for matrix in (weights.input, *weights.others):
            nn.init.normal_(matrix, std=self.input_std)
        if weights.recurrent is not None:
            for block in weights.recurrent.chunk(len(weights.gates)):
                nn.init.eye_(block).mul_(self.scale)
        _zero_biases(weights)


def _zero_biases(weights: RecurrentWeights) -> None:
    weights.input_bias.zero_()
    if weights.recurrent_bias is not None:
        weights.recurrent_bias.zero_()
