"""Cells of the Elman network, the GRU and the LSTM: one step of each recurrence.

The input part of the gates does not depend on earlier steps, so a cell computes it for all steps in
one product (`project`), outside the loop.
"""

import abc
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from pipeline.encoders.base import check_choice, check_sizes
from pipeline.encoders.carry import Carry
from pipeline.encoders.initializers import Orthogonal
from pipeline.encoders.layers.weights import RecurrentWeights, sigmoid_gates

Reset: TypeAlias = Literal["after", "before"]


class Cell(nn.Module, abc.ABC):
    """Base class of cells; the parameters have the names and layout of torch's cells.

    They are initialized by `Orthogonal()`.

    Args:
        input_size: Number of features of each input.
        hidden_size: Number of features of the state.
        gates: Names of the gates, in the order of the rows of the weights.
        num_parts: Number of tensors [batch hidden] in the carry; the first is the state.
        others: Uninitialized matrices [out in] that belong to no gate.

    Attributes:
        num_zoneout_parts: Number of tensors of the carry, from the first, that zoneout may mix.
        keeps_float32: Whether the carry has float32 or higher, whatever the parameters have.
        is_recordable: Whether the states depend on inputs, carry and parameters only, and not on
            anything else that changes, such as a Python number, so that a GPU can replay a recorded
            call. A class of yours has to state it itself.
    """

    keeps_float32 = False
    is_recordable = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        gates: tuple[str, ...],
        num_parts: int,
        others: Sequence[nn.Parameter] = (),
    ) -> None:
        super().__init__()
        check_sizes(input_size, hidden_size)
        rows = len(gates) * hidden_size
        self.input_size, self.hidden_size = input_size, hidden_size
        self.gates, self.num_parts, self.num_zoneout_parts = gates, num_parts, num_parts
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.bias_hh = nn.Parameter(torch.empty(rows))
        self.others = nn.ParameterList(others)
        Orthogonal()(self.weights)

    @property
    def weights(self) -> RecurrentWeights:
        """The parameters, for initializers."""
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
        """Computes the input part of all gates at all steps: `W x + b`."""
        return F.linear(inputs, self.weight_ih, self.bias_ih)

    def forward(
        self, inputs: Float[Tensor, "batch time input"], carry: Carry
    ) -> tuple[Float[Tensor, "batch time hidden"], Carry]:
        """Returns the states of all steps and the carry after the last one."""
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
        """See `RecurrentLayer`; for cells whose gates are sigmoid(W x + b + U h + b')."""
        return sigmoid_gates(self.weights, inputs, carry[0])

    @abc.abstractmethod
    def step(self, projected: Float[Tensor, "batch gates_hidden"], carry: Carry) -> Carry:
        """Returns the next carry, from one step of `project` and the carry before it."""


class ElmanCell(Cell):
    r"""The simple recurrent network (Elman 1990, "Finding Structure in Time").

    .. math:: h_t = f(W x_t + U h_{t-1} + b)

    Args:
        input_size: Number of features of each input.
        hidden_size: Number of features of the state.
        activation: Function f; the logistic function in the paper.

    Example:
        >>> import torch
        >>> cell = ElmanCell(input_size=3, hidden_size=2, activation=torch.sigmoid)
        >>> cell(torch.zeros(1, 1, 3), (torch.zeros(1, 2),))[0].tolist()  # the biases are 0
        [[[0.5, 0.5]]]
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
    r"""The gated recurrent unit, with reset before or after the recurrent product.

    .. math::
        r = \sigma(W_r x + U_r h + b_r), \quad u = \sigma(W_u x + U_u h + b_u)

        \tilde h = \tanh(W x + b + U (r \circ h) + b')   \quad \text{(before)}

        \tilde h = \tanh(W x + b + r \circ (U h + b'))   \quad \text{(after)}

        h' = u \circ h + (1 - u) \circ \tilde h

    Args:
        input_size: Number of features of each input.
        hidden_size: Number of features of the state.
        reset: Position of the reset gate: "before" as in Cho et al. (2014, arXiv 1406.1078, eq.
            5-8); "after" as in version 1 of that paper, cuDNN and torch.

    Example:
        >>> GRUCell(input_size=3, hidden_size=4, reset="before").gates
        ('reset', 'update', 'candidate')
    """

    def __init__(self, input_size: int, hidden_size: int, reset: Reset) -> None:
        check_choice("reset", reset, ("after", "before"))
        gates = ("reset", "update", "candidate")
        super().__init__(input_size, hidden_size, gates, num_parts=1)
        self.reset = reset

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
        input_size: Number of features of each input.
        hidden_size: Number of features of the state.

    Example:
        >>> import torch
        >>> cell = LSTMCell(input_size=3, hidden_size=4)
        >>> states, carry = cell(torch.zeros(1, 5, 3), (torch.zeros(1, 4), torch.zeros(1, 4)))
        >>> states.shape, torch.equal(states[:, -1], carry[0])
        (torch.Size([1, 5, 4]), True)
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        gates = ("input", "forget", "candidate", "output")
        super().__init__(input_size, hidden_size, gates, num_parts=2)

    def step(self, projected: Float[Tensor, "batch gates_hidden"], carry: Carry) -> Carry:
        """See `Cell`; the carry is (hidden, cell)."""
        hidden, cell = carry
        gates = projected + F.linear(hidden, self.weight_hh, self.bias_hh)
        write, forget, candidate, read = gates.chunk(4, dim=1)
        cell = forget.sigmoid() * cell + write.sigmoid() * candidate.tanh()
        return (read.sigmoid() * cell.tanh(), cell)
