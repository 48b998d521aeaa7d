"""Cells with an elementwise linear recurrence: gates read inputs only, so no loop is needed."""

import abc
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from pipeline.encoders.base import check_choice, check_sizes
from pipeline.encoders.carry import Carry
from pipeline.encoders.initializers import Orthogonal
from pipeline.encoders.kernels.linear_scan import linear_scan
from pipeline.encoders.layers.weights import RecurrentWeights

Pooling: TypeAlias = Literal["f", "fo", "ifo"]


class LinearCell(nn.Module, abc.ABC):
    r"""Base class of cells with the recurrence :math:`c_t = a_t \circ c_{t-1} + b_t`.

    The recurrence is elementwise, so there is no recurrent matrix. The parameters are initialized
    by `Orthogonal()`.

    Args:
        input_size: Number of features of each input.
        hidden_size: Number of features of the cell state c and of the state.
        gates: Names of the gates, in the order of the rows of the weights.
        window: Number of inputs that each step reads, its own last.
        state_is_cell: Whether the state of a step is the cell state after it.

    Raises:
        ValueError: If a size is below 1.

    Attributes:
        is_recordable: See `Cell`.
    """

    is_recordable = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        gates: tuple[str, ...],
        window: int = 1,
        state_is_cell: bool = True,
    ) -> None:
        super().__init__()
        check_sizes(input_size, hidden_size)
        rows = len(gates) * hidden_size
        self.input_size, self.hidden_size = input_size, hidden_size
        self.gates, self.window, self.state_is_cell = gates, window, state_is_cell
        self.weight_ih = nn.Parameter(torch.empty(rows, window * input_size))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        Orthogonal()(self.weights)

    @property
    def weights(self) -> RecurrentWeights:
        """The parameters, for initializers."""
        return RecurrentWeights(self.weight_ih, None, self.bias_ih, None, self.gates)

    def project(
        self, inputs: Float[Tensor, "batch time window_input"]
    ) -> Float[Tensor, "batch time gates_hidden"]:
        """Computes all gates at all steps before their activation: `W x + b`."""
        return F.linear(inputs, self.weight_ih, self.bias_ih)

    def forward(
        self, inputs: Float[Tensor, "batch time input"], carry: Carry
    ) -> tuple[Float[Tensor, "batch time hidden"], Carry]:
        """Returns the states of all steps and the carry after the last one.

        The carry is the cell state [batch hidden], followed by the last input [batch input] if
        each step reads two.
        """
        start, *last = carry
        read = inputs
        if last:
            before = torch.cat([last[0].to(inputs).unsqueeze(1), inputs[:, :-1]], dim=1)
            read = torch.cat([before, inputs], dim=-1)
        projected = self.project(read)
        # bfloat16 would round a decay of 0.999 to 1.
        exact = projected.to(torch.promote_types(projected.dtype, torch.float32))
        gates = exact.chunk(len(self.gates), dim=-1)
        decay, drive = self.maps(gates)
        cells = linear_scan(decay, drive, start)
        states = self.read(cells, gates, inputs).to(projected.dtype)
        # Copies, since views would keep the tensors of all steps in RAM and in checkpoints.
        return states, (cells[:, -1].clone(), *(inputs[:, -1].clone() for _ in last))

    @abc.abstractmethod
    def maps(
        self, gates: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "batch time hidden"], Float[Tensor, "batch time hidden"]]:
        """Computes the coefficients a and b of all steps from the projected gates, in order."""

    def read(
        self,
        cells: Float[Tensor, "batch time hidden"],
        gates: tuple[Tensor, ...],
        inputs: Float[Tensor, "batch time input"],
    ) -> Float[Tensor, "batch time hidden"]:
        """Computes the states of all steps from the cell states after them."""
        return cells


