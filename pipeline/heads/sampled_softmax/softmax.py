"""A softmax over the whole vocabulary that is trained with sampled negatives."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX
from pipeline.heads.base import (
    OutputLayer,
    check_init_scale,
    check_shapes,
    check_tied,
    exact_linear,
    exact_log_probs,
    on_device,
    placed,
    real_rows,
    without_autocast,
)
from pipeline.heads.sampled_softmax.criteria import Criterion, Sample, SampledSoftmax
from pipeline.heads.sampled_softmax.noise import Noise
from pipeline.text.vocabulary import Vocabulary


class Sampled(OutputLayer):
    """softmax(weight state + bias) with a sampled training loss and exact evaluation.

    One set of negatives is drawn for all rows of a batch, so that one matrix product computes their
    scores. The gradient is dense, as optimizers and clipping expect.

    Args:
        input_size: Number of features of a state.
        vocabulary: Vocabulary whose tokens are predicted, with counts.
        criterion: Training loss; `SampledSoftmax()` if None.
        num_negatives: Number of words drawn for a batch, with replacement.
        power: Exponent of the word counts in the noise distribution: 1 is the distribution of the
            text, 0 is uniform.
        bias: Whether each token has a bias.
        init_scale: Bound of the uniform initial weights and biases.

    Raises:
        ValueError: If `input_size` or `num_negatives` is below 1, `init_scale` is not above 0,
            `power` is below 0, or the vocabulary has no counts.

    Example:
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "the"], counts=[3, 1, 2])
        >>> head = Sampled(4, vocabulary, num_negatives=2)
        >>> log_probs = head.log_distribution(torch.ones(4))
        >>> torch.allclose(log_probs.exp().sum(), torch.tensor(1.0))
        True
    """

    def __init__(
        self,
        input_size: int,
        vocabulary: Vocabulary,
        criterion: Criterion | None = None,
        num_negatives: int = 500,
        power: float = 1.0,
        bias: bool = True,
        init_scale: float = 0.1,
    ) -> None:
        super().__init__(input_size, vocabulary)
        check_init_scale(init_scale)
        if num_negatives < 1:
            raise ValueError(f"num_negatives must be at least 1, got {num_negatives}")
        self.criterion = criterion or SampledSoftmax()
        self.num_negatives = num_negatives
        self.noise = Noise(vocabulary, power)
        self.weight = nn.Parameter(torch.empty(self.vocab_size, input_size))
        self.bias = nn.Parameter(torch.empty(self.vocab_size)) if bias else None
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init_scale, init_scale)

    def loss(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `OutputLayer.loss`; the criterion's loss instead of the nll."""
        check_shapes(self, states, targets)
        rows, row_targets = states.reshape(-1, self.input_size), targets.reshape(-1)
        with without_autocast(states.device):
            if on_device(row_targets):  # finding the ignored ones would wait for the device
                sample = self._sample(rows, row_targets.clamp_min(0))
                return self.criterion.loss(sample.without(row_targets == IGNORE_INDEX))
            return self.criterion.loss(self._sample(*real_rows(self, rows, row_targets)))

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `OutputLayer.log_probs`."""
        check_shapes(self, states, targets)
        targets = placed(self, states, targets)
        return exact_log_probs(states, self.weight, self._whole_bias(), targets)

    def log_distribution(self, states: Tensor) -> Tensor:
        """See `OutputLayer.log_distribution`."""
        check_shapes(self, states)
        return exact_linear(states, self.weight, self._whole_bias()).log_softmax(-1)

    def tie(self, embedding: nn.Embedding) -> None:
        """See `OutputLayer.tie`."""
        check_tied(self.weight, embedding)
        self.weight = embedding.weight  # type: ignore[assignment]  # torch declares a Tensor

    def _sample(self, rows: Tensor, targets: Tensor) -> Sample:
        negatives = self.noise.draw(self.num_negatives)
        ids = torch.cat([targets, negatives])
        dtype = torch.promote_types(self.weight.dtype, torch.float32)
        # One lookup, because each lookup allocates a gradient of the whole weight.
        vectors = F.embedding(ids, self.weight).to(dtype)
        of_targets, of_negatives = vectors.split_with_sizes([len(targets), len(negatives)])
        rows = rows.to(dtype)
        scores = (rows * of_targets).sum(-1)
        noise_scores = rows @ of_negatives.t()
        if self.bias is not None:
            scores = scores + self.bias.index_select(0, targets)
            noise_scores = noise_scores + self.bias.index_select(0, negatives)
        log_noise = self.noise.log_probs(ids).to(dtype)
        return Sample(
            scores,
            noise_scores,
            log_noise[: len(targets)],
            log_noise[len(targets) :],
            targets.unsqueeze(1) == negatives,
            self.vocab_size,
        )

    def _whole_bias(self) -> Tensor | None:
        if not self.criterion.is_relative:
            return self.bias
        dtype = torch.promote_types(self.weight.dtype, torch.float32)
        log_noise = self.noise.log_probs(torch.arange(self.vocab_size, device=self.weight.device))
        return log_noise.to(dtype) + (0 if self.bias is None else self.bias)
