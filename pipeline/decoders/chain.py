"""Linear chains of tags: constraints, partition function, Viterbi decoding, posterior.

The score of a path of tags is starts[y_1] + sum_t emissions[t, y_t] + ends[y_n] +
sum_t transitions[y_t, y_(t+1)]. The recursions are those of Rabiner (1989, "A tutorial on hidden
Markov models"), for all rows of a batch at once; rows without steps are allowed.

Emissions are [batch time tag], also finite at padded steps; `lengths`, the number of real steps of
each row, is int64 [batch].
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.batches import IGNORE_INDEX
from pipeline.decoders.base import real_steps
from pipeline.text.tags import are_labels


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


def constrain(scores: ChainScores, transitions: Tensor, starts: Tensor) -> ChainScores:
    """Forbids transitions and first tags, where the masks [tag tag] and [tag] are false."""
    transitions, starts = (
        part.where(allowed.to(part.device), -torch.inf)
        for part, allowed in ((scores.transitions, transitions), (scores.starts, starts))
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

    By the forward recursion.
    """
    # Unbound, because the gradient of emissions[:, t] would be a full-size tensor for each t.
    steps = emissions.transpose(0, 1).unbind()
    into = scores.transitions.t().contiguous()
    forward = [scores.starts + steps[0]]
    for step in steps[1:]:
        forward.append((forward[-1].unsqueeze(1) + into).logsumexp(-1) + step)
    total = (_last(torch.stack(forward, dim=1), lengths) + scores.ends).logsumexp(-1)
    return total.where(lengths.to(total.device) > 0, 0.0)


def path_score(emissions: Tensor, lengths: Tensor, scores: ChainScores, targets: Tensor) -> Tensor:
    """Computes the score [batch] of one path of each row; 0 for a row without steps.

    The targets are tag ids, int64 [batch time]; padded steps are ignored.
    """
    is_real = real_steps(emissions, lengths)
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

    Returns tag ids, int64 [batch time]; `IGNORE_INDEX` at padded steps.

    Example:
        >>> emissions = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]])
        >>> alternate = torch.tensor([[-9.0, 0.0], [0.0, -9.0]])
        >>> scores = ChainScores(alternate, torch.zeros(2), torch.zeros(2))
        >>> viterbi(emissions, torch.tensor([3]), scores)
        tensor([[0, 1, 0]])
    """
    steps = emissions.transpose(0, 1).unbind()
    into = scores.transitions.t().contiguous()
    best, origins = [scores.starts + steps[0]], []
    for step in steps[1:]:
        score, origin = (best[-1].unsqueeze(1) + into).max(-1)
        best.append(score + step)
        origins.append(origin)
    tag = (_last(torch.stack(best, dim=1), lengths) + scores.ends).argmax(-1, keepdim=True)
    is_real, path = real_steps(emissions, lengths), [tag]
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

    is_inner = real_steps(emissions, lengths - 1).t().unsqueeze(-1)  # another real step follows
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
    return steps[rows, (lengths.to(steps.device) - 1).clamp(min=0)]
