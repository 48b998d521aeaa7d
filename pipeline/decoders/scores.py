"""Scores of tags in a linear chain, which tags may follow which, and the posterior."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.text.tags import are_labels
from pipeline.transfers import Constant, real_steps


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

    def path_log_probs(self, tags: Tensor, lengths: Tensor) -> Tensor:
        """Computes log p(y) of a path of tags for each row [batch]; 0 for a row without steps.

        Args:
            tags: Tag ids int64 [batch time]; padded steps are ignored.
            lengths: Number of real steps of each row [batch] on the CPU.
        """
        is_real = real_steps(lengths, tags.shape[1], tags.device)
        tags = tags.where(is_real, 0)
        rows = torch.arange(len(tags), device=tags.device).unsqueeze(1)
        times = torch.arange(1, tags.shape[1], device=tags.device)
        following = self.following(rows, times, tags[:, :-1])
        steps = torch.cat((self.log_marginals[:, :1], following), dim=1)
        found = steps.gather(-1, tags.unsqueeze(-1)).squeeze(-1)
        return found.where(is_real, 0.0).sum(1)
