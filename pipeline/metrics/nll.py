"""The mean negative log-likelihood of tokens, and the scores computed from it."""

import math

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from pipeline.batches import IGNORE_INDEX
from pipeline.text.units import Unit
from pipeline.transfers import to_device


class TokenNll(Metric):
    """The mean nll of tokens in nats: a float64 sum divided once by an integer count.

    The score does not depend on how the corpus is divided into batches (up to float64 rounding). If
    every process evaluates the whole corpus, use `sync_on_compute=False`.

    Args:
        sync_on_compute: Whether `compute` adds the sums of all processes.

    Attributes:
        total: Sum in nats, float64 [].
        count: Number of tokens, int64 [].

    Example:
        >>> metric = TokenNll()
        >>> metric.update(torch.tensor([0.5, 0.25]).log(), torch.tensor([3, 1]))
        >>> round(perplexity(metric.compute()).item(), 4)  # the geometric mean of 2 and 4
        2.8284
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
        """Adds tokens; targets with `IGNORE_INDEX` are not counted.

        `log_probs` contains the natural logarithms of the probabilities of `targets`, both [*]. The
        logarithm of 0 is -inf. The targets may be on the host while `log_probs` are on a device.
        Raises a `ValueError` if the shapes differ.
        """
        if log_probs.shape != targets.shape:
            raise ValueError(
                f"log_probs {list(log_probs.shape)} and targets {list(targets.shape)} "
                "must have the same shape"
            )
        real = targets != IGNORE_INDEX
        # Not in place, because `module.to(torch.bfloat16)` also casts the empty sum to bfloat16.
        counted = log_probs.detach().double().where(to_device(real, log_probs.device), 0)
        self.total = self.total - counted.sum()
        self.count += real.sum()

    def compute(self) -> Tensor:
        """Returns the mean nll, float64 []; nan before the first token."""
        return self.total / self.count


class TextNll(nn.Module):
    """The mean nll of the tokens of a text, and of its known tokens, which are not `<unk>`.

    Unknown words are read as context in both. The perplexity of the known tokens is what SRILM and
    KenLM print as the perplexity excluding OOVs. Every process evaluates the whole text, so nothing
    is added over processes.

    Args:
        unk_id: Id of `<unk>`.

    Attributes:
        every: Nll of all tokens.
        known: Nll of the tokens that are not `<unk>`.

    Example:
        >>> metric = TextNll(unk_id=1)
        >>> metric.update(torch.tensor([0.5, 0.125]).log(), torch.tensor([3, 1]))
        >>> [round(perplexity(one.compute()).item(), 4) for one in (metric.every, metric.known)]
        [4.0, 2.0]
    """

    def __init__(self, unk_id: int) -> None:
        super().__init__()
        self.unk_id = unk_id
        self.every = TokenNll(sync_on_compute=False)
        self.known = TokenNll(sync_on_compute=False)

    @property
    def num_unknown(self) -> Tensor:
        """Number of `<unk>` among the targets, int64 []."""
        return self.every.count - self.known.count

    def update(self, log_probs: Tensor, targets: Tensor) -> None:
        """Adds tokens; targets with `IGNORE_INDEX` are not counted."""
        self.every.update(log_probs, targets)
        is_known = targets != self.unk_id
        self.known.update(log_probs, targets.where(is_known, IGNORE_INDEX))

    def reset(self) -> None:
        """Removes all tokens."""
        self.every.reset()
        self.known.reset()


def perplexity(nll: Tensor) -> Tensor:
    """Returns exp(nll) of mean nlls in nats [*], in float64; infinite if it is too large."""
    return nll.double().exp()


def token_scores(
    nll: Tensor, known_nll: Tensor, num_tokens: Tensor, num_unknown: Tensor, unit: Unit
) -> dict[str, Tensor]:
    """Returns the scores of a language model by name, from its mean nlls in nats [].

    These are `perplexity`, `perplexity_known` (of the tokens that are not `<unk>`, whose mean nll
    is `known_nll`), `nll`, `tokens` and `unk`, the number of `<unk>` among them. For characters
    also `bpc`, the bits per character nll / ln 2 (Graves 2013, arXiv 1308.0850). Word models have
    none, because the number of characters in a text depends on how line ends and spaces are
    counted.
    """
    scores = {
        "perplexity": perplexity(nll),
        "perplexity_known": perplexity(known_nll),
        "nll": nll,
        "tokens": num_tokens.double(),
        "unk": num_unknown.double(),
    }
    return scores | ({"bpc": nll.double() / math.log(2)} if unit == "character" else {})
