"""Tags chosen one token at a time, with or without the constraints of BIO."""

import abc
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX
from pipeline.decoders.base import Decoder
from pipeline.decoders.chain import ChainScores, Posterior, viterbi
from pipeline.decoders.constraints import allowed_starts, allowed_transitions
from pipeline.decoders.emissions import emissions, real_steps
from pipeline.decoders.spans import span_log_probs
from pipeline.text.tags import Span


class _PerToken(Decoder, abc.ABC):
    """softmax(weight state + bias) at each token, whatever its neighbours are."""

    def __init__(self, input_size: int, tags: Sequence[str], outside_weight: float = 1.0) -> None:
        super().__init__(input_size, tags)
        if not outside_weight >= 0:
            raise ValueError(f"outside_weight must be at least 0, got {outside_weight}")
        self.outside_weight = outside_weight
        self.linear = nn.Linear(input_size, len(self.tags))

    def loss(self, states: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        """See `Decoder`; tokens whose gold tag is "O" count `outside_weight`."""
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
        """See `Decoder`; of the softmax, without constraints."""
        return emissions(self.linear, states, lengths).softmax(-1)

    @torch.no_grad()
    def _span_log_probs(
        self, states: Tensor, lengths: Tensor, spans: Sequence[Sequence[Span]], strict: bool
    ) -> list[list[float]]:
        log_probs = emissions(self.linear, states, lengths).log_softmax(-1)
        # Independent tags are a chain whose transitions say nothing.
        indifferent = log_probs.new_zeros(len(self.tags), len(self.tags))
        posterior = Posterior(log_probs, log_probs, indifferent)
        return span_log_probs(self.tags, posterior, lengths, spans, strict)


class Softmax(_PerToken):
    """The best tag of each token; spans may be malformed (an "I-x" that continues nothing).

    Args:
        input_size: features of a state.
        tags: the tags; labels, as parts of speech, have no spans.
        outside_weight: weight in the loss of the tokens whose gold tag is "O", if it is a tag;
            Irsoy and Cardie (2014, "Opinion Mining with Deep Recurrent Neural Networks", EMNLP)
            have 0.5.

    Raises:
        ValueError: `input_size` is below 1, there is no tag, or `outside_weight` is below 0.
    """

    @torch.no_grad()
    def decode(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Decoder`."""
        best = emissions(self.linear, states, lengths).argmax(-1)
        return best.where(real_steps(states, lengths), IGNORE_INDEX)

    def span_log_probs(
        self, states: Tensor, lengths: Tensor, spans: Sequence[Sequence[Span]]
    ) -> list[list[float]]:
        """See `Decoder`, in the lenient reading: an I-label that continues nothing begins."""
        return self._span_log_probs(states, lengths, spans, strict=False)


class ConstrainedSoftmax(_PerToken):
    """`Softmax` with the most probable of the tag sequences that BIO allows.

    Trained as `Softmax` is, and with the same parameters; probabilities too are the softmax's own.
    Reimers and Gurevych (2017, arXiv 1707.06799) count the malformed spans that this avoids.

    Args:
        input_size: features of a state.
        tags: the tags; between labels, as parts of speech, there are no constraints.
        outside_weight: see `Softmax`.

    Raises:
        ValueError: see `Softmax`.
    """

    def __init__(self, input_size: int, tags: Sequence[str], outside_weight: float = 1.0) -> None:
        super().__init__(input_size, tags, outside_weight)
        # Not buffers, which DDP would send around before each forward pass: where ranks evaluate
        # unequal numbers of batches, it would wait for ever.
        self._transitions, self._starts = allowed_transitions(self.tags), allowed_starts(self.tags)

    @torch.no_grad()
    def decode(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Decoder`."""
        log_probs = emissions(self.linear, states, lengths).log_softmax(-1)
        zero = log_probs.new_zeros(())
        scores = ChainScores(
            zero.where(self._transitions.to(zero.device), -torch.inf),
            zero.where(self._starts.to(zero.device), -torch.inf),
            zero.expand(len(self.tags)),
        )
        return viterbi(log_probs, lengths, scores)

    def span_log_probs(
        self, states: Tensor, lengths: Tensor, spans: Sequence[Sequence[Span]]
    ) -> list[list[float]]:
        """See `Decoder`."""
        return self._span_log_probs(states, lengths, spans, strict=True)
