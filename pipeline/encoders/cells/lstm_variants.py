"""Relatives of the LSTM that no kernel computes."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from pipeline.encoders.base import check_at_least_one
from pipeline.encoders.carry import Carry
from pipeline.encoders.cells.standard import Cell
from pipeline.encoders.layers.weights import sigmoid_gates

# Lower than any gate and yet a number: minus infinity less itself would be none.
_NOTHING = -1e30


class CoupledLSTMCell(Cell):
    r"""The LSTM that writes exactly where it forgets.

    Coupled input and forget gates ("CIFG", Greff et al. 2017, arXiv 1503.04069),
    without peepholes. The paper writes f = 1 - i; the forget gate is the one
    with weights here, so that its bias is what it is for the LSTM, and the functions are the same.

    .. math::
        f, o = \sigma(W_{f,o} x + U_{f,o} h + b_{f,o}), \quad g = \tanh(W_g x + U_g h + b_g)

        c' = f \circ c + (1 - f) \circ g, \quad h' = o \circ \tanh(c')

    Args:
        input_size: features of an input.
        hidden_size: features of the state.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, ("forget", "candidate", "output"), num_parts=2)

    def gate_values(self, inputs: Tensor, carry: Carry) -> dict[str, Tensor]:
        """See `RecurrentLayer`; the input gate is one less the forget gate."""
        return sigmoid_gates(self.weights, inputs, carry[0])

    def step(self, projected: Float[Tensor, "batch gates_hidden"], carry: Carry) -> Carry:
        """See `Cell`; the carry is (hidden, memory)."""
        hidden, memory = carry
        gates = projected + F.linear(hidden, self.weight_hh, self.bias_hh)
        forget, candidate, read = gates.chunk(3, dim=1)
        keep = forget.sigmoid()
        memory = keep * memory + (1 - keep) * candidate.tanh()
        return (read.sigmoid() * memory.tanh(), memory)


