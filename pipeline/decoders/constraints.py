"""The tag sequences that BIO allows."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.text.tags import are_labels


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
