"""Zoneout: units keep their old value at random steps."""

import torch
from torch import Tensor

from pipeline.encoders.base import Encoded, Encoder, RowLengths, Steps, check_dropout, check_inputs
from pipeline.encoders.carry import Carry
from pipeline.encoders.layers.base import RecurrentLayer


class Zoneout(Encoder):
    r"""Zoneout: in training, each unit of the carry keeps its old value with a given probability.

    Krueger et al. (2016, arXiv 1606.01305, section 3), with one probability for all tensors of the
    carry and an independent mask for each tensor, row, step and unit:

    .. math:: m_t = d_t \circ m_{t-1} + (1 - d_t) \circ \tilde m_t

    where the tilde marks the layer's output for m_{t-1} and the input. As in the paper, the new
    hidden state of an LSTM is computed from the new cell state before mixing. In evaluation mode d
    is replaced by its expectation, the probability. States that are not part of the carry
    (`reads_carry` is false) are computed before mixing.

    The layer is called once per step, in evaluation mode too, so kernels and scans become loops.

    Args:
        inner: Recurrent layer without weight dropout, whose mask would change at each step.
        zoneout: Probability of each unit to keep its old value.

    Raises:
        ValueError: If `zoneout` is not in [0, 1), or `inner` has weight dropout.

    Example:
        >>> import torch
        >>> from pipeline.encoders import GRUCell, Unrolled
        >>> layer = Unrolled(GRUCell(3, 4, reset="after"))
        >>> kept = Zoneout(layer, 0.99).eval()(torch.ones(1, 1, 3)).states
        >>> torch.allclose(kept, 0.01 * layer(torch.ones(1, 1, 3)).states)
        True
    """

    is_causal = True

    def __init__(self, inner: RecurrentLayer, zoneout: float) -> None:
        super().__init__()
        check_dropout(zoneout, "zoneout")
        if inner.weight_dropout:
            raise ValueError(
                "zoneout and weight_dropout exclude each other, because zoneout calls a layer once "
                f"per step; got {zoneout} and {inner.weight_dropout}: set one to 0"
            )
        self.inner, self.zoneout = inner, zoneout
        self.input_size, self.output_size = inner.input_size, inner.output_size

    def forward(
        self, inputs: Steps, lengths: RowLengths | None = None, carry: Carry | None = None
    ) -> Encoded:
        """See `Encoder`; padding comes last, so a causal layer needs no `lengths`."""
        check_inputs(self, inputs)
        before = self.initial_carry(inputs.shape[0]) if carry is None else carry
        count, states = self.inner.num_zoneout_parts, []
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
