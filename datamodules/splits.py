"""Training, validation and test texts of a corpus that comes in fewer parts."""

from collections.abc import Sequence
from random import Random

from datamodules.labelled import Text
from pipeline.errors import InputError


def stratified(texts: Sequence[Text], num_parts: int, seed: int) -> list[list[int]]:
    """Deals texts out into parts of like sizes in which labels are as frequent as in the whole.

    Args:
        texts: what is dealt out.
        num_parts: how many, 2 or more.
        seed: of the shuffle before.

    Returns:
        For each part the places of its texts, in their order.
    """
    random = Random(seed)  # noqa: S311 - not for secrets
    by_label: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        by_label.setdefault(text.label, []).append(place)
    parts: list[list[int]] = [[] for _ in range(num_parts)]
    dealt = 0
    for label in sorted(by_label):
        places = by_label[label]
        random.shuffle(places)
        for place in places:
            parts[dealt % num_parts].append(place)
            dealt += 1
    return [sorted(part) for part in parts]


def hold_out(
    texts: Sequence[Text], fraction: float, seed: int, what: str
) -> tuple[list[Text], list[Text]]:
    """Holds out a stratified share of texts.

    Args:
        texts: all of them.
        fraction: which share, between 0 and 1.
        seed: of the choice.
        what: the corpus, for a person.

    Returns:
        Those that stay and those that are held out, each in their order.

    Raises:
        InputError: there are too few texts for both.
    """
    if not 0 < fraction < 1:
        raise InputError(
            f"the share to be held out is {fraction}; a number between 0 and 1 is expected"
        )
    num_parts = max(2, round(1 / fraction))
    count = round(fraction * len(texts)) or 1
    order = [place for part in stratified(texts, num_parts, seed) for place in part]
    held = set(order[:count])
    if len(held) >= len(texts):
        raise InputError(
            f"{what} has {len(texts)} texts, too few to hold some out; give more, or a file or "
            "folder for each split"
        )
    return (
        [text for place, text in enumerate(texts) if place not in held],
        [text for place, text in enumerate(texts) if place in held],
    )
