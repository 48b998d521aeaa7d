"""The labels of a corpus of texts."""

from collections.abc import Mapping, Sequence
from typing import Any


class Labels:
    """The labels that training holds, in their order.

    A plain class, as `Lexicon` is, since the command line hands it from the data to the task.

    Args:
        names: as written in the corpus.
        counts: texts that are trained on, of each; with the phrases, where those are.
        is_ordinal: the labels have an order, as the stars of a review.
    """

    def __init__(
        self, names: Sequence[str], counts: Sequence[int], is_ordinal: bool = False
    ) -> None:
        self.names, self.counts, self.is_ordinal = tuple(names), tuple(counts), is_ordinal

    def to_state(self) -> dict[str, Any]:
        """Gives plain data for a checkpoint."""
        return {"names": list(self.names), "counts": list(self.counts), "ordinal": self.is_ordinal}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "Labels":
        """Takes what `to_state` gave."""
        return cls(state["names"], state["counts"], state["ordinal"])
