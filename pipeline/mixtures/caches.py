"""Caches: words that occurred a moment ago are likelier to occur again."""

import abc
from typing import NamedTuple

import torch
from torch import Tensor, nn


class CacheState(NamedTuple):
    """What a cache remembers of one stream.

    Attributes:
        tokens: the last ones that were read, -1 before the stream's start [window].
        states: what the model had after each, [window features].
    """

    tokens: Tensor
    states: Tensor


class Cache(nn.Module, abc.ABC):
    """A distribution made of the recent past; where there is none it is uniform.

    Args:
        window: tokens that it looks back.

    Raises:
        ValueError: `window` is below 1.

    Attributes:
        window: tokens that it looks back.
    """

    def __init__(self, window: int) -> None:
        super().__init__()
        if window < 1:
            raise ValueError(f"window of a cache must be at least 1, got {window}")
        self.window = window

    def forward(
        self,
        tokens: Tensor,
        states: Tensor,
        targets: Tensor,
        memory: CacheState | None,
        vocab_size: int,
    ) -> tuple[Tensor, CacheState]:
        """Scores the targets of a window of one stream.

        Args:
            tokens: ids read [time].
            states: the model's after each [time features].
            targets: the ids that come next [time].
            memory: what an earlier window gave; None at the start.
            vocab_size: number of token types.

        Returns:
            Natural logarithms of probabilities, float64 [time], and the memory.
        """
        if memory is None:
            none = tokens.new_full((self.window,), -1)
            memory = CacheState(none, states.new_zeros(self.window, states.shape[-1]))
        all_tokens = torch.cat([memory.tokens, tokens])
        all_states = torch.cat([memory.states, states])
        scores = self._scores(all_tokens, all_states, len(tokens))  # [time past]
        past = self._past(all_tokens, len(tokens))
        scores = scores.masked_fill(past < 0, -torch.inf)
        hits = scores.masked_fill(past != targets.unsqueeze(1), -torch.inf)
        found = hits.logsumexp(1) - scores.logsumexp(1)
        uniform = -torch.tensor(float(vocab_size), dtype=torch.float64).log()
        is_empty = (past < 0).all(dim=1)
        kept = CacheState(all_tokens[-self.window :], all_states[-self.window :].detach())
        return torch.where(is_empty, uniform, found), kept

    @abc.abstractmethod
    def _past(self, tokens: Tensor, time: int) -> Tensor:
        """The tokens that may be repeated at each of the last `time` steps [time past]."""

    @abc.abstractmethod
    def _scores(self, tokens: Tensor, states: Tensor, time: int) -> Tensor:
        """Logarithms of how much each of them counts, float64 [time past]."""


class UnigramCache(Cache):
    """Counts of the last words, fading away (Kuhn & De Mori 1990; Clarkson & Robinson 1997).

    p(w) = sum of decay^age over the last `window` tokens that are w, normalised.

    Args:
        window: see `Cache`.
        decay: what a token is worth for each step that has passed since.

    Raises:
        ValueError: `window` is below 1, **or** `decay` is not in (0, 1].
    """

    def __init__(self, window: int = 500, decay: float = 0.995) -> None:
        super().__init__(window)
        if not 0 < decay <= 1:
            raise ValueError(f"decay of a cache must be above 0 and at most 1, got {decay}")
        self.decay = decay

    def _past(self, tokens: Tensor, time: int) -> Tensor:
        return tokens[1:].unfold(0, self.window, 1)

    def _scores(self, tokens: Tensor, states: Tensor, time: int) -> Tensor:
        ages = torch.arange(self.window - 1, -1, -1, dtype=torch.float64, device=tokens.device)
        fading = ages * torch.tensor(self.decay, dtype=torch.float64).log()
        return fading.expand(time, -1)


class NeuralCache(Cache):
    """Words that followed states like the present one (Grave et al. 2017, arXiv 1612.04426).

    p(w | h_t) is proportional to the sum of exp(theta h_t . h_i) over the last `window`
    steps i < t after which w came.

    Args:
        window: see `Cache`.
        theta: how much likeness counts; 0 is a plain unigram cache.

    Raises:
        ValueError: `window` is below 1, **or** `theta` is negative.
    """

    def __init__(self, window: int = 500, theta: float = 0.3) -> None:
        super().__init__(window)
        if not theta >= 0:
            raise ValueError(f"theta of a cache must be 0 or more, got {theta}")
        self.theta = theta

    def _past(self, tokens: Tensor, time: int) -> Tensor:
        # A state's word is the token after it; states before the stream's start have none.
        known = tokens.unfold(0, self.window + 1, 1)
        return known[:, 1:].masked_fill(known[:, :-1] < 0, -1)

    def _scores(self, tokens: Tensor, states: Tensor, time: int) -> Tensor:
        queries = states[self.window :].double()
        likeness = queries @ states.double().t()  # [time window+time]
        steps = torch.arange(time, device=tokens.device).unsqueeze(1)
        places = steps + torch.arange(self.window, device=tokens.device)
        return self.theta * likeness.gather(1, places)
