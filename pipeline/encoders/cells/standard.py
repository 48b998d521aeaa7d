"""One step of each recurrence, written out.

The input's share of the gates does not depend on the step before, so a cell computes it for all
steps in one product (`project`), outside the loop.
"""

import abc
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from pipeline.encoders.base import check_at_least_one, check_choice
from pipeline.encoders.carry import Carry
from pipeline.encoders.initializers import Orthogonal
from pipeline.encoders.layers.weights import RecurrentWeights, sigmoid_gates

Reset: TypeAlias = Literal["after", "before"]


class Cell(nn.Module, abc.ABC):
    """One step of a recurrence; the parameters have the names and layout of torch's cells.

    They start as `Orthogonal()` leaves them.

    Args:
        input_size: features of an input.
        hidden_size: features of the state.
        gates: names of the gates, in the order of the rows of the weights.
        num_parts: tensors [batch hidden] in the carry; the first is the state that is read.
        others: matrices [out in] beyond those of the gates, yet without values.

    Attributes:
        num_memories: parts of the carry, the first ones, of which each unit may keep an old value
            by itself, as zoneout has it.
        keeps_float32: the carry is of float32 at least, where the parameters are of less.
    """

    keeps_float32 = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        gates: tuple[str, ...],
        num_parts: int,
        others: Sequence[nn.Parameter] = (),
    ) -> None:
        super().__init__()
        check_at_least_one("input_size", input_size)
        check_at_least_one("hidden_size", hidden_size)
        rows = len(gates) * hidden_size
        self.input_size, self.hidden_size = input_size, hidden_size
        self.gates, self.num_parts, self.num_memories = gates, num_parts, num_parts
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.bias_hh = nn.Parameter(torch.empty(rows))
        self.others = nn.ParameterList(others)
        Orthogonal()(self.weights)

    @property
    def weights(self) -> RecurrentWeights:
        """The parameters, for initialisers."""
        return RecurrentWeights(
            self.weight_ih,
            self.weight_hh,
            self.bias_ih,
            self.bias_hh,
            self.gates,
            tuple(self.others),
        )

    def project(
        self, inputs: Float[Tensor, "batch time input"]
    ) -> Float[Tensor, "batch time gates_hidden"]:
        """The input's share of all gates at all steps: `W x + b`."""
        return F.linear(inputs, self.weight_ih, self.bias_ih)

    def forward(
        self, inputs: Float[Tensor, "batch time input"], carry: Carry
    ) -> tuple[Float[Tensor, "batch time hidden"], Carry]:
        """The states of all steps, from the first to the last, and the carry after them."""
        states = []
        for projected in self.project(inputs).unbind(dim=1):
            carry = self.step(projected, carry)
            states.append(carry[0])
        return torch.stack(states, dim=1), carry

    @property
    def slope_bound(self) -> float | None:
        """See `RecurrentLayer`."""
        return None

    def gate_values(self, inputs: Tensor, carry: Carry) -> dict[str, Tensor]:
        """See `RecurrentLayer`."""
        return {}

    @abc.abstractmethod
    def step(self, projected: Float[Tensor, "batch gates_hidden"], carry: Carry) -> Carry:
        """The next carry, from one step of `project` and the carry before it."""


class ElmanCell(Cell):
    r"""The simple recurrent network (Elman 1990, "Finding Structure in Time").

    .. math:: h_t = f(W x_t + U h_{t-1} + b)

    Args:
        input_size: features of an input.
        hidden_size: features of the state.
        activation: f; the logistic function in the paper.
    """

    def __init__(
        self, input_size: int, hidden_size: int, activation: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__(input_size, hidden_size, gates=("candidate",), num_parts=1)
        self.activation = activation

    @property
    def slope_bound(self) -> float | None:
        """See `RecurrentLayer`."""
        slopes: dict[object, float] = {torch.tanh: 1.0, torch.relu: 1.0, torch.sigmoid: 0.25}
        return slopes.get(self.activation)

    def step(self, projected: Float[Tensor, "batch gates_hidden"], carry: Carry) -> Carry:
        """See `Cell`."""
        (hidden,) = carry
        return (self.activation(projected + F.linear(hidden, self.weight_hh, self.bias_hh)),)


class GRUCell(Cell):
    r"""The gated recurrent unit, reset before or after the recurrent product.

    .. math::
        r = \sigma(W_r x + U_r h + b_r), \quad u = \sigma(W_u x + U_u h + b_u)

        \tilde h = \tanh(W x + b + U (r \circ h) + b')   \quad \text{(before)}

        \tilde h = \tanh(W x + b + r \circ (U h + b'))   \quad \text{(after)}

        h' = u \circ h + (1 - u) \circ \tilde h

    Args:
        input_size: features of an input.
        hidden_size: features of the state.
        reset: "before" is Cho et al. (2014, arXiv 1406.1078, eq. 5-8); "after" is version 1 of
            that paper, cuDNN and torch.
    """

    def __init__(self, input_size: int, hidden_size: int, reset: Reset) -> None:
        check_choice("reset", reset, ("after", "before"))
        gates = ("reset", "update", "candidate")
        super().__init__(input_size, hidden_size, gates, num_parts=1)
        self.reset = reset

    def gate_values(self, inputs: Tensor, carry: Carry) -> dict[str, Tensor]:
        """See `RecurrentLayer`."""
        return sigmoid_gates(self.weights, inputs, carry[0])

    def step(self, projected: Float[Tensor, "batch gates_hidden"], carry: Carry) -> Carry:
        """See `Cell`."""
        (hidden,) = carry
        split = 2 * self.hidden_size
        gates = projected[:, :split] + F.linear(
            hidden, self.weight_hh[:split], self.bias_hh[:split]
        )
        reset, update = gates.sigmoid().chunk(2, dim=1)
        matrix, bias = self.weight_hh[split:], self.bias_hh[split:]
        if self.reset == "before":
            recurrent = F.linear(reset * hidden, matrix, bias)
        else:
            recurrent = reset * F.linear(hidden, matrix, bias)
        candidate = torch.tanh(projected[:, split:] + recurrent)
        return (update * hidden + (1 - update) * candidate,)


class LSTMCell(Cell):
    r"""Long short-term memory (Hochreiter and Schmidhuber 1997).

    With forget gates (Gers et al. 2000) and without peepholes, as in Zaremba et al. (2014, arXiv
    1409.2329, section 3.1).

    .. math::
        i, f, o = \sigma(W_{i,f,o} x + U_{i,f,o} h + b_{i,f,o})

        g = \tanh(W_g x + U_g h + b_g)

        c' = f \circ c + i \circ g, \quad h' = o \circ \tanh(c')

    Args:
        input_size: features of an input.
        hidden_size: features of the state.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        gates = ("input", "forget", "candidate", "output")
        super().__init__(input_size, hidden_size, gates, num_parts=2)

    def gate_values(self, inputs: Tensor, carry: Carry) -> dict[str, Tensor]:
        """See `RecurrentLayer`."""
        return sigmoid_gates(self.weights, inputs, carry[0])

    def step(self, projected: Float[Tensor, "batch gates_hidden"], carry: Carry) -> Carry:
        """See `Cell`; the carry is (hidden, memory)."""
        hidden, memory = carry
        gates = projected + F.linear(hidden, self.weight_hh, self.bias_hh)
        write, forget, candidate, read = gates.chunk(4, dim=1)
        memory = forget.sigmoid() * memory + write.sigmoid() * candidate.tanh()
        return (read.sigmoid() * memory.tanh(), memory)
