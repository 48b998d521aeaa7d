"""Recurrences that are linear in their memory: gates see inputs only, so steps need no loop."""

import abc
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from pipeline.encoders.base import check_at_least_one, check_choice
from pipeline.encoders.initializers import Orthogonal
from pipeline.encoders.layers.weights import RecurrentWeights

Pooling: TypeAlias = Literal["f", "fo", "ifo"]


class LinearCell(nn.Module, abc.ABC):
    r"""The maps of all steps of a memory :math:`c_t = a_t \circ c_{t-1} + b_t`.

    No unit sees the past of another, hence there is no recurrent matrix. The parameters start as
    `Orthogonal()` leaves them.

    Args:
        input_size: features of an input.
        hidden_size: features of the memory and of the state.
        gates: names of the gates, in the order of the rows of the weights.
        window: inputs that a step reads, its own last.
        reads_memory: the state of a step is the memory after it.

    Raises:
        ValueError: a size is below 1.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        gates: tuple[str, ...],
        window: int = 1,
        reads_memory: bool = True,
    ) -> None:
        super().__init__()
        check_at_least_one("input_size", input_size)
        check_at_least_one("hidden_size", hidden_size)
        rows = len(gates) * hidden_size
        self.input_size, self.hidden_size = input_size, hidden_size
        self.gates, self.window, self.reads_memory = gates, window, reads_memory
        self.weight_ih = nn.Parameter(torch.empty(rows, window * input_size))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        Orthogonal()(self.weights)

    @property
    def weights(self) -> RecurrentWeights:
        """The parameters, for initialisers."""
        return RecurrentWeights(self.weight_ih, None, self.bias_ih, None, self.gates)

    def project(
        self, inputs: Float[Tensor, "batch time window_input"]
    ) -> Float[Tensor, "batch time gates_hidden"]:
        """All gates at all steps before their functions: `W x + b`."""
        return F.linear(inputs, self.weight_ih, self.bias_ih)

    @abc.abstractmethod
    def maps(
        self, gates: tuple[Tensor, ...]
    ) -> tuple[Float[Tensor, "batch time hidden"], Float[Tensor, "batch time hidden"]]:
        """What each step does to the memory: a and b, from the projected gates in order."""

    def read(
        self,
        memory: Float[Tensor, "batch time hidden"],
        gates: tuple[Tensor, ...],
        inputs: Float[Tensor, "batch time input"],
    ) -> Float[Tensor, "batch time hidden"]:
        """The states of all steps, from the memories after them."""
        return memory


class MinGRUCell(LinearCell):
    r"""The minimal GRU (Feng et al. 2024, arXiv 2410.01201, section 3.1).

    .. math::
        z_t = \sigma(W_z x_t + b_z), \quad \tilde h_t = W x_t + b

        h_t = (1 - z_t) \circ h_{t-1} + z_t \circ \tilde h_t

    Its update gate lets the new in, where that of `GRUCell` keeps the old. The paper's second form,
    with a candidate that is positive by force, is for scans in logarithms, which this is not.

    Args:
        input_size: features of an input.
        hidden_size: features of the state.
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
        input_size: features of an input.
        hidden_size: features of the state.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, ("forget", "input", "candidate"))

    def maps(self, gates: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """See `LinearCell`."""
        forget, write, candidate = gates
        # f / (f + i) = sigmoid(log f - log i), which has no 0 / 0 where both gates are closed.
        ratio = F.logsigmoid(forget) - F.logsigmoid(write)
        return ratio.sigmoid(), (-ratio).sigmoid() * candidate


class QRNNCell(LinearCell):
    r"""The quasi-recurrent network (Bradbury et al. 2016, arXiv 1611.01576, section 2).

    Each gate is a convolution over the last inputs, zeros before the first one:

    .. math::
        z_t = \tanh(W_z * x), \quad f_t, o_t, i_t = \sigma(W_{f,o,i} * x)

        c_t = f_t \circ c_{t-1} + (1 - f_t) \circ z_t, \quad h_t = c_t \quad \text{(f)}

        c_t = f_t \circ c_{t-1} + (1 - f_t) \circ z_t, \quad h_t = o_t \circ c_t \quad \text{(fo)}

        c_t = f_t \circ c_{t-1} + i_t \circ z_t, \quad h_t = o_t \circ c_t \quad \text{(ifo)}

    with a bias for each gate, as in the authors' code.

    Args:
        input_size: features of an input.
        hidden_size: features of the state.
        pooling: "f", "fo" or "ifo".
        window: inputs that a step reads, 1 or 2.

    Raises:
        ValueError: `pooling` or `window` is another.
    """

    def __init__(
        self, input_size: int, hidden_size: int, pooling: Pooling = "fo", window: int = 1
    ) -> None:
        check_choice("pooling", pooling, ("f", "fo", "ifo"))
        if window not in (1, 2):
            raise ValueError(f"window must be 1 or 2, got {window}")
        names = {"f": "forget", "o": "output", "i": "input"}
        gates = ("candidate", *(names[letter] for letter in sorted(pooling)))
        super().__init__(input_size, hidden_size, gates, window, reads_memory=pooling == "f")

    def maps(self, gates: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """See `LinearCell`."""
        named = dict(zip(self.gates, gates, strict=True))
        write = named.get("input", -named["forget"])
        return named["forget"].sigmoid(), write.sigmoid() * named["candidate"].tanh()

    def read(self, memory: Tensor, gates: tuple[Tensor, ...], inputs: Tensor) -> Tensor:
        """See `LinearCell`."""
        if self.reads_memory:
            return memory
        return gates[self.gates.index("output")].sigmoid() * memory


class SRUCell(LinearCell):
    r"""The simple recurrent unit (Lei et al. 2018, arXiv 1709.02755, section 3), without v.

    .. math::
        f_t, r_t = \sigma(W_{f,r} x_t + b_{f,r})

        c_t = f_t \circ c_{t-1} + (1 - f_t) \circ (W x_t + b), \quad
        h_t = r_t \circ c_t + (1 - r_t) \circ s_t

    The paper's gates see the memory before them through v, without which the memory is linear; its
    candidate has no b. s_t is the input itself or, between different sizes, W_s x_t + b_s.

    Args:
        input_size: features of an input.
        hidden_size: features of the state.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        gates: tuple[str, ...] = ("candidate", "forget", "output")
        if input_size != hidden_size:
            gates = (*gates, "skip")
        super().__init__(input_size, hidden_size, gates, reads_memory=False)

    def maps(self, gates: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """See `LinearCell`."""
        candidate, forget = gates[:2]
        return forget.sigmoid(), (-forget).sigmoid() * candidate

    def read(self, memory: Tensor, gates: tuple[Tensor, ...], inputs: Tensor) -> Tensor:
        """See `LinearCell`."""
        read, skip = gates[2], gates[3] if len(gates) == 4 else inputs
        return read.sigmoid() * memory + (-read).sigmoid() * skip
