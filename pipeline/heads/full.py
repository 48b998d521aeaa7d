"""The full softmax: a linear map to the vocabulary, normalised over all of it."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX
from pipeline.heads.base import OutputLayer, check_shapes
from pipeline.heads.fused import summed_nll
from pipeline.text.vocabulary import Vocabulary

LOGIT_BYTES = 256 * 1024**2
"""Evaluation makes at most so many bytes of logits at a time (but one row at least), and again as
many of log-probabilities."""

# Half precision is not: its probabilities would be cut at e^-9.7.
_FUSED = (torch.bfloat16, torch.float32, torch.float64)


class FullSoftmax(OutputLayer):
    """softmax(weight state + bias) over the whole vocabulary.

    On a CPU, `loss` is one function with its own gradient, three times faster under bfloat16
    autocast than in float32; elsewhere it is torch's cross entropy, which autocast runs in float32.

    Args:
        input_size: features of a state.
        vocabulary: the token types.
        bias: whether each token has one.
        init_scale: weight and bias start uniform in [-init_scale, init_scale], as in the published
            recipes (Zaremba et al. 2014, arXiv 1409.2329: small model 0.1, medium 0.05).

    Raises:
        ValueError: `input_size` is below 1, **or** `init_scale` is not above 0.
    """

    def __init__(
        self,
        input_size: int,
        vocabulary: Vocabulary,
        bias: bool = True,
        init_scale: float = 0.1,
    ) -> None:
        super().__init__(input_size, vocabulary)
        if not init_scale > 0:
            raise ValueError(f"init_scale must be above 0, got {init_scale}")
        self.weight = nn.Parameter(torch.empty(self.vocab_size, input_size))
        self.bias = nn.Parameter(torch.empty(self.vocab_size)) if bias else None
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init_scale, init_scale)

    def loss(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `OutputLayer.loss`."""
        check_shapes(self, states, targets)
        rows, row_targets = states.reshape(-1, self.input_size), targets.reshape(-1)
        dtype = self._cpu_dtype(states)
        if dtype is not None:
            return summed_nll(rows, self.weight, self.bias, row_targets, dtype)
        return F.cross_entropy(
            F.linear(rows, self.weight, self.bias),
            row_targets,
            ignore_index=IGNORE_INDEX,
            reduction="sum",
        )

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `OutputLayer.log_probs`."""
        check_shapes(self, states, targets)
        rows, row_targets = states.reshape(-1, self.input_size), targets.reshape(-1)
        pieces = [
            -F.cross_entropy(
                self._logits(rows[piece]),
                row_targets[piece],
                ignore_index=IGNORE_INDEX,
                reduction="none",
            )
            for piece in self._pieces(len(rows))
        ]
        return torch.cat(pieces).reshape(targets.shape)

    def log_distribution(self, states: Tensor) -> Tensor:
        """See `OutputLayer.log_distribution`."""
        check_shapes(self, states)
        return self._logits(states).log_softmax(-1)

    def tie(self, embedding: nn.Embedding) -> None:
        """See `OutputLayer.tie`."""
        if embedding.weight.shape != self.weight.shape:
            raise ValueError(
                "tied weights need an embedding and an output layer of equal size "
                "(vocabulary x features), "
                f"but the embedding is {embedding.num_embeddings} x {embedding.embedding_dim} "
                f"and the output layer is {self.vocab_size} x {self.input_size}"
            )
        self.weight = embedding.weight  # type: ignore[assignment]  # torch declares a Tensor

    def _cpu_dtype(self, states: Tensor) -> torch.dtype | None:
        """The dtype of the fused loss; None where torch's own loss is to be used."""
        if states.device.type != "cpu":
            return None
        if torch.is_autocast_enabled("cpu") and self.weight.dtype == torch.float32:
            autocast = torch.get_autocast_dtype("cpu")
            return torch.bfloat16 if autocast == torch.bfloat16 else None
        return self.weight.dtype if self.weight.dtype in _FUSED else None

    def _logits(self, states: Tensor) -> Tensor:
        dtype = torch.promote_types(self.weight.dtype, torch.float32)
        bias = None if self.bias is None else self.bias.to(dtype)
        with torch.autocast(states.device.type, enabled=False):
            return F.linear(states.to(dtype), self.weight.to(dtype), bias)

    def _pieces(self, num_rows: int) -> Iterator[slice]:
        dtype = torch.promote_types(self.weight.dtype, torch.float32)
        size = max(1, LOGIT_BYTES // (self.vocab_size * dtype.itemsize))
        # An evaluation window without rows is one piece without rows.
        return (slice(start, start + size) for start in range(0, max(num_rows, 1), size))
