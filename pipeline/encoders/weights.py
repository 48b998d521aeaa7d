"""The parameters of one recurrent layer, as initialisers see them."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F  # noqa: N812


class RecurrentWeights(NamedTuple):
    """The parameters of one direction of one layer, gates stacked along dimension 0.

    Two biases, as in the kernels of torch: their sum is what counts, except for the candidate of
    a GRU with `reset="after"`, where the reset gate scales the recurrent one.

    Attributes:
        input: [gates*hidden input].
        recurrent: [gates*hidden hidden].
        input_bias: [gates*hidden].
        recurrent_bias: [gates*hidden].
        gates: their names, in order, of "reset", "update", "input", "forget", "candidate" and
            "output".
    """

    input: Tensor
    recurrent: Tensor
    input_bias: Tensor
    recurrent_bias: Tensor
    gates: tuple[str, ...]


def sigmoid_gates(weights: RecurrentWeights, inputs: Tensor, hidden: Tensor) -> dict[str, Tensor]:
    """Computes the gates at one step, for cells whose gates are sigmoid(W x + b + U h + b').

    Args:
        weights: of the layer.
        inputs: [batch input].
        hidden: the state before the step, [batch hidden].

    Returns:
        Name -> values in [0, 1], [batch hidden]; "candidate", which is no gate, is left out.
    """
    from_inputs = F.linear(inputs, weights.input, weights.input_bias)
    total = from_inputs + F.linear(hidden, weights.recurrent, weights.recurrent_bias)
    parts = total.chunk(len(weights.gates), dim=-1)
    named = zip(weights.gates, parts, strict=True)
    return {name: part.sigmoid() for name, part in named if name != "candidate"}
