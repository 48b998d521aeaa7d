"""Recurrent layers computed by the kernels of torch."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pipeline.cuda_graphs.replay import is_hooked
from pipeline.encoders.base import Encoded, RowLengths, Steps
from pipeline.encoders.carry import Carry
from pipeline.encoders.kernels.elman_steps import elman_steps_pay, encode_elman
from pipeline.encoders.kernels.gru_steps import encode_gru, steps_pay
from pipeline.encoders.layers.base import RecurrentLayer
from pipeline.encoders.layers.weights import RecurrentWeights, sigmoid_gates

_GATES: dict[type[nn.RNNBase], tuple[str, ...]] = {
    nn.RNN: ("candidate",),
    nn.GRU: ("reset", "update", "candidate"),
    nn.LSTM: ("input", "forget", "candidate", "output"),
}
KERNEL_WEIGHTS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")


class Fused(RecurrentLayer):
    """A recurrent layer by a torch kernel: cuDNN on a GPU, on a CPU oneDNN for the LSTM.

    oneDNN needs float32, or bfloat16 (autocast) on a CPU that supports it; float64 and other cells
    run torch's native kernels. A GRU or a simple network on a CPU runs `gru_steps` or `elman_steps`
    where that is faster; the carry of a row that ended before is then its state after its last real
    step.

    Args:
        kernel: `nn.RNN`, `nn.GRU` or `nn.LSTM` of one layer and direction, with biases and
            `batch_first`.
        weight_dropout: Probability of setting a recurrent weight to 0 for one call in training.

    Raises:
        ValueError: If `kernel` has other settings, or `weight_dropout` is not in [0, 1).

    Example:
        >>> import torch
        >>> kernel, inputs = torch.nn.LSTM(3, 4, batch_first=True), torch.ones(1, 5, 3)
        >>> torch.equal(Fused(kernel)(inputs).states, kernel(inputs)[0])
        True
    """

    def __init__(self, kernel: nn.RNNBase, weight_dropout: float = 0.0) -> None:
        super().__init__(weight_dropout)
        plain = kernel.num_layers == 1 and not kernel.bidirectional and kernel.proj_size == 0
        known = type(kernel) in _GATES
        if not (known and plain and kernel.bias and kernel.batch_first):
            raise ValueError(
                "Fused expects nn.RNN, nn.GRU or nn.LSTM of one layer and one direction, with "
                f"biases and batch_first=True and without projection, got {kernel}"
            )
        self.kernel = kernel
        self.input_size, self.output_size = kernel.input_size, kernel.hidden_size
        self.num_parts = 2 if isinstance(kernel, nn.LSTM) else 1

    @property
    def weights(self) -> RecurrentWeights:
        """See `RecurrentLayer`."""
        ((matrix, recurrent, bias, recurrent_bias),) = self.kernel.all_weights
        return RecurrentWeights(matrix, recurrent, bias, recurrent_bias, _GATES[type(self.kernel)])

    def calls_torch(self, inputs: Tensor, lengths: Tensor | None) -> bool:
        """Returns whether this call runs torch's kernel instead of `gru_steps` or `elman_steps`."""
        if is_hooked(self.kernel):
            return True
        if isinstance(self.kernel, nn.RNN):
            is_cast = torch.is_autocast_enabled("cpu") and self._sample.dtype == torch.float32
            fits = is_cast or inputs.dtype == self._sample.dtype  # if not, torch raises the error
            return not (fits and elman_steps_pay(inputs))
        fits = isinstance(self.kernel, nn.GRU) and inputs.dtype == self._sample.dtype
        return not (fits and steps_pay(inputs, lengths))

    @property
    def _sample(self) -> Tensor:
        # Faster than `weights`, which gathers all parameters at every call.
        return cast("Tensor", self.kernel.weight_ih_l0)

    def forward(
        self, inputs: Steps, lengths: RowLengths | None = None, carry: Carry | None = None
    ) -> Encoded:
        """See `Encoder`; padding comes last, so a causal layer needs no `lengths`."""
        start = self._start(inputs, carry)
        if not self.calls_torch(inputs, lengths):
            weights = self.weights
            if self.drops_weights:
                weights = weights._replace(recurrent=self._dropped())
            if isinstance(self.kernel, nn.RNN):
                return encode_elman(inputs, lengths, start[0], weights, self.kernel.nonlinearity)
            return encode_gru(inputs, lengths, start[0], weights)
        self._flatten()
        # cuDNN refuses strided views; contiguous tensors are not copied.
        parts = tuple(part.unsqueeze(0).contiguous() for part in start)
        if self.num_parts == 1:
            states, final = self._run(inputs, parts[0])
            return Encoded(states, (final.squeeze(0),))
        states, finals = self._run(inputs, parts)
        return Encoded(states, tuple(final.squeeze(0) for final in finals))

    @property
    def slope_bound(self) -> float | None:
        """See `RecurrentLayer`; 1 for tanh and relu."""
        return 1.0 if isinstance(self.kernel, nn.RNN) else None

    def gate_values(self, inputs: Tensor, carry: Carry) -> dict[str, Tensor]:
        """See `RecurrentLayer`."""
        return sigmoid_gates(self.weights, inputs, carry[0])

    def _flatten(self) -> None:
        """Puts weights on a GPU into one block again, as cuDNN wants them, after a deep copy.

        Moving a module to a device does so, and loading keeps it.
        """
        if torch.compiler.is_compiling() or not self._sample.is_cuda:
            return
        first, last = self._sample, cast("Tensor", self.kernel.bias_hh_l0)
        is_one = first.untyped_storage().data_ptr() == last.untyped_storage().data_ptr()
        if not is_one and isinstance(first, nn.Parameter):  # not replaced by `functional_call`
            self.kernel.flatten_parameters()

    def _run(self, inputs: Tensor, carry: Tensor | Carry) -> Any:  # noqa: ANN401 (by the kernel)
        if not self.drops_weights:
            return self.kernel(inputs, carry)
        ((matrix, _, bias, recurrent_bias),) = self.kernel.all_weights
        given = (matrix, self._dropped(), bias, recurrent_bias)
        # cuDNN needs the weights in one block in this order; otherwise it copies them into one at
        # every call, with a warning.
        views = dict(zip(KERNEL_WEIGHTS, in_one_block(given), strict=True))
        return functional_call(self.kernel, views, (inputs, carry), strict=True)


def in_one_block(weights: Sequence[Tensor]) -> list[Tensor]:
    """Copies `weights` into one contiguous block; gradients reach the originals."""
    flat = torch.cat([weight.flatten() for weight in weights])
    pieces = torch.split(flat, [weight.numel() for weight in weights])
    return [piece.view_as(weight) for piece, weight in zip(pieces, weights, strict=True)]
