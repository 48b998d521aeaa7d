"""Which tags BIO lets follow each other."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.text.tags import are_labels


def allowed_transitions(tags: Sequence[str]) -> Tensor:
    """Says which tag may follow which: "I-x" only "B-x" and "I-x", the others any.

    Labels, as parts of speech, may follow in any order.

    Args:
        tags: in the order of their ids.

    Returns:
        bool [tag tag], from the first to the second.
    """
    if are_labels(tags):
        return torch.ones(len(tags), len(tags), dtype=torch.bool)
    sources = [_sources(tag) for tag in tags]
    return torch.tensor([[not known or tag in known for known in sources] for tag in tags])


def allowed_starts(tags: Sequence[str]) -> Tensor:
    """Says which tags a sentence may start with: all but "I-x"; any label.

    Args:
        tags: in the order of their ids.

    Returns:
        bool [tag].
    """
    return torch.tensor([are_labels(tags) or not _sources(tag) for tag in tags])


def _sources(tag: str) -> tuple[str, ...]:
    """Gives the tags that "I-x" continues; none for the others."""
    return (f"B-{tag[2:]}", tag) if tag.startswith("I-") else ()
