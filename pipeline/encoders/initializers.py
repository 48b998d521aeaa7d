"""First values of recurrent weights, as parts to pass to an encoder."""

import abc

import torch
from torch import nn

from pipeline.encoders.layers.weights import RecurrentWeights


class Initializer(abc.ABC):
    """Fills the parameters of one recurrent layer in place, from torch's global generator."""

    @abc.abstractmethod
    def __call__(self, weights: RecurrentWeights) -> None:
        """Writes every tensor of `weights`; each parameter must get a value."""


class Orthogonal(Initializer):
    """The default: orthogonal recurrent, Xavier input, zero bias, open forget gates.

    Each gate's recurrent matrix is orthogonal by itself (Saxe et al. 2013, arXiv 1312.6120), each
    gate's input matrix is Xavier uniform by itself (Glorot and Bengio 2010), and the biases are
    0, save the forget gate's. A layer without recurrent matrix gets the rest of it.

    Args:
        forget_bias: the bias of each forget gate in all, that is for the LSTM the sum of torch's
            two (Gers et al. 2000; Jozefowicz et al. 2015 recommend 1); no effect on cells without
            a gate of that name.
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
    """Every parameter, biases included, uniform in [-scale, scale]: the published recipes.

    Both of torch's biases are drawn, as in the code of Zaremba et al. (2014, arXiv 1409.2329),
    whose layers add two linear maps with a bias each.

    Args:
        scale: half the width; Zaremba's small model 0.1, medium 0.05, large 0.04. None is what
            torch's own layers start with, 1 / sqrt(hidden size), as in AWD-LSTM (Merity et al.
            2018, arXiv 1708.02182).

    Raises:
        ValueError: `scale` is not above 0.
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
    """A multiple of the identity for each gate's recurrent matrix, biases 0, small Gaussian inputs.

    With ReLU units it is the IRNN of Le et al. (2015, arXiv 1504.00941, section 3): a state is the
    one before it, until learning or an input changes it, and so is the gradient. Where there is no
    recurrent matrix, only the rest is done.

    Args:
        scale: the diagonal; 1 in the paper, and 0.01 where its tasks need less memory.
        input_std: standard deviation of the other weights; 0.001 in the paper.

    Raises:
        ValueError: `input_std` is not above 0.
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
