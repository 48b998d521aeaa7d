"""A vocabulary divided into classes, and rows of a batch grouped by the class of their target."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX


class Partition(nn.Module):
    """A vocabulary divided into classes, which are numbered from 0 without gaps.

    The state dict contains only `class_of`, the class of each id. `class_sizes` has the sizes as
    numbers, which need not be read from a device.
    """

    class_of: Tensor  # [vocab]
    order: Tensor  # ids sorted by class [vocab]
    place_of: Tensor  # index of each word within its class [vocab]
    sizes: Tensor  # number of words of each class [classes]

    def __init__(self, class_of: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("class_of", torch.tensor(class_of))
        for derived in ("order", "place_of", "sizes"):
            self.register_buffer(derived, torch.empty(0, dtype=torch.long), persistent=False)
        self.class_sizes: list[int] = []
        self._in_order: list[slice] = []
        self._consecutive: list[slice | None] = []
        self.arrange()
        self.register_load_state_dict_post_hook(_arrange_again)  # type: ignore[no-untyped-call]

    def arrange(self) -> None:
        """Computes the other attributes from the classes."""
        order = torch.argsort(self.class_of, stable=True)
        self.sizes = torch.bincount(self.class_of)
        ends = self.sizes.cumsum(0)
        self.place_of = torch.empty_like(order)
        self.place_of[order] = torch.arange(len(order), device=order.device)
        self.place_of -= (ends - self.sizes)[self.class_of]
        self.order = order
        firsts, lasts = order[ends - self.sizes].tolist(), order[ends - 1].tolist()
        self.class_sizes = sizes = self.sizes.tolist()
        self._in_order = [
            slice(end - size, end) for end, size in zip(ends.tolist(), sizes, strict=True)
        ]
        self._consecutive = [
            slice(first, last + 1) if last - first + 1 == size else None
            for first, last, size in zip(firsts, lasts, sizes, strict=True)
        ]

    def members(self, number: int) -> slice | Tensor:
        """Returns the ids of a class, as a slice if they are consecutive (indexing copies then)."""
        consecutive = self._consecutive[number]
        return self.order[self._in_order[number]] if consecutive is None else consecutive

    def classes_of(self, targets: Tensor, complete: bool = False) -> Tensor:
        """Returns the classes of targets [rows]; `IGNORE_INDEX`, unless `complete`, is kept."""
        if complete:
            return self.class_of.index_select(0, targets)
        real = targets != IGNORE_INDEX
        # `index_select` rejects negative ids; indexing with brackets would count from the end.
        return self.class_of.index_select(0, targets.where(real, 0)).where(real, IGNORE_INDEX)

    def log_probs_within(self, logits: Tensor) -> Tensor:
        """Normalizes logits [* vocab] over each class, with a constant number of operations."""
        size = (*logits.shape[:-1], len(self.class_sizes))
        index = self.class_of.expand_as(logits)
        lowest = logits.new_full(size, -torch.inf)
        greatest = lowest.scatter_reduce(-1, index, logits.detach(), "amax")
        shifted = logits - greatest.index_select(-1, self.class_of)
        sums = logits.new_zeros(size).index_add(-1, self.class_of, shifted.exp())
        return shifted - sums.log().index_select(-1, self.class_of)


class Groups(NamedTuple):
    """Rows of a batch, sorted by the class of their target.

    Rows with an ignored target are left out, and so are rows whose target is the only word of its
    class, since its probability within the class is 1.
    """

    rows: Tensor  # indices of the rows
    places: Tensor  # index of each row's target within its class
    areas: Tensor  # number of words in the class of each row
    used: list[int]  # classes that occur
    counts: list[int]  # number of rows of each used class
    sizes: list[int]  # number of words of each used class


def group(partition: Partition, targets: Tensor) -> Groups:
    """Sorts the rows of a batch by the class of their target [rows]."""
    classes = partition.classes_of(targets)
    uncertain = (classes != IGNORE_INDEX) & (partition.sizes[classes.clamp_min(0)] > 1)
    rows = torch.nonzero(uncertain).squeeze(1)
    classes, by_class = torch.sort(classes[rows], stable=True)
    rows = rows[by_class]
    used, counts = torch.unique_consecutive(classes, return_counts=True)
    return Groups(
        rows,
        partition.place_of[targets[rows]],
        partition.sizes[classes],
        used.tolist(),  # the loop over classes needs Python integers
        counts.tolist(),
        partition.sizes[used].tolist(),
    )


def _arrange_again(partition: Partition, _: object) -> None:
    partition.arrange()
