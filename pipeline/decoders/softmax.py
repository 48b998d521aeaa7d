"""Decoders that predict each token independently, with or without BIO constraints."""

import abc
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX
from pipeline.decoders.base import ChainDecoder, emissions
from pipeline.decoders.chain import viterbi
from pipeline.decoders.scores import ChainScores, Constraints, Posterior
from pipeline.transfers import Constant, real_steps


class _PerToken(ChainDecoder, abc.ABC):
    """softmax(weight state + bias) at each token, independently of its neighbors."""

    def __init__(self, input_size: int, tags: Sequence[str], outside_weight: float = 1.0) -> None:
        super().__init__(input_size, tags)
        if not outside_weight >= 0:
            raise ValueError(f"outside_weight must be at least 0, got {outside_weight}")
        self.outside_weight = outside_weight
        weights = [outside_weight if tag == "O" else 1.0 for tag in self.tags]
        self._weights = Constant(torch.tensor(weights, dtype=torch.float64))
        self.linear = nn.Linear(input_size, len(self.tags))

    def loss(self, states: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        """See `Decoder`; tokens whose gold tag is "O" have the weight `outside_weight`."""
        logits = emissions(self.linear, states, lengths)
        is_real = real_steps(lengths, logits.shape[1], logits.device)
        return F.cross_entropy(
            logits.flatten(0, 1),
            targets.where(is_real, IGNORE_INDEX).flatten(),
            weight=self._weights.on(logits),
            ignore_index=IGNORE_INDEX,
            reduction="sum",
        )

    def marginals(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Decoder`; without constraints."""
        return emissions(self.linear, states, lengths).softmax(-1)

    def posterior(self, states: Tensor, lengths: Tensor) -> Posterior:
        """See `ChainDecoder`."""
        log_probs = emissions(self.linear, states, lengths).log_softmax(-1)
        # Independent tags are a chain whose transitions are all 0.
        indifferent = log_probs.new_zeros(len(self.tags), len(self.tags))
        return Posterior(log_probs, log_probs, indifferent)


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

    is_strict = False

    @torch.no_grad()
    def decode(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Decoder`."""
        best = emissions(self.linear, states, lengths).argmax(-1)
        return best.where(real_steps(lengths, best.shape[1], best.device), IGNORE_INDEX)


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

    is_strict = True

    def __init__(self, input_size: int, tags: Sequence[str], outside_weight: float = 1.0) -> None:
        super().__init__(input_size, tags, outside_weight)
        self._constraints = Constraints(self.tags)

    @torch.no_grad()
    def decode(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Decoder`."""
        log_probs = emissions(self.linear, states, lengths).log_softmax(-1)
        zeros = ChainScores(*(log_probs.new_zeros(1) for _ in range(3)))
        return viterbi(log_probs, lengths, self._constraints.on(zeros))
