"""Linear chains of tags: constraints, partition function, Viterbi decoding, posterior.

The score of a path of tags is starts[y_1] + sum_t emissions[t, y_t] + ends[y_n] +
sum_t transitions[y_t, y_(t+1)]. The recursions are those of Rabiner (1989, "A tutorial on hidden
Markov models"), for all rows of a batch at once; rows without steps are allowed.

Emissions are [batch time tag], also finite at padded steps; `lengths`, the number of real steps of
each row, is int64 [batch].

On a CPU the recursions are loops over time. On other devices, where each operation of a loop costs
a kernel launch, partition function and Viterbi decoding are trees over time (`pipeline.decoders.
tree`), unless there are too many tags for their memory.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from pipeline.batches import IGNORE_INDEX
from pipeline.decoders.tree import LOWEST, best_path, log_product
from pipeline.text.tags import are_labels
from pipeline.transfers import Constant, real_steps, to_device

_MOST_NUMBERS = 2**26
"""Maximum number of elements in the largest tensor of a tree: 268 MB in float32."""


class ChainScores(NamedTuple):
    """The scores that do not depend on the sentence."""

    transitions: Tensor  # from the first tag to the second, [tag tag]
    starts: Tensor  # of the first tag of a sentence, [tag]
    ends: Tensor  # of the last tag of a sentence, [tag]


def allowed_transitions(tags: Sequence[str]) -> Tensor:
    """Returns which tag may follow which: "I-x" only "B-x" and "I-x", the others any tag.

    The result is bool [tag tag], from the first to the second. Labels such as parts of speech have
    no constraints.

    Example:
        >>> allowed_transitions(["O", "B-x", "I-x"])[0]  # after "O"
        tensor([ True,  True, False])
    """
    if are_labels(tags):
        return torch.ones(len(tags), len(tags), dtype=torch.bool)
    sources = [_sources(tag) for tag in tags]
    return torch.tensor([[not known or tag in known for known in sources] for tag in tags])


def allowed_starts(tags: Sequence[str]) -> Tensor:
    """Returns which tags a sentence may start with, bool [tag]: all but "I-x"."""
    return torch.tensor([are_labels(tags) or not _sources(tag) for tag in tags])


def _sources(tag: str) -> tuple[str, ...]:
    """Returns the tags that may precede "I-x"; () for other tags, which have no constraint."""
    return (f"B-{tag[2:]}", tag) if tag.startswith("I-") else ()


class Constraints:
    """The sequences of tags that BIO allows."""

    def __init__(self, tags: Sequence[str]) -> None:
        self._transitions = Constant(allowed_transitions(tags))
        self._starts = Constant(allowed_starts(tags))

    def on(self, scores: ChainScores) -> ChainScores:
        """Returns scores in which forbidden transitions and first tags have -inf."""
        transitions, starts = (
            part.where(allowed.on(part), -torch.inf)
            for part, allowed in (
                (scores.transitions, self._transitions),
                (scores.starts, self._starts),
            )
        )
        return ChainScores(transitions, starts, scores.ends)


class Posterior(NamedTuple):
    """The distribution of the tags given the sentence, which is a Markov chain.

    The backward messages are log scores of the tag at t by step t and all later ones, up to a
    constant per step.
    """

    log_marginals: Tensor  # log p(y_t), [batch time tag]
    messages: Tensor  # [batch time tag]
    transitions: Tensor  # scores from the first tag to the second, [tag tag]

    def following(self, rows: Tensor, times: Tensor, previous: Tensor) -> Tensor:
        """Computes log p(y_t | y_(t-1) = previous) [* tag] for rows and steps t > 0, broadcast."""
        return (self.transitions[previous] + self.messages[rows, times]).log_softmax(-1)


def log_partition(emissions: Tensor, lengths: Tensor, scores: ChainScores) -> Tensor:
    """Computes the log of the sum of exp(score) over all paths [batch]; 0 for a row without steps.

    By the forward recursion, or by a tree.
    """
    if uses_tree(emissions):
        return tree_log_partition(emissions, lengths, scores)
    # Unbound, because the gradient of emissions[:, t] would be a full-size tensor for each t.
    steps = emissions.transpose(0, 1).unbind()
    into = scores.transitions.t().contiguous()
    forward = [scores.starts + steps[0]]
    for step in steps[1:]:
        forward.append((forward[-1].unsqueeze(1) + into).logsumexp(-1) + step)
    total = (_last(torch.stack(forward, dim=1), lengths) + scores.ends).logsumexp(-1)
    return total.where(to_device(lengths > 0, total.device), 0.0)


def path_score(emissions: Tensor, lengths: Tensor, scores: ChainScores, targets: Tensor) -> Tensor:
    """Computes the score [batch] of one path of each row; 0 for a row without steps.

    The targets are tag ids, int64 [batch time]; padded steps are ignored.
    """
    if emissions.device.type != "cpu":
        return path_score_by_table(emissions, lengths, scores, targets)
    is_real = real_steps(lengths, emissions.shape[1], emissions.device)
    tags = targets.where(is_real, 0)
    emitted = emissions.gather(-1, tags.unsqueeze(-1)).squeeze(-1)
    moved = scores.transitions[tags[:, :-1], tags[:, 1:]]
    edges = scores.starts[tags[:, 0]] + scores.ends[_last(tags, lengths)]
    return (
        emitted.where(is_real, 0.0).sum(1)
        + moved.where(is_real[:, 1:], 0.0).sum(1)
        + edges.where(is_real[:, 0], 0.0)
    )


def viterbi(emissions: Tensor, lengths: Tensor, scores: ChainScores) -> Tensor:
    """Computes the path with the highest score (Viterbi 1967); -inf forbids a transition or tag.

    Returns tag ids, int64 [batch time]; `IGNORE_INDEX` at padded steps. Of paths with equal scores,
    one with the lowest last tag is returned, and by a loop also with the lowest tag before it, and
    so on.

    Example:
        >>> emissions = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]])
        >>> alternate = torch.tensor([[-9.0, 0.0], [0.0, -9.0]])
        >>> scores = ChainScores(alternate, torch.zeros(2), torch.zeros(2))
        >>> viterbi(emissions, torch.tensor([3]), scores)
        tensor([[0, 1, 0]])
    """
    if uses_tree(emissions):
        return tree_viterbi(emissions, lengths, scores)
    steps = emissions.transpose(0, 1).unbind()
    into = scores.transitions.t().contiguous()
    best, origins = [scores.starts + steps[0]], []
    for step in steps[1:]:
        score, origin = (best[-1].unsqueeze(1) + into).max(-1)
        best.append(score + step)
        origins.append(origin)
    tag = (_last(torch.stack(best, dim=1), lengths) + scores.ends).argmax(-1, keepdim=True)
    is_real, path = real_steps(lengths, emissions.shape[1], emissions.device), [tag]
    later = is_real[:, 1:].t().unsqueeze(-1).flip(0)
    for origin, is_step in zip(reversed(origins), later, strict=True):
        path.append(origin.gather(1, path[-1]).where(is_step, path[-1]))
    return torch.cat(path[::-1], dim=1).where(is_real, IGNORE_INDEX)


def posterior(emissions: Tensor, lengths: Tensor, scores: ChainScores) -> Posterior:
    """Computes the distribution of the tags, by the forward and the backward recursion.

    Both are normalized at each step, so that long sentences do not lose precision. The result is
    unspecified at padded steps.
    """
    into = scores.transitions.t().contiguous()
    predicted = [scores.starts.expand_as(emissions[:, 0])]
    for step in emissions.transpose(0, 1)[:-1]:
        forward = predicted[-1] + step
        forward = forward - forward.amax(-1, keepdim=True)
        predicted.append((forward.unsqueeze(1) + into).logsumexp(-1))

    # Steps that another real step follows.
    is_inner = real_steps(lengths - 1, emissions.shape[1], emissions.device).t().unsqueeze(-1)
    ahead, messages = predicted[0], []
    for step, is_followed in zip(emissions.transpose(0, 1).flip(0), is_inner.flip(0), strict=True):
        message = step + ahead.where(is_followed, scores.ends)
        messages.append(message - message.amax(-1, keepdim=True))
        ahead = (messages[-1].unsqueeze(1) + scores.transitions).logsumexp(-1)
    backward = torch.stack(messages[::-1], dim=1)
    log_marginals = (torch.stack(predicted, dim=1) + backward).log_softmax(-1)
    return Posterior(log_marginals, backward, scores.transitions)


def _last(steps: Tensor, lengths: Tensor) -> Tensor:
    """Returns the last real step of each row of `steps` [batch time ...]; any if a row is empty."""
    rows = torch.arange(len(steps), device=steps.device)
    return steps[rows, to_device((lengths - 1).clamp(min=0), steps.device)]


def uses_tree(emissions: Tensor) -> bool:
    """Returns whether a tree computes the recursions: on a device, if its memory suffices."""
    batch, time, num_tags = emissions.shape
    size = batch * _num_matrices(time) * num_tags**3 // 2
    return emissions.device.type != "cpu" and size <= _MOST_NUMBERS


def tree_log_partition(emissions: Tensor, lengths: Tensor, scores: ChainScores) -> Tensor:
    """Computes `log_partition` by a tree.

    If no path is allowed, the result is not -inf but about `LOWEST`.
    """
    product = log_product(_step_matrices(emissions, lengths, scores.transitions))
    first = (scores.starts + emissions[:, 0]).unsqueeze(2)
    total = (first + product + scores.ends).logsumexp((1, 2))
    return total.where(to_device(lengths > 0, total.device), 0.0)


def tree_viterbi(emissions: Tensor, lengths: Tensor, scores: ChainScores) -> Tensor:
    """Computes `viterbi` by a tree."""
    matrices = _step_matrices(emissions, lengths, scores.transitions)
    path = best_path(matrices, scores.starts + emissions[:, 0], scores.ends)
    time = emissions.shape[1]
    return path[:, :time].where(real_steps(lengths, time, path.device), IGNORE_INDEX)


def path_score_by_table(
    emissions: Tensor, lengths: Tensor, scores: ChainScores, targets: Tensor
) -> Tensor:
    """Computes `path_score` with few operations: one lookup for all scores of pairs of tags.

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
