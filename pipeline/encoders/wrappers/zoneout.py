"""Zoneout: a step that some units of the memory do not take."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.encoders.base import Encoded, Encoder, check_dropout, check_inputs
from pipeline.encoders.carry import Carry
from pipeline.encoders.layers.base import RecurrentLayer


class Zoneout(Encoder):
    r"""In training, each unit of the memory keeps its old value with a chance, at each step.

    Krueger et al. (2016, arXiv 1606.01305, section 3), with one chance for all parts of the
    memory, and another mask for each part, row, step and unit:

    .. math:: m_t = d_t \circ m_{t-1} + (1 - d_t) \circ \tilde m_t

    where the tilde marks what the layer makes of m_{t-1} and the input; for the LSTM that is the
    hidden state before it is mixed, computed with the memory before it is mixed, as in the paper.
    In evaluation d is its expectation, the chance. A layer whose states are not part of its
    memory (`reads_carry` is false) computes them from the new memory before it is mixed.

    The layer is called once for each step, in evaluation as well: a kernel over the whole window
    becomes a loop over kernels of one step, and a parallel scan a loop.

    Args:
        inner: the layer; without weight dropout, whose mask would be another one at each step.
        zoneout: the chance of each unit to keep its old value.

    Raises:
        ValueError: `zoneout` is not in [0, 1), or `inner` drops recurrent weights.
    """

    is_causal = True

    def __init__(self, inner: RecurrentLayer, zoneout: float) -> None:
        super().__init__()
        check_dropout(zoneout, "zoneout")
        if inner.weight_dropout:
            raise ValueError(
                "zoneout and weight_dropout exclude each other, since with zoneout a layer is "
                f"called for each step; got {zoneout} and {inner.weight_dropout}: set one to 0"
            )
        self.inner, self.zoneout = inner, zoneout
        self.input_size, self.output_size = inner.input_size, inner.output_size

    def forward(
        self,
        inputs: Float[Tensor, "batch time input"],
        lengths: Int[Tensor, "batch"] | None = None,
        carry: Carry | None = None,
    ) -> Encoded:
        """See `Encoder`; padding comes last, so a causal layer needs no `lengths`."""
        check_inputs(self, inputs)
        before = self.initial_carry(len(inputs)) if carry is None else carry
        count, states = self.inner.num_memories, []
        for step in torch.split(inputs, 1, dim=1):
            state, after = self.inner(step, None, before)
            mixed = tuple(map(self._mix, before[:count], after[:count]))
            before = (*mixed, *after[count:])
            states.append(mixed[0].unsqueeze(1) if self.inner.reads_carry else state)
        return Encoded(torch.cat(states, dim=1), before)

    def initial_carry(self, batch_size: int) -> Carry:
        """See `Encoder`."""
        return self.inner.initial_carry(batch_size)

    def _mix(self, before: Tensor, after: Tensor) -> Tensor:
        if not self.training:
            return self.zoneout * before + (1 - self.zoneout) * after
        return torch.where(torch.rand_like(after) < self.zoneout, before.to(after.dtype), after)
