"""Linear chains of tags: constraints, partition function, Viterbi decoding, posterior.

The score of a path of tags is starts[y_1] + sum_t emissions[t, y_t] + ends[y_n] +
sum_t transitions[y_t, y_(t+1)]. The recursions are those of Rabiner (1989, "A tutorial on hidden
Markov models"), for all rows of a batch at once; rows without steps are allowed.

Emissions are [batch time tag], also finite at padded steps; `lengths`, the number of real steps of
each row, is int64 [batch].

On a CPU the recursions are loops over time. On other devices, where each operation of a loop costs
a kernel launch, they are trees over time (`pipeline.decoders.chain_trees`), unless there are too
many tags for their memory.
"""

import torch
from torch import Tensor

from pipeline.batches import IGNORE_INDEX
from pipeline.decoders import chain_trees
from pipeline.decoders.scores import ChainScores, Posterior
from pipeline.transfers import real_steps, to_device


def log_partition(emissions: Tensor, lengths: Tensor, scores: ChainScores) -> Tensor:
    """Computes the log of the sum of exp(score) over all paths [batch]; 0 for a row without steps.

    By the forward recursion, or by a tree.
    """
    if chain_trees.are_used(emissions):
        return chain_trees.log_partition(emissions, lengths, scores)
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
        return chain_trees.path_score(emissions, lengths, scores, targets)
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
    if chain_trees.are_used(emissions):
        return chain_trees.viterbi(emissions, lengths, scores)
    steps = emissions.transpose(0, 1).unbind()
    into = scores.transitions.t().contiguous()
    best, origins = [scores.starts + steps[0]], []
    # One buffer, because freed tensors of this size between small results would fragment the heap:
    # 4 GB for two sentences of 3,000 tokens and 401 tags.
    pairs = into.new_empty(len(emissions), *into.shape)
    for step in steps[1:]:
        score, origin = torch.add(best[-1].unsqueeze(1), into, out=pairs).max(-1)
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
    if chain_trees.are_used(emissions):
        return chain_trees.posterior(emissions, lengths, scores)
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
