"""The batches that datamodules yield and tasks take."""

from typing import NamedTuple

from torch import Tensor

IGNORE_INDEX = -100
"""A target with this value carries no loss (the default of `torch.nn.functional.cross_entropy`)."""


class Window(NamedTuple):
    """`bptt` steps of the columns that one rank owns of a stream.

    Attributes:
        tokens: ids read, int64 [batch time].
        targets: ids to be predicted, int64 [batch time]; `IGNORE_INDEX` where a column has ended.
        targets_per_rank: real targets of this window over all ranks, divided by the number of
            ranks. A summed loss divided by it and averaged over ranks is the mean over the whole
            window, on any number of ranks.
    """

    tokens: Tensor
    targets: Tensor
    targets_per_rank: float


def column_share(num_columns: int, rank: int, world_size: int) -> slice:
    """Returns the columns of a stream that a rank owns; the shares of all ranks join up."""
    return slice(rank * num_columns // world_size, (rank + 1) * num_columns // world_size)
