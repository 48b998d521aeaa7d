"""Labels as a tracker takes them in the names of scores."""

import re
from collections.abc import Iterable

_LONGEST = 100


def score_names(labels: Iterable[str]) -> list[str]:
    """Gives each label a name of letters, digits and _ . - (MLflow takes few others).

    Args:
        labels: any strings, each once.

    Returns:
        As many names, each once; a label that is one already is its own.
    """
    labels = list(labels)
    taken = {label for label in labels if _cleaned(label) == label}
    names = []
    for label in labels:
        name = stem = _cleaned(label)
        number = 2
        while name != label and name in taken:
            name, number = f"{stem}-{number}", number + 1
        taken.add(name)
        names.append(name)
    return names


def _cleaned(label: str) -> str:
    return re.sub(r"[^\w.-]+", "_", label)[:_LONGEST] or "_"
