"""Decoders that predict each token independently, with or without BIO constraints."""

import abc
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX
from pipeline.decoders.base import Decoder, emissions, real_steps
from pipeline.decoders.chain import (
    ChainScores,
    Posterior,
    allowed_starts,
    allowed_transitions,
    constrain,
    viterbi,
)
from pipeline.decoders.spans import span_log_probs
from pipeline.text.tags import Span


class _PerToken(Decoder, abc.ABC):
    """softmax(weight state + bias) at each token, independently of its neighbors."""

    def __init__(self, input_size: int, tags: Sequence[str], outside_weight: float = 1.0) -> None:
        super().__init__(input_size, tags)
        if not outside_weight >= 0:
            raise ValueError(f"outside_weight must be at least 0, got {outside_weight}")
        self.outside_weight = outside_weight
        self.linear = nn.Linear(input_size, len(self.tags))

    def loss(self, states: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        """See `Decoder`; tokens whose gold tag is "O" have the weight `outside_weight`."""
        logits = emissions(self.linear, states, lengths)
        weights = [self.outside_weight if tag == "O" else 1.0 for tag in self.tags]
        return F.cross_entropy(
            logits.flatten(0, 1),
            targets.where(real_steps(states, lengths), IGNORE_INDEX).flatten(),
            weight=logits.new_tensor(weights),
            ignore_index=IGNORE_INDEX,
            reduction="sum",
        )

    def marginals(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Decoder`; without constraints."""
        return emissions(self.linear, states, lengths).softmax(-1)

    @torch.no_grad()
    def _span_log_probs(
        self, states: Tensor, lengths: Tensor, spans: Sequence[Sequence[Span]], strict: bool
    ) -> list[list[float]]:
        log_probs = emissions(self.linear, states, lengths).log_softmax(-1)
        # Independent tags are a chain whose transitions are all 0.
        indifferent = log_probs.new_zeros(len(self.tags), len(self.tags))
        posterior = Posterior(log_probs, log_probs, indifferent)
        return span_log_probs(self.tags, posterior, lengths, spans, strict)


class Softmax(_PerToken):
    """Predicts the best tag of each token; spans may be malformed (an "I-x" after "O").

    Args:
        input_size: Number of features of each state.
        tags: Tags in the order of their ids; labels such as parts of speech are allowed.
        outside_weight: Weight of tokens whose gold tag is "O" in the loss; Irsoy and Cardie (2014,
            "Opinion Mining with Deep Recurrent Neural Networks", EMNLP) use 0.5.

    Raises:
        ValueError: If `input_size` is below 1, there is no tag, or `outside_weight` is below 0.

    Example:
        >>> decoder = Softmax(input_size=4, tags=["NOUN", "VERB"])
        >>> loss = decoder.loss(torch.zeros(1, 1, 4), torch.tensor([[1]]), torch.tensor([1]))
        >>> loss.shape, bool(loss > 0)
        (torch.Size([]), True)
    """

    @torch.no_grad()
    def decode(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Decoder`."""
        best = emissions(self.linear, states, lengths).argmax(-1)
        return best.where(real_steps(states, lengths), IGNORE_INDEX)

    def span_log_probs(
        self, states: Tensor, lengths: Tensor, spans: Sequence[Sequence[Span]]
    ) -> list[list[float]]:
        """See `Decoder`; lenient: an I-label that continues no span starts one."""
        return self._span_log_probs(states, lengths, spans, strict=False)


class ConstrainedSoftmax(_PerToken):
    """Predicts the most probable tag sequence that BIO allows, by Viterbi decoding.

    Training, parameters and probabilities are those of `Softmax`. Reimers and Gurevych (2017, arXiv
    1707.06799) count the malformed spans that this avoids.

    Args:
        input_size: Number of features of each state.
        tags: Tags in the order of their ids. Labels such as parts of speech have no constraints.
        outside_weight: Weight of tokens whose gold tag is "O" in the loss.

    Raises:
        ValueError: If `input_size` is below 1, there is no tag, or `outside_weight` is below 0.

    Example:
        >>> decoder = ConstrainedSoftmax(input_size=1, tags=["O", "B-x", "I-x"])
        >>> _ = decoder.linear.weight.data.copy_(torch.tensor([[0.0], [1.0], [9.0]]))
        >>> decoder.decode(torch.ones(1, 2, 1), torch.tensor([2]))  # "I-x" cannot start a sentence
        tensor([[1, 2]])
    """

    def __init__(self, input_size: int, tags: Sequence[str], outside_weight: float = 1.0) -> None:
        super().__init__(input_size, tags, outside_weight)
        # Not buffers, which DDP would broadcast before each forward pass: it would wait forever if
        # ranks evaluate different numbers of batches.
        self._transitions, self._starts = allowed_transitions(self.tags), allowed_starts(self.tags)

    @torch.no_grad()
    def decode(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Decoder`."""
        log_probs = emissions(self.linear, states, lengths).log_softmax(-1)
        zeros = ChainScores(*(log_probs.new_zeros(1) for _ in range(3)))
        scores = constrain(zeros, self._transitions, self._starts)
        return viterbi(log_probs, lengths, scores)

    def span_log_probs(
        self, states: Tensor, lengths: Tensor, spans: Sequence[Sequence[Span]]
    ) -> list[list[float]]:
        """See `Decoder`."""
        return self._span_log_probs(states, lengths, spans, strict=True)
