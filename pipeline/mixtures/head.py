"""The output layer of a mixture of language models."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline.contracts import Head
from pipeline.mixtures.weights import mixed


class MixtureHead(nn.Module):
    """Mixes the distributions of the heads of several language models.

    The states of a mixture are the concatenated states of its members in float64, which represents
    float32 features and the token ids of n-gram contexts exactly.

    Args:
        heads: Heads of the members.
        kinds: Number of features and data type of each member's states.

    Example:
        >>> from pipeline.heads import FullSoftmax
        >>> from pipeline.text.vocabulary import Vocabulary
        >>> heads = [FullSoftmax(2, Vocabulary(["<eos>", "<unk>"])) for _ in range(2)]
        >>> mixture = MixtureHead(heads, [(2, torch.float32), (2, torch.float32)])
        >>> states = mixture.join([torch.ones(2), torch.zeros(2)])
        >>> round(mixture.log_distribution(states).exp().sum().item(), 4)
        1.0
    """

    weights: Tensor  # of the members, float64 [member]; initially equal

    def __init__(self, heads: Sequence[Head], kinds: Sequence[tuple[int, torch.dtype]]) -> None:
        super().__init__()
        self._heads = tuple(heads)  # a tuple, so that heads are not registered twice
        self._kinds = tuple(kinds)
        self.first_size = self._kinds[0][0]
        count = len(self._heads)
        self.register_buffer("weights", torch.full((count,), 1 / count, dtype=torch.float64))

    def join(self, states: Sequence[Tensor]) -> Tensor:
        """Concatenates the members' states [... features]."""
        return torch.cat([part.double() for part in states], dim=-1)

    def member_log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """Returns each member's log-probabilities of targets [...], float64 [member ...]."""
        scores = [
            head.log_probs(part, targets).double()
            for head, part in zip(self._heads, self._parted(states), strict=True)
        ]
        return torch.stack(scores)

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """Returns the mixture's log-probabilities of targets [...], float64 [...]."""
        return mixed(self.member_log_probs(states, targets), self.weights)

    def log_distribution(self, states: Tensor) -> Tensor:
        """Returns the mixture's log-probability of every token, float64 [... vocab]."""
        each = [
            head.log_distribution(part)
            for head, part in zip(self._heads, self._parted(states), strict=True)
        ]
        return mixed(torch.stack([one.double() for one in each]), self.weights)

    def _parted(self, states: Tensor) -> list[Tensor]:
        pieces = torch.split(states, [size for size, _ in self._kinds], dim=-1)
        return [piece.to(dtype) for piece, (_, dtype) in zip(pieces, self._kinds, strict=True)]
