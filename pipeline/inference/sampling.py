"""Drawing tokens from a distribution, for generation."""

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
    """Draws one token from each row of `filter_log_probs`.

    Args:
        log_probs: log-probabilities [* vocab], normalised or not.
        temperature: see `filter_log_probs`.
        top_k: see `filter_log_probs`.
        top_p: see `filter_log_probs`.
        forbid: see `filter_log_probs`.
        generator: source of randomness, of the device of `log_probs`; torch's default one if
            omitted.

    Returns:
        Ids [*], int64.

    Raises:
        ValueError: see `filter_log_probs`.
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
    """Reshapes distributions: first `forbid`, then temperature, then top-k, then top-p.

    Each step works on the normalised result of the one before, so `top_p` is a share of what
    `top_k` left. Of tokens of equal probability the one with the lower id comes first, so that
    exactly `top_k` are left.

    Args:
        log_probs: log-probabilities [* vocab], normalised or not.
        temperature: the logarithms are divided by it; 0 leaves only the likeliest token.
        top_k: leaves the so many likeliest tokens; all if omitted or more than there are.
        top_p: leaves the likeliest tokens whose probabilities first add up to it: the nucleus
            (Holtzman et al. 2019, arXiv 1904.09751); all if omitted.
        forbid: ids that get no probability.

    Returns:
        Normalised log-probabilities [* vocab], float64; -inf where nothing is left.

    Raises:
        ValueError: `temperature` is negative or not finite, `top_k` is below 1, `top_p` is not in
            (0, 1], an id to forbid is not in the vocabulary, **or** a row has no token left.
    """
    _check(temperature, top_k, top_p)
    allowed = _without(log_probs.double(), forbid)
    if temperature == 0:
        temperature, top_k = 1.0, 1
    # The largest becomes 0 first, which no temperature, however small, makes infinite.
    allowed = ((allowed - allowed.amax(-1, keepdim=True)) / temperature).log_softmax(-1)
    ordered, order = allowed.sort(dim=-1, descending=True, stable=True)
    keep = torch.ones_like(ordered, dtype=torch.bool)
    if top_k is not None:
        keep[..., top_k:] = False
    if top_p is not None and top_p < 1:
        probs = ordered.masked_fill(~keep, -torch.inf).softmax(-1)
        before = F.pad(probs.cumsum(-1)[..., :-1], (1, 0))
        # The first token that reaches top_p still belongs to the nucleus; so does the likeliest
        # always.
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
                f"cannot forbid id {token}: the vocabulary has ids 0 to {vocab_size - 1}"
            )
    if len(forbid) > 0:
        index = torch.tensor(list(forbid), device=log_probs.device)
        log_probs = log_probs.index_fill(-1, index, -torch.inf)
    if bool((log_probs.amax(-1) == -torch.inf).any()):
        raise ValueError("no token is left to draw: all that had a probability are forbidden")
    return log_probs
