"""Caches, which make recent words more probable."""

import abc
from typing import NamedTuple

import torch
from torch import Tensor, nn


class CacheState(NamedTuple):
    """The recent history of a stream."""

    tokens: Tensor  # ids of the last tokens; -1 before the start of the stream [window]
    states: Tensor  # states of the model after each of these tokens [window features]


class Cache(nn.Module, abc.ABC):
    """Abstract base class of distributions over recent words, uniform at the start of a stream.

    Args:
        window: Number of recent tokens, at least 1.
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
        history: CacheState | None,
        vocab_size: int,
    ) -> tuple[Tensor, CacheState]:
        """Returns the log-probabilities of targets [time], float64 [time], and the new cache state.

        The batch has one stream: tokens [time] and the states of the model after each of them
        [time features]. `history` is the state of the cache after the previous batch; None at the
        start.
        """
        if history is None:
            none = tokens.new_full((self.window,), -1)
            history = CacheState(none, states.new_zeros(self.window, states.shape[-1]))
        all_tokens = torch.cat([history.tokens, tokens])
        all_states = torch.cat([history.states, states])
        scores = self._scores(all_tokens, all_states, len(tokens))  # [time past]
        past = self._past(all_tokens, len(tokens))
        scores = scores.masked_fill(past < 0, -torch.inf)
        hits = scores.masked_fill(past != targets.unsqueeze(1), -torch.inf)
        found = hits.logsumexp(1) - scores.logsumexp(1)
        uniform = -torch.tensor(float(vocab_size), dtype=torch.float64).log().item()
        is_empty = (past < 0).all(dim=1)
        kept = CacheState(all_tokens[-self.window :], all_states[-self.window :].detach())
        return torch.where(is_empty, uniform, found), kept

    @abc.abstractmethod
    def _past(self, tokens: Tensor, time: int) -> Tensor:
        """Returns the tokens in the cache at each of the last `time` steps [time past]."""

    @abc.abstractmethod
    def _scores(self, tokens: Tensor, states: Tensor, time: int) -> Tensor:
        """Returns the log-weight of each token in the cache, float64 [time past]."""


class UnigramCache(Cache):
    """Unigram cache with exponential decay (Kuhn & De Mori 1990; Clarkson & Robinson 1997).

    p(w) is the normalized sum of decay^age over the last `window` tokens equal to w.

    Args:
        window: Number of recent tokens.
        decay: Factor of a token's weight for each step since it occurred.

    Raises:
        ValueError: If `window` is below 1 or `decay` is not in (0, 1].

    Example:
        >>> cache = UnigramCache(window=4, decay=1.0)
        >>> tokens, targets = torch.tensor([5, 7]), torch.tensor([7, 5])
        >>> log_probs, _ = cache(tokens, torch.zeros(2, 3), targets, None, vocab_size=10)
        >>> log_probs.exp().tolist()  # 7 has not occurred; 5 is half of the cache
        [0.0, 0.5]
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
    """Neural cache: words that followed similar states (Grave et al. 2017, arXiv 1612.04426).

    p(w | h_t) is proportional to the sum of exp(theta h_t . h_i) over those of the last `window`
    steps i < t that were followed by w.

    Args:
        window: Number of recent tokens.
        theta: Weight of the similarity of states; with 0 all steps count equally.

    Raises:
        ValueError: If `window` is below 1 or `theta` is negative.

    Example:
        >>> cache = NeuralCache(window=4, theta=1.0)
        >>> tokens, states = torch.tensor([5, 7, 5]), torch.tensor([[1.0], [0.0], [1.0]])
        >>> log_probs, _ = cache(tokens, states, torch.tensor([7, 5, 7]), None, vocab_size=10)
        >>> round(log_probs[2].exp().item(), 4)  # e / (e + 1): 7 followed an equal state
        0.7311
    """

    def __init__(self, window: int = 500, theta: float = 0.3) -> None:
        super().__init__(window)
        if not theta >= 0:
            raise ValueError(f"theta of a cache must be at least 0, got {theta}")
        self.theta = theta

    def _past(self, tokens: Tensor, time: int) -> Tensor:
        # The word of a state is the token after it; there is none before the start of the stream.
        known = tokens.unfold(0, self.window + 1, 1)
        return known[:, 1:].masked_fill(known[:, :-1] < 0, -1)

    def _scores(self, tokens: Tensor, states: Tensor, time: int) -> Tensor:
        queries = states[self.window :].double()
        likeness = queries @ states.double().t()  # [time window+time]
        steps = torch.arange(time, device=tokens.device).unsqueeze(1)
        places = steps + torch.arange(self.window, device=tokens.device)
        return self.theta * likeness.gather(1, places)