class MinGRUCell(LinearCell):
    r"""The minimal GRU (Feng et al. 2024, arXiv 2410.01201, section 3.1).

    .. math::
        z_t = \sigma(W_z x_t + b_z), \quad \tilde h_t = W x_t + b

        h_t = (1 - z_t) \circ h_{t-1} + z_t \circ \tilde h_t

    An open update gate writes the candidate, while that of `GRUCell` keeps the old state. The
    paper's second form, with a positive candidate, is only needed for scans in log space.

    Args:
        input_size: Number of features of each input.
        hidden_size: Number of features of the state.

    Example:
        >>> tuple(MinGRUCell(input_size=3, hidden_size=4).weight_ih.shape)  # update, candidate
        (8, 3)
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, ("update", "candidate"))

    def maps(self, gates: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """See `LinearCell`."""
        update, candidate = gates
        return (-update).sigmoid(), update.sigmoid() * candidate


class MinLSTMCell(LinearCell):
    r"""The minimal LSTM (Feng et al. 2024, arXiv 2410.01201, section 3.2).

    .. math::
        f_t, i_t = \sigma(W_{f,i} x_t + b_{f,i}), \quad \tilde h_t = W x_t + b

        h_t = \frac{f_t}{f_t + i_t} \circ h_{t-1} + \frac{i_t}{f_t + i_t} \circ \tilde h_t

    Args:
        input_size: Number of features of each input.
        hidden_size: Number of features of the state.

    Example:
        >>> MinLSTMCell(input_size=3, hidden_size=4).gates
        ('forget', 'input', 'candidate')
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, ("forget", "input", "candidate"))

    def maps(self, gates: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """See `LinearCell`."""
        forget, write, candidate = gates
        # f / (f + i) = sigmoid(log f - log i), which avoids 0 / 0 if both gates are closed.
        ratio = F.logsigmoid(forget) - F.logsigmoid(write)
        return ratio.sigmoid(), (-ratio).sigmoid() * candidate


class QRNNCell(LinearCell):
    r"""The quasi-recurrent network (Bradbury et al. 2016, arXiv 1611.01576, section 2).

    Each gate is a convolution over the last inputs, with zeros before the first one and a bias, as
    in the authors' code:

    .. math::
        z_t = \tanh(W_z * x), \quad f_t, o_t, i_t = \sigma(W_{f,o,i} * x)

        c_t = f_t \circ c_{t-1} + (1 - f_t) \circ z_t, \quad h_t = c_t \quad \text{(f)}

        c_t = f_t \circ c_{t-1} + (1 - f_t) \circ z_t, \quad h_t = o_t \circ c_t \quad \text{(fo)}

        c_t = f_t \circ c_{t-1} + i_t \circ z_t, \quad h_t = o_t \circ c_t \quad \text{(ifo)}

    Args:
        input_size: Number of features of each input.
        hidden_size: Number of features of the state.
        pooling: Gates of the recurrence, "f", "fo" or "ifo".
        window: Number of inputs that each gate reads, 1 or 2.

    Raises:
        ValueError: If `pooling` or `window` has another value.

    Example:
        >>> QRNNCell(input_size=3, hidden_size=4, pooling="ifo").gates
        ('candidate', 'forget', 'input', 'output')
    """

    def __init__(
        self, input_size: int, hidden_size: int, pooling: Pooling = "fo", window: int = 1
    ) -> None:
        check_choice("pooling", pooling, ("f", "fo", "ifo"))
        if window not in (1, 2):
            raise ValueError(f"window must be 1 or 2, got {window}")
        names = {"f": "forget", "o": "output", "i": "input"}
        gates = ("candidate", *(names[letter] for letter in sorted(pooling)))
        super().__init__(input_size, hidden_size, gates, window, state_is_cell=pooling == "f")

    def maps(self, gates: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """See `LinearCell`."""
        named = dict(zip(self.gates, gates, strict=True))
        write = named.get("input", -named["forget"])
        return named["forget"].sigmoid(), write.sigmoid() * named["candidate"].tanh()

    def read(self, cells: Tensor, gates: tuple[Tensor, ...], inputs: Tensor) -> Tensor:
        """See `LinearCell`."""
        if self.state_is_cell:
            return cells
        return gates[self.gates.index("output")].sigmoid() * cells


class SRUCell(LinearCell):
    r"""The simple recurrent unit (Lei et al. 2018, arXiv 1709.02755, section 3), without v.

    .. math::
        f_t, r_t = \sigma(W_{f,r} x_t + b_{f,r})

        c_t = f_t \circ c_{t-1} + (1 - f_t) \circ (W x_t + b), \quad
        h_t = r_t \circ c_t + (1 - r_t) \circ s_t

    The vector v of the paper, by which gates read the last cell state, is omitted to keep the
    recurrence linear; the paper's candidate has no b. s_t is the input or, for different sizes,
    W_s x_t + b_s.

    Args:
        input_size: Number of features of each input.
        hidden_size: Number of features of the state.

    Example:
        >>> SRUCell(input_size=4, hidden_size=4).gates, SRUCell(3, 4).gates[-1]
        (('candidate', 'forget', 'output'), 'skip')
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        gates: tuple[str, ...] = ("candidate", "forget", "output")
        if input_size != hidden_size:
            gates = (*gates, "skip")
        super().__init__(input_size, hidden_size, gates, state_is_cell=False)

    def maps(self, gates: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """See `LinearCell`."""
        candidate, forget = gates[:2]
        return forget.sigmoid(), (-forget).sigmoid() * candidate

    def read(self, cells: Tensor, gates: tuple[Tensor, ...], inputs: Tensor) -> Tensor:
        """See `LinearCell`."""
        read, skip = gates[2], gates[3] if len(gates) == 4 else inputs
        return read.sigmoid() * cells + (-read).sigmoid() * skip
