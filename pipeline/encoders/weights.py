"""The parameters of one recurrent layer, as initialisers see them."""

from typing import NamedTuple

from torch import Tensor


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
