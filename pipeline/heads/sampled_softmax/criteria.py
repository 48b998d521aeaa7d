"""Losses that compare a target with randomly drawn words instead of with all words."""

import abc
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

_CERTAIN = 1e4
"""Score of a target next to words of -inf. It is finite, so that differences of scores are."""


class Sample(NamedTuple):
    """The scores (weight state + bias) of a batch's targets and of the words drawn for it.

    `log_noise...` are log-probabilities in the noise distribution, log q.
    """

    of_targets: Tensor  # [rows]
    of_noise: Tensor  # [rows drawn]
    log_noise_of_targets: Tensor  # [rows]
    log_noise: Tensor  # [drawn]
    is_target: Tensor  # whether a drawn word is equal to the target [rows drawn]
    vocab_size: int

    @property
    def log_num(self) -> float:
        """Logarithm of the number of drawn words, k."""
        return math.log(self.of_noise.shape[-1])

    def without(self, ignored: Tensor) -> "Sample":
        """Returns a sample whose ignored rows, bool [rows], have no loss and no gradient.

        Their targets are infinitely more probable than the drawn words. Leaving rows out would wait
        for a device.
        """
        of_targets = self.of_targets.masked_fill(ignored, _CERTAIN)
        of_noise = self.of_noise.masked_fill(ignored.unsqueeze(1), -math.inf)
        return self._replace(of_targets=of_targets, of_noise=of_noise)


class Criterion(abc.ABC):
    """Abstract base class of losses over a target's score s(t) and scores s(j) of drawn words.

    The k words j are drawn from the noise distribution q.

    Attributes:
        is_relative: Whether the loss trains scores to be log p(word) - log q(word) plus a constant,
            so that the distribution needs log q added.
    """

    is_relative: bool = False

    @abc.abstractmethod
    def loss(self, sample: Sample) -> Tensor:
        """Returns the sum of the loss over the rows, [].

        It must be 0 for a row whose target has a score of 10,000 while the drawn words have -inf:
        ignored rows have these scores if targets are on a device.
        """


class SampledSoftmax(Criterion):
    """Sampled softmax: cross entropy over the target and the drawn words.

    -s(t) + log(exp s(t) + sum over drawn j other than t of exp(s(j) - log(k q(j)))). The argument
    of the logarithm is an unbiased estimate of the full softmax's sum; its logarithm has a bias
    that decreases with k. The target's own score is not corrected, because the target is always
    included. Bengio & Senecal (2008, "Adaptive importance sampling to accelerate training of a
    neural probabilistic language model"), Jean et al. (2015, arXiv 1412.2007).

    Example:
        >>> from pipeline.heads import Sampled
        >>> from pipeline.text.vocabulary import Vocabulary
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "the"], counts=[3, 1, 2])
        >>> head = Sampled(4, vocabulary, criterion=SampledSoftmax(), num_negatives=2)
        >>> bool(head.loss(torch.zeros(1, 4), torch.tensor([2])) >= 0)
        True
    """

    def loss(self, sample: Sample) -> Tensor:
        """See `Criterion.loss`."""
        corrected = sample.of_noise - (sample.log_noise + sample.log_num)
        corrected = corrected.masked_fill(sample.is_target, -math.inf)
        scores = torch.cat([sample.of_targets.unsqueeze(1), corrected], dim=1)
        return (scores.logsumexp(1) - sample.of_targets).sum()


class NCE(Criterion):
    """Noise-contrastive estimation: classifies words as drawn from the text or from the noise.

    -log sigmoid(d(t)) - sum over drawn j of log sigmoid(-d(j)), with
    d(w) = s(w) - log_z - log(k q(w)). Drawn words equal to the target are included. Gutmann &
    Hyvarinen (2010); Mnih & Teh (2012, arXiv 1206.6426). The loss trains scores to be
    log-probabilities plus `log_z`, nearly normalized; evaluation normalizes exactly.

    Args:
        log_z: Constant logarithm of the normalizer. If None, the logarithm of the number of words,
            which is right for initial scores of 0 (faster-rnnlm uses 9).

    Example:
        >>> from pipeline.heads import Sampled
        >>> from pipeline.text.vocabulary import Vocabulary
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "the"], counts=[3, 1, 2])
        >>> head = Sampled(4, vocabulary, criterion=NCE(log_z=9.0), num_negatives=2)
        >>> head.criterion.log_z
        9.0
    """

    def __init__(self, log_z: float | None = None) -> None:
        self.log_z = log_z

    def loss(self, sample: Sample) -> Tensor:
        """See `Criterion.loss`."""
        log_z = math.log(sample.vocab_size) if self.log_z is None else self.log_z
        constant = log_z + sample.log_num
        of_targets = sample.of_targets - (sample.log_noise_of_targets + constant)
        of_noise = sample.of_noise - (sample.log_noise + constant)
        return -F.logsigmoid(of_targets).sum() - F.logsigmoid(-of_noise).sum()


class NegativeSampling(Criterion):
    """Negative sampling: -log sigmoid(s(t)) - sum over drawn j of log sigmoid(-s(j)).

    Mikolov et al. (2013, arXiv 1310.4546, eq. 4), designed for word vectors. It trains scores to be
    log p(w) - log q(w) - log k (Levy & Goldberg 2014, "Neural word embedding as implicit matrix
    factorization"), so that `Sampled` adds log q to obtain the distribution of a language model.

    Example:
        >>> from pipeline.heads import Sampled
        >>> from pipeline.text.vocabulary import Vocabulary
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "the"], counts=[2, 1, 1])
        >>> head = Sampled(4, vocabulary, criterion=NegativeSampling(), bias=False)
        >>> head.log_distribution(torch.zeros(4)).exp().detach()  # scores of 0 give q itself
        tensor([0.5000, 0.2500, 0.2500])
    """

    is_relative: bool = True

    def loss(self, sample: Sample) -> Tensor:
        """See `Criterion.loss`."""
        return -F.logsigmoid(sample.of_targets).sum() - F.logsigmoid(-sample.of_noise).sum()


class BlackOut(Criterion):
    """BlackOut: a discriminative loss over a softmax weighted by 1 / q.

    -log p(t) - sum over drawn j of log(1 - p(j)), where p is the softmax of s(w) - log q(w) over
    the target and the drawn words. Ji et al. (2016, arXiv 1511.06909). Drawn words equal to the
    target are included, because only then does the loss train the distribution itself. Without
    them, the probabilities of likely words become too large; in a vocabulary of a million words
    such draws are rare.

    Example:
        >>> from pipeline.heads import Sampled
        >>> from pipeline.text.vocabulary import Vocabulary
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "the"], counts=[3, 1, 2])
        >>> head = Sampled(4, vocabulary, criterion=BlackOut(), num_negatives=2)
        >>> bool(head.loss(torch.zeros(1, 4), torch.tensor([2])) > 0)
        True
    """

    def loss(self, sample: Sample) -> Tensor:
        """See `Criterion.loss`."""
        of_targets = sample.of_targets - sample.log_noise_of_targets
        weighted = torch.cat([of_targets.unsqueeze(1), sample.of_noise - sample.log_noise], dim=1)
        log_probs = weighted.log_softmax(1)
        # 1 - p rounds to 0 where p is almost 1.
        drawn = log_probs[:, 1:].exp().clamp_max(1 - torch.finfo(log_probs.dtype).eps)
        return -log_probs[:, 0].sum() - torch.log1p(-drawn).sum()
