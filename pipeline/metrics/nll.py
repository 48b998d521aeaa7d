"""The mean negative log-likelihood of tokens."""

import math

import torch
from torch import Tensor
from torchmetrics import Metric

from pipeline.batches import IGNORE_INDEX
from pipeline.text.units import Unit


class TokenNll(Metric):
    """The mean nll of tokens, in nats: a float64 sum and an integer count, divided once.

    However the corpus is cut into windows, the same log-probabilities give the same score (to
    float64 rounding). Where every process evaluates the whole corpus, there is nothing to add over
    processes: construct it with `sync_on_compute=False`.

    Args:
        sync_on_compute: whether `compute` adds the sums of all processes.

    Attributes:
        total: the sum in nats so far, float64 [].
        count: the number of tokens so far, int64 [].
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    total: Tensor
    count: Tensor

    def __init__(self, sync_on_compute: bool = True) -> None:
        super().__init__(sync_on_compute=sync_on_compute)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, log_probs: Tensor, targets: Tensor) -> None:
        """Adds tokens.

        Args:
            log_probs: natural logarithms of the targets' probabilities [*]; -inf is a probability
                of 0.
            targets: ids [*]; those equal to `IGNORE_INDEX` count nothing, whatever their
                `log_probs`.

        Raises:
            ValueError: the shapes differ.
        """
        if log_probs.shape != targets.shape:
            raise ValueError(
                f"log_probs {list(log_probs.shape)} and targets {list(targets.shape)} "
                "must be of one shape"
            )
        real = targets != IGNORE_INDEX
        # Not in place: `module.to(torch.bfloat16)` turns the empty sum into bfloat16 as well.
        self.total = self.total - log_probs.detach().double().where(real, 0).sum()
        self.count += real.sum()

    def compute(self) -> Tensor:
        """Returns the mean nll, float64 []; nan before the first token."""
        return self.total / self.count


def perplexity(nll: Tensor) -> Tensor:
    """Returns exp(nll) in float64; infinite where that is too large for it.

    Args:
        nll: mean nll in nats [*].
    """
    return nll.double().exp()


def token_scores(nll: Tensor, num_tokens: Tensor, unit: Unit) -> dict[str, Tensor]:
    """Gives the scores of a language model under the names that runs are compared by.

    Args:
        nll: mean nll in nats [].
        num_tokens: tokens that it is the mean of [].
        unit: what a token is.

    Returns:
        `perplexity`, `nll` and `tokens`; where tokens are characters, `bpc` too: nll / ln 2, the
        bits per character (Graves 2013, arXiv 1308.0850). Of words there is none, as how many
        characters they stand for depends on how line ends and gaps are counted.
    """
    scores = {"perplexity": perplexity(nll), "nll": nll, "tokens": num_tokens.double()}
    return scores | ({"bpc": nll.double() / math.log(2)} if unit == "character" else {})
