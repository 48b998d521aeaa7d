"""The linear-chain conditional random field."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline.decoders.base import Decoder
from pipeline.decoders.chain import (
    ChainScores,
    Posterior,
    log_partition,
    path_score,
    posterior,
    viterbi,
)
from pipeline.decoders.constraints import allowed_starts, allowed_transitions
from pipeline.decoders.emissions import emissions
from pipeline.decoders.spans import span_log_probs
from pipeline.text.tags import Span

INIT_SCALE = 0.1
"""Transitions, starts and ends begin uniform in [-INIT_SCALE, INIT_SCALE]."""


class CRF(Decoder):
    """A distribution over whole tag sequences: scores of tags plus scores of neighbours.

    log p(tags | states) = starts[y_1] + sum_t (weight state_t + bias)[y_t]
    + sum_t transitions[y_t, y_(t+1)] + ends[y_n] - log Z: Lafferty, McCallum and Pereira (2001,
    "Conditional Random Fields", ICML), over recurrent states as Lample et al. (2016, arXiv
    1603.01360). All of it is in float32 whatever autocast says.

    Args:
        input_size: features of a state.
        tags: the tags; between labels, as parts of speech, there are no constraints.
        constrained: whether `decode` gives only sequences that BIO allows. The distribution itself
            is never constrained: real files hold an "I-x" that continues nothing, and the loss of
            their sentences would be infinite.
        miss_cost: in training, what a tag sequence's score gains for each "O" where the gold tag is
            another, so that spans are missed less often (softmax-margin: Gimpel and Smith 2010,
            "Softmax-Margin CRFs", NAACL). It takes precision for recall, as a weight below 1 of the
            outside tokens does for `Softmax`.

    Raises:
        ValueError: `input_size` is below 1, there is no tag, or `miss_cost` is below 0.
    """

    def __init__(
        self,
        input_size: int,
        tags: Sequence[str],
        constrained: bool = True,
        miss_cost: float = 0.0,
    ) -> None:
        super().__init__(input_size, tags)
        if not miss_cost >= 0:
            raise ValueError(f"miss_cost must be at least 0, got {miss_cost}")
        self.miss_cost = miss_cost
        num_tags = len(self.tags)
        self.constrained = constrained
        self.linear = nn.Linear(input_size, num_tags)
        self.transitions = nn.Parameter(torch.empty(num_tags, num_tags))
        self.starts = nn.Parameter(torch.empty(num_tags))
        self.ends = nn.Parameter(torch.empty(num_tags))
        for scores in (self.transitions, self.starts, self.ends):
            nn.init.uniform_(scores, -INIT_SCALE, INIT_SCALE)
        # Not buffers: see `ConstrainedSoftmax`.
        self._transitions, self._starts = allowed_transitions(self.tags), allowed_starts(self.tags)

    def loss(self, states: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        """See `Decoder`."""
        emitted = emissions(self.linear, states, lengths)
        if self.miss_cost and "O" in self.tags:
            outside = self.tags.index("O")
            is_span = (targets != outside).unsqueeze(-1)
            is_outside = torch.arange(len(self.tags), device=emitted.device) == outside
            emitted = emitted + self.miss_cost * (is_span & is_outside).to(emitted.dtype)
        scores = self._scores(emitted.dtype)
        gold = path_score(emitted, lengths, scores, targets)
        return (log_partition(emitted, lengths, scores) - gold).sum()

    @torch.no_grad()
    def decode(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Decoder`; the sequence of highest probability, of those allowed."""
        emitted = emissions(self.linear, states, lengths)
        scores = self._scores(emitted.dtype)
        if self.constrained:
            transitions, starts = (
                part.where(allowed.to(part.device), -torch.inf)
                for part, allowed in (
                    (scores.transitions, self._transitions),
                    (scores.starts, self._starts),
                )
            )
            scores = ChainScores(transitions, starts, scores.ends)
        return viterbi(emitted, lengths, scores)

    def marginals(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Decoder`."""
        return self._posterior(states, lengths).log_marginals.exp()

    @torch.no_grad()
    def span_log_probs(
        self, states: Tensor, lengths: Tensor, spans: Sequence[Sequence[Span]]
    ) -> list[list[float]]:
        """See `Decoder`; exact, in the lenient reading of `Softmax` unless `constrained`."""
        found = self._posterior(states, lengths)
        return span_log_probs(self.tags, found, lengths, spans, strict=self.constrained)

    def _posterior(self, states: Tensor, lengths: Tensor) -> Posterior:
        emitted = emissions(self.linear, states, lengths)
        return posterior(emitted, lengths, self._scores(emitted.dtype))

    def _scores(self, dtype: torch.dtype) -> ChainScores:
        return ChainScores(self.transitions.to(dtype), self.starts.to(dtype), self.ends.to(dtype))
