"""The parameters of one recurrent layer, as initializers see them."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F  # noqa: N812

_NO_GATES = ("candidate", "skip")


class RecurrentWeights(NamedTuple):
    """The parameters of one direction of one layer, gates stacked along dimension 0.

    There are two biases, as in torch's kernels. Only their sum matters, except for the candidate of
    a GRU with `reset="after"`, where the reset gate scales the recurrent bias. A layer with an
    elementwise recurrence (`LinearCell`) has neither a recurrent matrix nor its bias.

    Attributes:
        input: Input matrix [gates*hidden input]; [gates*hidden window*input] if a step reads
            several inputs.
        recurrent: Recurrent matrix [gates*hidden hidden], or None.
        input_bias: Bias [gates*hidden].
        recurrent_bias: Bias [gates*hidden], or None.
        gates: Names in order, out of "reset", "update", "input", "forget", "candidate", "output"
            and "skip".
        others: Matrices [out in] that belong to no gate.
    """

    input: Tensor
    recurrent: Tensor | None
    input_bias: Tensor
    recurrent_bias: Tensor | None
    gates: tuple[str, ...]
    others: tuple[Tensor, ...] = ()

    @property
    def tensors(self) -> list[Tensor]:
        """All parameters, in the order of the fields."""
        named = (self.input, self.recurrent, self.input_bias, self.recurrent_bias)
        return [tensor for tensor in named if tensor is not None] + list(self.others)

    @property
    def hidden_size(self) -> int:
        """Number of features of the state."""
        return len(self.input_bias) // len(self.gates)


def sigmoid_gates(weights: RecurrentWeights, inputs: Tensor, hidden: Tensor) -> dict[str, Tensor]:
    """Computes the gates at one step, for cells whose gates are sigmoid(W x + b + U h + b').

    Without a recurrent matrix the gates read only the inputs [batch input]. Returns gate name ->
    values in [0, 1], [batch hidden], without "candidate" and "skip".
    """
    total = F.linear(inputs, weights.input, weights.input_bias)
    if weights.recurrent is not None:
        total = total + F.linear(hidden, weights.recurrent, weights.recurrent_bias)
    parts = total.chunk(len(weights.gates), dim=-1)
    named = zip(weights.gates, parts, strict=True)
    return {name: part.sigmoid() for name, part in named if name not in _NO_GATES}
