"""The weights of a mixture, by expectation maximisation."""

import torch
from torch import Tensor

_ITERATIONS = 2000
_PRECISE = 1e-9


def mixed(log_probs: Tensor, weights: Tensor) -> Tensor:
    """Mixes probabilities.

    Args:
        log_probs: natural logarithms, each member's [member *].
        weights: [member], adding up to 1; a member of weight 0 has no say.

    Returns:
        log sum_m weights_m exp(log_probs_m), float64 [*]; -inf where no member gives anything.
    """
    shape = (-1, *[1] * (log_probs.dim() - 1))
    return torch.logsumexp(log_probs.double() + weights.double().log().view(shape), dim=0)


def best_weights(log_probs: Tensor) -> Tensor:
    """Finds the weights that make held-out tokens likeliest.

    Expectation maximisation (Jelinek & Mercer 1980): a member's next weight is the mean share that
    it has in the mixture's probability of a token. The likelihood is concave in the weights, so
    where it ends does not depend on where it starts. Tokens that no member gives any probability
    say nothing about weights and are left out.

    Args:
        log_probs: natural logarithms of the tokens' probabilities, each member's [member tokens].

    Returns:
        The weights, float64 [member], to 9 digits unless members are nearly the same.

    Raises:
        ValueError: there is no token, or none that any member gives a probability.
    """
    log_probs = log_probs.double()
    log_probs = log_probs[:, (log_probs > -torch.inf).any(dim=0)]
    if not log_probs.shape[1]:
        raise ValueError("the weights of a mixture need held-out tokens of some probability")
    # Only ratios matter: the largest becomes 1, so that no token underflows.
    probs = (log_probs - log_probs.amax(dim=0)).exp()
    weights = torch.full((len(probs), 1), 1 / len(probs), dtype=torch.float64)
    for _ in range(_ITERATIONS):
        shares = weights * probs
        new = (shares / shares.sum(dim=0)).mean(dim=1, keepdim=True)
        change = (new - weights).abs().max()
        weights = new
        if change < _PRECISE:
            break
    return weights.squeeze(1)
