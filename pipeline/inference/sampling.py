"""Samples tokens from distributions: temperature, top-k and nucleus (top-p) sampling."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def sample(
    log_probs: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    forbid: Sequence[int] = (),
    generator: torch.Generator | None = None,
) -> Tensor:
    """Samples one token from each distribution, after `filter_log_probs`.

    Args:
        log_probs: Log-probabilities [* vocab], normalized or not.
        temperature: Divisor of the log-probabilities; 0 always takes the most probable token.
        top_k: Number of most probable tokens to sample from; all if omitted.
        top_p: Probability of the nucleus to sample from; all tokens if omitted.
        forbid: Token ids that are never sampled.
        generator: Random number generator on the device of `log_probs`; torch's default generator
            if omitted.

    Returns:
        Token ids [*], int64.

    Raises:
        ValueError: As `filter_log_probs`.

    Example:
        >>> log_probs = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]).log()
        >>> sample(log_probs, temperature=0)
        tensor([2, 0])
    """
    filtered = filter_log_probs(log_probs, temperature, top_k, top_p, forbid)
    rows = filtered.exp().reshape(-1, filtered.shape[-1])
    drawn = torch.multinomial(rows, num_samples=1, generator=generator)
    return drawn.reshape(filtered.shape[:-1])


def filter_log_probs(
    log_probs: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    forbid: Sequence[int] = (),
) -> Tensor:
    """Filters distributions: first `forbid`, then the temperature, then top-k, then top-p.

    Each step starts from the normalized result of the step before, so `top_p` is a fraction of the
    probability that `top_k` keeps. Tokens with equal probabilities are ordered by id, so exactly
    `top_k` tokens are kept.

    Args:
        log_probs: Log-probabilities [* vocab], normalized or not.
        temperature: Divisor of the log-probabilities; 0 keeps only the most probable token.
        top_k: Number of most probable tokens to keep; all if omitted.
        top_p: Probability of the nucleus, the smallest set of most probable tokens whose
            probabilities sum to `top_p` or more (Holtzman et al. 2019, arXiv 1904.09751); all
            tokens are kept if omitted.
        forbid: Token ids that are removed.

    Returns:
        Normalized log-probabilities [* vocab], float64; -inf for removed tokens.

    Raises:
        ValueError: If `temperature` is negative or not finite, `top_k` is below 1, `top_p` is not
            in (0, 1], an id of `forbid` is not in the vocabulary, or a row has no token left.

    Example:
        >>> log_probs = torch.tensor([0.5, 0.25, 0.125, 0.125]).log()
        >>> filter_log_probs(log_probs, top_k=2).exp()
        tensor([0.6667, 0.3333, 0.0000, 0.0000], dtype=torch.float64)
        >>> filter_log_probs(log_probs, top_p=0.8).exp()
        tensor([0.5714, 0.2857, 0.1429, 0.0000], dtype=torch.float64)
    """
    _check(temperature, top_k, top_p)
    allowed = _without(log_probs.double(), forbid)
    if temperature == 0:
        temperature, top_k = 1.0, 1
    # With 0 as the largest logarithm, the division by a tiny temperature cannot overflow.
    allowed = ((allowed - allowed.amax(-1, keepdim=True)) / temperature).log_softmax(-1)
    ordered, order = allowed.sort(dim=-1, descending=True, stable=True)
    keep = torch.ones_like(ordered, dtype=torch.bool)
    if top_k is not None:
        keep[..., top_k:] = False
    if top_p is not None and top_p < 1:
        probs = ordered.masked_fill(~keep, -torch.inf).softmax(-1)
        before = F.pad(probs.cumsum(-1)[..., :-1], (1, 0))
        # The token that reaches top_p is the last one of the nucleus, which is never empty.
        keep &= before < top_p
    kept = torch.zeros_like(keep).scatter(-1, order, keep)
    return allowed.masked_fill(~kept, -torch.inf).log_softmax(-1)


def _check(temperature: float, top_k: int | None, top_p: float | None) -> None:
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature must be 0 or more, got {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, got {top_p}")


def _without(log_probs: Tensor, forbid: Sequence[int]) -> Tensor:
    vocab_size = log_probs.shape[-1]
    for token in forbid:
        if not 0 <= token < vocab_size:
            raise ValueError(
                f"cannot forbid token id {token}; the vocabulary has ids 0 to {vocab_size - 1}"
            )
    if len(forbid) > 0:
        index = torch.tensor(list(forbid), device=log_probs.device)
        log_probs = log_probs.index_fill(-1, index, -torch.inf)
    if bool((log_probs.amax(-1) == -torch.inf).any()):
        raise ValueError(
            "no token is left to sample: all tokens with a probability above 0 are forbidden"
        )
    return log_probs
