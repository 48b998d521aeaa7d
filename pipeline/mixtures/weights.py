"""Estimation of mixture weights by expectation maximization."""

import torch
from torch import Tensor

_ITERATIONS = 2000
_TOLERANCE = 1e-9


def mixed(log_probs: Tensor, weights: Tensor) -> Tensor:
    """Returns a mixture's log-probabilities, log sum_m weights_m exp(log_probs_m), float64 [...].

    `log_probs` is [member ...]; the weights [member] sum to 1. The result is -inf where all
    probabilities are 0.

    Example:
        >>> log_probs = torch.tensor([[0.2], [0.6]]).log()
        >>> round(mixed(log_probs, torch.tensor([0.5, 0.5])).exp().item(), 4)
        0.4
    """
    shape = (-1, *[1] * (log_probs.dim() - 1))
    return torch.logsumexp(log_probs.double() + weights.double().log().view(shape), dim=0)


def best_weights(log_probs: Tensor) -> Tensor:
    """Computes the weights [member] that maximize the likelihood of held-out tokens.

    Expectation maximization (Jelinek & Mercer 1980): the next weight of a member is the mean, over
    tokens, of its share in the mixture's probability. The log-likelihood is concave in the weights,
    so that the result does not depend on the initial weights. Tokens with a probability of 0 in all
    members are left out, because they do not depend on the weights. `log_probs` is [member tokens].
    The weights are float64, exact to 9 digits unless members are almost equal.

    Example:
        >>> best_weights(torch.tensor([[0.9, 0.8], [0.1, 0.2]]).log()).round(decimals=4)
        tensor([1., 0.], dtype=torch.float64)
    """
    log_probs = log_probs.double()
    log_probs = log_probs[:, (log_probs > -torch.inf).any(dim=0)]
    if not log_probs.shape[1]:
        raise ValueError(
            "the weights of a mixture cannot be estimated, because no held-out token has a "
            "probability above 0"
        )
    # Only ratios matter, so the largest probability becomes 1 and no token underflows.
    probs = (log_probs - log_probs.amax(dim=0)).exp()
    weights = torch.full((len(probs), 1), 1 / len(probs), dtype=torch.float64)
    for _ in range(_ITERATIONS):
        shares = weights * probs
        new = (shares / shares.sum(dim=0)).mean(dim=1, keepdim=True)
        change = (new - weights).abs().max()
        weights = new
        if change < _TOLERANCE:
            break
    return weights.squeeze(1)
