"""The output side of a mixture: what `log_probs` and `log_distribution` are for any model."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from pipeline.mixtures.weights import mixed


class Head(Protocol):
    """What gives a member's states a distribution."""

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `OutputLayer`."""

    def log_distribution(self, states: Tensor) -> Tensor:
        """See `OutputLayer`."""


class MixtureHead(nn.Module):
    """Mixes what the heads of several language models say.

    The states of a mixture are those of its members side by side, in float64, which holds float32
    features and the ids of an n-gram's context alike without a change.

    Args:
        heads: each with `log_probs` and `log_distribution`.
        kinds: features and dtype of each member's states.

    Attributes:
        weights: float64 [member]; equal at first.
        first_size: features of the first member's states, which come first.
    """

    weights: Tensor

    def __init__(self, heads: Sequence[Head], kinds: Sequence[tuple[int, torch.dtype]]) -> None:
        super().__init__()
        self._heads = tuple(heads)  # a tuple: they are registered where they belong
        self._kinds = tuple(kinds)
        self.first_size = self._kinds[0][0]
        count = len(self._heads)
        self.register_buffer("weights", torch.full((count,), 1 / count, dtype=torch.float64))

    def join(self, states: Sequence[Tensor]) -> Tensor:
        """Puts the members' states [* features] side by side."""
        return torch.cat([part.double() for part in states], dim=-1)

    def member_log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """Scores targets with each member.

        Args:
            states: of `join` [* features].
            targets: ids [*].

        Returns:
            Natural logarithms, float64 [member *].
        """
        scores = [
            head.log_probs(part, targets).double()
            for head, part in zip(self._heads, self._parted(states), strict=True)
        ]
        return torch.stack(scores)

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """Scores targets [*]; natural logarithms, float64 [*]."""
        return mixed(self.member_log_probs(states, targets), self.weights)

    def log_distribution(self, states: Tensor) -> Tensor:
        """Gives the logarithm of each token's probability, float64 [* vocab]."""
        each = [
            head.log_distribution(part)
            for head, part in zip(self._heads, self._parted(states), strict=True)
        ]
        return mixed(torch.stack([one.double() for one in each]), self.weights)

    def _parted(self, states: Tensor) -> list[Tensor]:
        pieces = torch.split(states, [size for size, _ in self._kinds], dim=-1)
        return [piece.to(dtype) for piece, (_, dtype) in zip(pieces, self._kinds, strict=True)]