class MogrifierLSTMCell(Cell):
    r"""The LSTM whose input and state gate each other first (Melis et al. 2020, arXiv 1909.01792).

    With x^{-1} = x and h^0 = h, for rounds i = 1, 2, ... r (section 2, equations 1 and 2):

    .. math::
        x^i = 2 \sigma(Q^i h^{i-1}) \circ x^{i-2} \quad \text{for odd } i

        h^i = 2 \sigma(R^i x^{i-1}) \circ h^{i-2} \quad \text{for even } i

    and the LSTM's step from the last x and h (`LSTMCell`). What the input is multiplied with
    depends on the state before, so that no product is made for all steps at once.

    Args:
        input_size: features of an input.
        hidden_size: features of the state.
        rounds: r; with 0 it is the LSTM.
        rank: of each Q and R, as a product of two matrices; full matrices if omitted.

    Raises:
        ValueError: `rounds` is below 0, or `rank` is below 1.
    """

    def __init__(
        self, input_size: int, hidden_size: int, rounds: int = 5, rank: int | None = None
    ) -> None:
        if rounds < 0:
            raise ValueError(f"rounds must be at least 0, got {rounds}")
        check_at_least_one("rank", 1 if rank is None else rank)
        check_at_least_one("input_size", input_size)
        check_at_least_one("hidden_size", hidden_size)
        shapes: list[tuple[int, int]] = []
        for number in range(rounds):
            source, target = hidden_size, input_size
            if number % 2:
                source, target = target, source
            full = [(target, source)]
            shapes += full if rank is None else [(rank, source), (target, rank)]
        matrices = [nn.Parameter(torch.empty(shape)) for shape in shapes]
        gates = ("input", "forget", "candidate", "output")
        super().__init__(input_size, hidden_size, gates, num_parts=2, others=matrices)
        self.rounds, self.rank = rounds, rank

    def project(
        self, inputs: Float[Tensor, "batch time input"]
    ) -> Float[Tensor, "batch time gates_hidden"]:
        """The inputs as they are: each step gates them first."""
        return inputs

    def step(self, projected: Float[Tensor, "batch gates_hidden"], carry: Carry) -> Carry:
        """See `Cell`; from the input itself, and the carry is (hidden, memory)."""
        hidden, memory = carry
        inputs, hidden = self._mogrify(projected, hidden)
        gates = F.linear(inputs, self.weight_ih, self.bias_ih)
        gates = gates + F.linear(hidden, self.weight_hh, self.bias_hh)
        write, forget, candidate, read = gates.chunk(4, dim=1)
        memory = forget.sigmoid() * memory + write.sigmoid() * candidate.tanh()
        return (read.sigmoid() * memory.tanh(), memory)

    def gate_values(self, inputs: Tensor, carry: Carry) -> dict[str, Tensor]:
        """See `RecurrentLayer`; those of the LSTM, after the rounds."""
        return sigmoid_gates(self.weights, *self._mogrify(inputs, carry[0]))

    def _mogrify(self, inputs: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        factors = 1 if self.rank is None else 2
        matrices = list(self.others)
        for number in range(self.rounds):
            gate = inputs if number % 2 else hidden
            for matrix in matrices[number * factors : (number + 1) * factors]:
                gate = F.linear(gate, matrix)
            if number % 2:
                hidden = 2 * gate.sigmoid() * hidden
            else:
                inputs = 2 * gate.sigmoid() * inputs
        return inputs, hidden


class SLSTMCell(Cell):
    r"""The sLSTM: an exponential input gate, and a memory that is a weighted mean.

    Beck et al. (2024, arXiv 2405.04517, section 2.2, equations 8 to 17), with the logistic
    function as forget gate and a full recurrent matrix (one head); the blocks around it are theirs.

    .. math::
        z = \tanh(W_z x + U_z h + b_z), \quad o = \sigma(W_o x + U_o h + b_o)

        \tilde i = W_i x + U_i h + b_i, \quad f = \sigma(W_f x + U_f h + b_f)

        m' = \max(\log f + m, \tilde i), \quad
        i' = \exp(\tilde i - m'), \quad f' = \exp(\log f + m - m')

        c' = f' \circ c + i' \circ z, \quad n' = f' \circ n + i', \quad h' = o \circ c' / n'

    The stabiliser m changes no state: c and n are sums in units of exp(m), of which the larger
    term of each step is 1 or more. So n' is at least 1 and h in (-1, 1), whatever the gates are.
    An n of 0 is the start, before any sum, whatever m is, and so a carry of zeros is the start.

    Args:
        input_size: features of an input.
        hidden_size: features of the state.
    """

    keeps_float32 = True

    def __init__(self, input_size: int, hidden_size: int) -> None:
        gates = ("input", "forget", "candidate", "output")
        super().__init__(input_size, hidden_size, gates, num_parts=4)
        # Parts of another step would be in another scale than the parts of this one.
        self.num_memories = 1

    def gate_values(self, inputs: Tensor, carry: Carry) -> dict[str, Tensor]:
        """See `RecurrentLayer`; the exponential input gate, which has no upper end, is left out."""
        gates = sigmoid_gates(self.weights, inputs, carry[0])
        return {name: values for name, values in gates.items() if name != "input"}

    def step(self, projected: Float[Tensor, "batch gates_hidden"], carry: Carry) -> Carry:
        """See `Cell`; the carry is (hidden h, memory c, normalizer n, stabilizer m)."""
        hidden, memory, normalizer, stabilizer = carry
        hidden = hidden.to(self.weight_hh.dtype)
        gates = projected + F.linear(hidden, self.weight_hh, self.bias_hh)
        # The exponents of bfloat16 gates would be off by whole parts of a unit.
        gates = gates.to(torch.promote_types(gates.dtype, torch.float32))
        write, forget, candidate, read = gates.chunk(4, dim=1)
        kept = F.logsigmoid(forget) + stabilizer
        kept = torch.where(normalizer == 0, _NOTHING, kept)
        stabilizer = torch.maximum(kept, write)
        keep, add = (kept - stabilizer).exp(), (write - stabilizer).exp()
        memory = keep * memory + add * candidate.tanh()
        normalizer = keep * normalizer + add
        hidden = read.sigmoid() * memory / normalizer
        return (hidden.to(projected.dtype), memory, normalizer, stabilizer)
