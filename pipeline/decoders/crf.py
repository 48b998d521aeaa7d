"""The linear-chain conditional random field."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline.decoders.base import ChainDecoder, emissions
from pipeline.decoders.chain import log_partition, path_score, posterior, viterbi
from pipeline.decoders.scores import ChainScores, Constraints, Posterior

INIT_SCALE = 0.1
"""Transitions, starts and ends are initialized uniformly in [-INIT_SCALE, INIT_SCALE]."""


class CRF(ChainDecoder):
    """A linear-chain CRF: a distribution over tag sequences with scores of neighboring tags.

    log p(tags | states) = starts[y_1] + sum_t (weight state_t + bias)[y_t]
    + sum_t transitions[y_t, y_(t+1)] + ends[y_n] - log Z: Lafferty, McCallum and Pereira (2001,
    "Conditional Random Fields", ICML), over recurrent states as Lample et al. (2016, arXiv
    1603.01360). It is computed in float32, without autocast.

    Args:
        input_size: Number of features of each state.
        tags: Tags in the order of their ids. Labels such as parts of speech have no constraints.
        constrained: Whether `decode` returns only sequences that BIO allows. The distribution is
            never constrained, because real files contain malformed spans, whose loss would be
            infinite.
        miss_cost: Score added in training for each "O" whose gold tag is another, so that fewer
            spans are missed (softmax-margin: Gimpel and Smith 2010, "Softmax-Margin CRFs", NAACL).
            It raises recall and lowers precision.

    Raises:
        ValueError: If `input_size` is below 1, there is no tag, or `miss_cost` is below 0.

    Example:
        >>> decoder = CRF(input_size=4, tags=["O", "B-x", "I-x"])
        >>> states, lengths = torch.zeros(1, 3, 4), torch.tensor([2])
        >>> decoder.decode(states, lengths)[0, 2]  # padding
        tensor(-100)
        >>> decoder.marginals(states, lengths)[0, 0].sum().round().item()
        1.0
    """

    def __init__(
        self, input_size: int, tags: Sequence[str], constrained: bool = True, miss_cost: float = 0.0
    ) -> None:
        super().__init__(input_size, tags)
        if not miss_cost >= 0:
            raise ValueError(f"miss_cost must be at least 0, got {miss_cost}")
        self.constrained, self.miss_cost = constrained, miss_cost
        num_tags = len(self.tags)
        self.linear = nn.Linear(input_size, num_tags)
        self.transitions = nn.Parameter(torch.empty(num_tags, num_tags))
        self.starts = nn.Parameter(torch.empty(num_tags))
        self.ends = nn.Parameter(torch.empty(num_tags))
        for scores in (self.transitions, self.starts, self.ends):
            nn.init.uniform_(scores, -INIT_SCALE, INIT_SCALE)
        self._constraints = Constraints(self.tags)

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
        """See `Decoder`; the most probable sequence, by Viterbi decoding."""
        emitted = emissions(self.linear, states, lengths)
        scores = self._scores(emitted.dtype)
        if self.constrained:
            scores = self._constraints.on(scores)
        return viterbi(emitted, lengths, scores)

    @property
    def is_strict(self) -> bool:  # type: ignore[override]  # an attribute in `ChainDecoder`
        """See `ChainDecoder`."""
        return self.constrained

    def marginals(self, states: Tensor, lengths: Tensor) -> Tensor:
        """See `Decoder`."""
        return self.posterior(states, lengths).log_marginals.exp()

    def posterior(self, states: Tensor, lengths: Tensor) -> Posterior:
        """See `ChainDecoder`."""
        emitted = emissions(self.linear, states, lengths)
        return posterior(emitted, lengths, self._scores(emitted.dtype))

    def _scores(self, dtype: torch.dtype) -> ChainScores:
        return ChainScores(self.transitions.to(dtype), self.starts.to(dtype), self.ends.to(dtype))
