"""Variants of the LSTM without a kernel."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from pipeline.encoders.base import check_at_least_one, check_sizes
from pipeline.encoders.carry import Carry
from pipeline.encoders.cells.standard import Cell
from pipeline.encoders.layers.weights import sigmoid_gates

# Below every gate, but finite: inf - inf would be nan.
_NOTHING = -1e30


class CoupledLSTMCell(Cell):
    r"""The LSTM with coupled input and forget gates ("CIFG", Greff et al. 2017, arXiv 1503.04069).

    It has no peepholes. The paper computes i and sets f = 1 - i; here f is computed, so that its
    bias has the same meaning as for the LSTM. Both define the same functions.

    .. math::
        f, o = \sigma(W_{f,o} x + U_{f,o} h + b_{f,o}), \quad g = \tanh(W_g x + U_g h + b_g)

        c' = f \circ c + (1 - f) \circ g, \quad h' = o \circ \tanh(c')

    Args:
        input_size: Number of features of each input.
        hidden_size: Number of features of the state.

    Example:
        >>> CoupledLSTMCell(input_size=3, hidden_size=4).gates  # input = 1 - forget
        ('forget', 'candidate', 'output')
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, ("forget", "candidate", "output"), num_parts=2)

    def step(self, projected: Float[Tensor, "batch gates_hidden"], carry: Carry) -> Carry:
        """See `Cell`; the carry is (hidden, cell)."""
        hidden, cell = carry
        gates = projected + F.linear(hidden, self.weight_hh, self.bias_hh)
        forget, candidate, read = gates.chunk(3, dim=1)
        keep = forget.sigmoid()
        cell = keep * cell + (1 - keep) * candidate.tanh()
        return (read.sigmoid() * cell.tanh(), cell)


class MogrifierLSTMCell(Cell):
    r"""The LSTM with mutual gating of input and state (Melis et al. 2020, arXiv 1909.01792).

    With x^{-1} = x and h^0 = h, for rounds i = 1, 2, ... r (section 2, equations 1 and 2):

    .. math::
        x^i = 2 \sigma(Q^i h^{i-1}) \circ x^{i-2} \quad \text{for odd } i

        h^i = 2 \sigma(R^i x^{i-1}) \circ h^{i-2} \quad \text{for even } i

    followed by the step of `LSTMCell` from the last x and h. The gated input depends on the last
    state, so the input products cannot be computed for all steps at once.

    Args:
        input_size: Number of features of each input.
        hidden_size: Number of features of the state.
        rounds: Number of rounds r; 0 makes it an LSTM.
        rank: Rank of each Q and R, as a product of two matrices; full matrices if omitted.

    Raises:
        ValueError: If `rounds` is below 0 or `rank` is below 1.

    Example:
        >>> import torch
        >>> cell = MogrifierLSTMCell(input_size=3, hidden_size=4, rounds=0)  # an LSTM
        >>> len(cell.others), sorted(cell.gate_values(torch.zeros(1, 3), (torch.zeros(1, 4),)))
        (0, ['forget', 'input', 'output'])
    """

    def __init__(
        self, input_size: int, hidden_size: int, rounds: int = 5, rank: int | None = None
    ) -> None:
        if rounds < 0:
            raise ValueError(f"rounds must be at least 0, got {rounds}")
        check_at_least_one("rank", 1 if rank is None else rank)
        check_sizes(input_size, hidden_size)
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
        """Returns the inputs unchanged, because each step gates them first."""
        return inputs

    def step(self, projected: Float[Tensor, "batch gates_hidden"], carry: Carry) -> Carry:
        """See `Cell`; `projected` is the input, and the carry is (hidden, cell)."""
        hidden, cell = carry
        inputs, hidden = self._mogrify(projected, hidden)
        gates = F.linear(inputs, self.weight_ih, self.bias_ih)
        gates = gates + F.linear(hidden, self.weight_hh, self.bias_hh)
        write, forget, candidate, read = gates.chunk(4, dim=1)
        cell = forget.sigmoid() * cell + write.sigmoid() * candidate.tanh()
        return (read.sigmoid() * cell.tanh(), cell)

    def gate_values(self, inputs: Tensor, carry: Carry) -> dict[str, Tensor]:
        """See `RecurrentLayer`; the gates of the LSTM after the rounds."""
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
    r"""The sLSTM: an exponential input gate and a normalized cell state.

    Beck et al. (2024, arXiv 2405.04517, section 2.2, equations 8 to 17), with the logistic
    function as forget gate and a full recurrent matrix (one head), without the paper's blocks.

    .. math::
        z = \tanh(W_z x + U_z h + b_z), \quad o = \sigma(W_o x + U_o h + b_o)

        \tilde i = W_i x + U_i h + b_i, \quad f = \sigma(W_f x + U_f h + b_f)

        m' = \max(\log f + m, \tilde i), \quad
        i' = \exp(\tilde i - m'), \quad f' = \exp(\log f + m - m')

        c' = f' \circ c + i' \circ z, \quad n' = f' \circ n + i', \quad h' = o \circ c' / n'

    The stabilizer m does not change the states: c and n are sums in units of exp(m), so that the
    largest term is at least 1, n' >= 1 and h is in (-1, 1). n = 0 marks the start, whatever m is;
    the initial carry is therefore zeros.

    Args:
        input_size: Number of features of each input.
        hidden_size: Number of features of the state.

    Example:
        >>> import torch
        >>> cell = SLSTMCell(input_size=3, hidden_size=4)
        >>> states, _ = cell(1e6 * torch.ones(1, 9, 3), (torch.zeros(1, 4),) * 4)
        >>> bool((states.abs() <= 1).all())
        True
    """

    keeps_float32 = True

    def __init__(self, input_size: int, hidden_size: int) -> None:
        gates = ("input", "forget", "candidate", "output")
        super().__init__(input_size, hidden_size, gates, num_parts=4)
        # The other parts are in units of m, which changes with each step.
        self.num_zoneout_parts = 1

    def gate_values(self, inputs: Tensor, carry: Carry) -> dict[str, Tensor]:
        """See `RecurrentLayer`; without the input gate, which is unbounded."""
        gates = super().gate_values(inputs, carry)
        return {name: values for name, values in gates.items() if name != "input"}

    def step(self, projected: Float[Tensor, "batch gates_hidden"], carry: Carry) -> Carry:
        """See `Cell`; the carry is (hidden h, cell c, normalizer n, stabilizer m)."""
        hidden, cell, normalizer, stabilizer = carry
        hidden = hidden.to(self.weight_hh.dtype)
        gates = projected + F.linear(hidden, self.weight_hh, self.bias_hh)
        # Exponents in bfloat16 would be too inexact.
        gates = gates.to(torch.promote_types(gates.dtype, torch.float32))
        write, forget, candidate, read = gates.chunk(4, dim=1)
        kept = F.logsigmoid(forget) + stabilizer
        kept = torch.where(normalizer == 0, _NOTHING, kept)
        stabilizer = torch.maximum(kept, write)
        keep, add = (kept - stabilizer).exp(), (write - stabilizer).exp()
        cell = keep * cell + add * candidate.tanh()
        normalizer = keep * normalizer + add
        hidden = read.sigmoid() * cell / normalizer
        return (hidden.to(projected.dtype), cell, normalizer, stabilizer)
