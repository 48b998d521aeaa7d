"""Losses that compare a target with words drawn at random, instead of with all words."""

import abc
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


class Sample(NamedTuple):
    """The scores of a batch and of the words drawn for it.

    Attributes:
        of_targets: score of each row's target, weight state + bias [rows].
        of_noise: score of each drawn word [rows drawn].
        log_noise_of_targets: log q(target) [rows].
        log_noise: log q(drawn word) [drawn].
        is_target: whether a drawn word is the target, by accident [rows drawn].
        vocab_size: number of token types.
    """

    of_targets: Tensor
    of_noise: Tensor
    log_noise_of_targets: Tensor
    log_noise: Tensor
    is_target: Tensor
    vocab_size: int

    @property
    def log_num(self) -> float:
        """The logarithm of the number of drawn words, k."""
        return math.log(self.of_noise.shape[-1])


class Criterion(abc.ABC):
    """A loss over a target's score s(t) and the scores s(j) of k words drawn from q.

    Attributes:
        is_relative: whether the scores come to be log p(word) - log q(word) plus a constant, so
            that log q is to be added for the distribution.
    """

    is_relative: bool = False

    @abc.abstractmethod
    def loss(self, sample: Sample) -> Tensor:
        """Sums the loss over the rows, []."""


class SampledSoftmax(Criterion):
    """Cross entropy over the target and the drawn words.

    -s(t) + log(exp s(t) + sum over drawn j other than t of exp(s(j) - log(k q(j)))): the sum of a
    full softmax, estimated without bias; its logarithm has a bias that falls with k. Bengio &
    Senecal (2008, "Adaptive importance sampling to accelerate training of a neural probabilistic
    language model"), Jean et al. (2015, arXiv 1412.2007). The target itself is not corrected, as
    it is always there.
    """

    def loss(self, sample: Sample) -> Tensor:
        """See `Criterion.loss`."""
        corrected = sample.of_noise - (sample.log_noise + sample.log_num)
        corrected = corrected.masked_fill(sample.is_target, -math.inf)
        scores = torch.cat([sample.of_targets.unsqueeze(1), corrected], dim=1)
        return (scores.logsumexp(1) - sample.of_targets).sum()


class NCE(Criterion):
    """Noise-contrastive estimation: was a word drawn from the text or from the noise?

    -log sigmoid(d(t)) - sum over drawn j of log sigmoid(-d(j)), with
    d(w) = s(w) - log_z - log(k q(w)); drawn words that are the target count like others. Gutmann &
    Hyvarinen (2010); Mnih & Teh (2012, arXiv 1206.6426). Scores come to be log-probabilities plus
    `log_z`, nearly normalised by themselves; evaluation normalises exactly.

    Args:
        log_z: the logarithm of the normaliser, a constant; that of the number of words if omitted,
            which is right for scores of 0 at the start (faster-rnnlm takes 9).
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
    """-log sigmoid(s(t)) - sum over drawn j of log sigmoid(-s(j)).

    Mikolov et al. (2013, arXiv 1310.4546, eq. 4), made for word vectors. Its scores come to be
    log p(w) - log q(w) - log k (Levy & Goldberg 2014, "Neural word embedding as implicit matrix
    factorization"), so that log q is added back to give the distribution of a language model.
    """

    is_relative: bool = True

    def loss(self, sample: Sample) -> Tensor:
        """See `Criterion.loss`."""
        return -F.logsigmoid(sample.of_targets).sum() - F.logsigmoid(-sample.of_noise).sum()


class BlackOut(Criterion):
    """A discriminative loss over a softmax that is weighted by 1 / q.

    -log p(t) - sum over drawn j of log(1 - p(j)), where p is the softmax of s(w) - log q(w) over
    the target and the drawn words. Ji et al. (2016, arXiv 1511.06909). Drawn words that are the
    target count like others: only so does the loss train the distribution itself. Left out, they
    make likely words too likely, which in a vocabulary of a million words is rare enough.
    """

    def loss(self, sample: Sample) -> Tensor:
        """See `Criterion.loss`."""
        of_targets = sample.of_targets - sample.log_noise_of_targets
        weighted = torch.cat([of_targets.unsqueeze(1), sample.of_noise - sample.log_noise], dim=1)
        log_probs = weighted.log_softmax(1)
        # 1 - p rounds to 0 where one word has all of it.
        drawn = log_probs[:, 1:].exp().clamp_max(1 - torch.finfo(log_probs.dtype).eps)
        return -log_probs[:, 0].sum() - torch.log1p(-drawn).sum()
