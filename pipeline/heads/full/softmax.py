"""The full softmax: a linear layer, normalized over the whole vocabulary."""

import torch
from torch import Tensor, nn

from pipeline.batches import all_real
from pipeline.heads.base import (
    OutputLayer,
    check_init_scale,
    check_shapes,
    check_tied,
    exact_linear,
    exact_log_probs,
    on_device,
    placed,
)
from pipeline.heads.full.fused import softmax_nll
from pipeline.text.vocabulary import Vocabulary


class FullSoftmax(OutputLayer):
    """The full softmax: softmax(weight state + bias) over the whole vocabulary.

    On a CPU, `loss` is a fused function with its own gradient; bfloat16 autocast makes it three
    times faster. On other devices, autocast changes the data type of the products only; the softmax
    is in float32. Logits of more than `pipeline.heads.base.LOGIT_BYTES` bytes are computed in
    chunks and not kept.

    Args:
        input_size: Number of features of a state.
        vocabulary: Vocabulary whose tokens are predicted.
        bias: Whether each token has a bias.
        init_scale: Bound of the uniform initial weights and biases. Zaremba et al. (2014,
            arXiv 1409.2329) use 0.1 for the small model and 0.05 for the medium one.

    Raises:
        ValueError: If `input_size` is below 1 or `init_scale` is not above 0.

    Example:
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "the", "cat"])
        >>> head = FullSoftmax(2, vocabulary)
        >>> states = torch.tensor([[0.5, -1.0], [2.0, 0.0]])
        >>> torch.allclose(head.log_distribution(states).exp().sum(dim=-1), torch.ones(2))
        True
    """

    def __init__(
        self, input_size: int, vocabulary: Vocabulary, bias: bool = True, init_scale: float = 0.1
    ) -> None:
        super().__init__(input_size, vocabulary)
        check_init_scale(init_scale)
        self.weight = nn.Parameter(torch.empty(self.vocab_size, input_size))
        self.bias = nn.Parameter(torch.empty(self.vocab_size)) if bias else None
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init_scale, init_scale)

    def loss(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `OutputLayer.loss`."""
        check_shapes(self, states, targets)
        rows, row_targets = states.reshape(-1, self.input_size), targets.reshape(-1)
        complete = on_device(rows) and all_real(row_targets)
        row_targets = placed(self, rows, row_targets)
        return softmax_nll(rows, self.weight, self.bias, row_targets, complete)

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `OutputLayer.log_probs`."""
        check_shapes(self, states, targets)
        return exact_log_probs(states, self.weight, self.bias, placed(self, states, targets))

    def log_distribution(self, states: Tensor) -> Tensor:
        """See `OutputLayer.log_distribution`."""
        check_shapes(self, states)
        return exact_linear(states, self.weight, self.bias).log_softmax(-1)

    def tie(self, embedding: nn.Embedding) -> None:
        """See `OutputLayer.tie`."""
        check_tied(self.weight, embedding)
        self.weight = embedding.weight  # type: ignore[assignment]  # torch declares a Tensor
