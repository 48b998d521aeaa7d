"""The parameters of one recurrent layer, as initialisers see them."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F  # noqa: N812

_NO_GATES = ("candidate", "skip")


class RecurrentWeights(NamedTuple):
    """The parameters of one direction of one layer, gates stacked along dimension 0.

    Two biases, as in the kernels of torch: their sum is what counts, except for the candidate of
    a GRU with `reset="after"`, where the reset gate scales the recurrent one. A layer whose units
    do not see each other's past (`LinearCell`) has neither a recurrent matrix nor its bias.

    Attributes:
        input: [gates*hidden input], or of a layer that reads some inputs at a step
            [gates*hidden inputs*input].
        recurrent: [gates*hidden hidden], or None.
        input_bias: [gates*hidden].
        recurrent_bias: [gates*hidden], or None.
        gates: their names, in order, of "reset", "update", "input", "forget", "candidate",
            "output" and "skip".
        others: matrices [out in] that belong to no gate.
    """

    input: Tensor
    recurrent: Tensor | None
    input_bias: Tensor
    recurrent_bias: Tensor | None
    gates: tuple[str, ...]
    others: tuple[Tensor, ...] = ()

    @property
    def tensors(self) -> list[Tensor]:
        """All parameters that there are, in the order of the fields."""
        named = (self.input, self.recurrent, self.input_bias, self.recurrent_bias)
        return [tensor for tensor in named if tensor is not None] + list(self.others)

    @property
    def hidden_size(self) -> int:
        """Features of the state."""
        return len(self.input_bias) // len(self.gates)


def sigmoid_gates(weights: RecurrentWeights, inputs: Tensor, hidden: Tensor) -> dict[str, Tensor]:
    """Computes the gates at one step, for cells whose gates are sigmoid(W x + b + U h + b').

    Args:
        weights: of the layer; those without a recurrent matrix read inputs only.
        inputs: what the input matrix reads, [batch input].
        hidden: the state before the step, [batch hidden].

    Returns:
        Name -> values in [0, 1], [batch hidden]; what is no gate ("candidate", "skip") is left out.
    """
    total = F.linear(inputs, weights.input, weights.input_bias)
    if weights.recurrent is not None:
        total = total + F.linear(hidden, weights.recurrent, weights.recurrent_bias)
    parts = total.chunk(len(weights.gates), dim=-1)
    named = zip(weights.gates, parts, strict=True)
    return {name: part.sigmoid() for name, part in named if name not in _NO_GATES}
