"""The recursions of `pipeline.decoders.chain` by trees over time, in log2(time) rounds.

Arguments and results are those of the functions of the same name in `chain`.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from pipeline.batches import IGNORE_INDEX
from pipeline.decoders.scores import ChainScores, Posterior
from pipeline.decoders.tree import LOWEST, best_path, log_product, messages
from pipeline.transfers import real_steps, to_device

_MOST_NUMBERS = 2**26
"""Maximum number of elements in the largest tensor of a tree: 268 MB in float32."""


def are_used(emissions: Tensor) -> bool:
    """Returns whether trees compute the recursions: on a device, if they need little memory."""
    batch, time, num_tags = emissions.shape
    size = batch * _num_matrices(time) * num_tags**3 // 2
    return emissions.device.type != "cpu" and size <= _MOST_NUMBERS


def log_partition(emissions: Tensor, lengths: Tensor, scores: ChainScores) -> Tensor:
    """Computes `chain.log_partition`.

    If no path is allowed, the result is not -inf but about `LOWEST`.
    """
    product = log_product(_step_matrices(emissions, lengths, scores.transitions))
    first = (scores.starts + emissions[:, 0]).unsqueeze(2)
    total = (first + product + scores.ends).logsumexp((1, 2))
    return total.where(to_device(lengths > 0, total.device), 0.0)


def viterbi(emissions: Tensor, lengths: Tensor, scores: ChainScores) -> Tensor:
    """Computes `chain.viterbi`."""
    matrices = _step_matrices(emissions, lengths, scores.transitions)
    path = best_path(matrices, scores.starts + emissions[:, 0], scores.ends)
    time = emissions.shape[1]
    return path[:, :time].where(real_steps(lengths, time, path.device), IGNORE_INDEX)


def posterior(emissions: Tensor, lengths: Tensor, scores: ChainScores) -> Posterior:
    """Computes `chain.posterior`."""
    matrices = _step_matrices(emissions, lengths, scores.transitions)
    before, after = messages(matrices, scores.starts + emissions[:, 0], scores.ends)
    time = emissions.shape[1]
    backward = emissions + after[:, :time]
    backward = backward - backward.amax(-1, keepdim=True)
    log_marginals = (before + after)[:, :time].log_softmax(-1)
    return Posterior(log_marginals, backward, scores.transitions)


def path_score(emissions: Tensor, lengths: Tensor, scores: ChainScores, targets: Tensor) -> Tensor:
    """Computes `chain.path_score` with one lookup for all scores of pairs of tags.

    A further tag, before and after each row and at its padding, takes the place of the ends of a
    sentence.
    """
    time, outside = emissions.shape[1:]
    is_real = real_steps(lengths, time, emissions.device)
    emitted = emissions.gather(-1, targets.where(is_real, 0).unsqueeze(-1)).squeeze(-1)
    tags = F.pad(targets.where(is_real, outside), (1, 1), value=outside)
    pairs = tags[:, :-1] * (outside + 1) + tags[:, 1:]
    last = torch.cat((scores.ends, scores.ends.new_zeros(1))).unsqueeze(1)
    table = torch.cat((torch.cat((scores.transitions, scores.starts.unsqueeze(0))), last), dim=1)
    moved = table.flatten().index_select(0, pairs.flatten()).view_as(pairs)
    return emitted.where(is_real, 0.0).sum(1) + moved.sum(1)


def _step_matrices(emissions: Tensor, lengths: Tensor, transitions: Tensor) -> Tensor:
    """Returns the scores of moves to each step after the first one [batch step tag tag].

    The number of steps is a power of 2. A padded step keeps the tag: its matrix is the identity.
    """
    time = emissions.shape[1]
    count = _num_matrices(time)
    moves = F.pad(emissions[:, 1:], (0, 0, 0, count + 1 - time)).unsqueeze(2) + transitions
    identity = torch.full_like(transitions, LOWEST).fill_diagonal_(0.0)
    is_step = real_steps(lengths - 1, count, emissions.device)
    return moves.where(is_step.unsqueeze(-1).unsqueeze(-1), identity)


def _num_matrices(time: int) -> int:
    """Returns the lowest power of 2 that is at least the number of moves between steps."""
    return 1 << max(time - 2, 0).bit_length()
