"""Training, validation and test texts of a corpus that comes in fewer parts."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from random import Random
from typing import NamedTuple

from datamodules.batching.texts import LabelledText
from pipeline.errors import InputError


class SplitDigest(NamedTuple):
    """What tracking records of a split.

    Attributes:
        split: train, valid or test.
        path: the file that it comes from.
        sha256: of its sentences and tags.
        profile: counts of what it holds.
    """

    split: str
    path: Path
    sha256: str
    profile: dict[str, int]


def stratified(texts: Sequence[LabelledText], num_parts: int, seed: int) -> list[list[int]]:
    """Deals texts out into parts of like sizes in which labels are as frequent as in the whole.

    Args:
        texts: what is dealt out.
        num_parts: how many, 2 or more.
        seed: of the shuffle before.

    Returns:
        For each part the places of its texts, in their order.
    """
    order = list(chain.from_iterable(_shuffled_by_label(texts, seed).values()))
    return [sorted(order[part::num_parts]) for part in range(num_parts)]


def sample(texts: Sequence[LabelledText], count: int, seed: int) -> set[int]:
    """Chooses texts such that labels are as frequent among them as in the whole, to one text.

    Args:
        texts: what is chosen from.
        count: how many, at most all.
        seed: of the choice.

    Returns:
        The places of the chosen ones.
    """
    by_label = _shuffled_by_label(texts, seed)
    exact = {label: count * len(places) / len(texts) for label, places in by_label.items()}
    shares = {label: int(share) for label, share in exact.items()}
    left = count - sum(shares.values())
    for label in sorted(exact, key=lambda label: (shares[label] - exact[label], label))[:left]:
        shares[label] += 1  # those that rounding cut the most
    return {place for label, places in by_label.items() for place in places[: shares[label]]}


def _shuffled_by_label(texts: Sequence[LabelledText], seed: int) -> dict[str, list[int]]:
    random = Random(seed)  # noqa: S311 - not for secrets
    by_label: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        by_label.setdefault(text.label, []).append(place)
    ordered = {label: by_label[label] for label in sorted(by_label)}
    for places in ordered.values():
        random.shuffle(places)
    return ordered


def hold_out(
    texts: Sequence[LabelledText], fraction: float, seed: int, what: str
) -> tuple[list[LabelledText], list[LabelledText]]:
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
    count = round(fraction * len(texts)) or 1
    if count >= len(texts):
        raise InputError(
            f"{what} has {len(texts)} texts, too few to hold some out; give more, or a file or "
            "folder for each split"
        )
    held = sample(texts, count, seed)
    kept = [text for place, text in enumerate(texts) if place not in held]
    out = [text for place, text in enumerate(texts) if place in held]
    if lost := sorted({text.label for text in out} - {text.label for text in kept}):
        raise InputError(
            f"{what} has too few texts with the label {lost[0]} to hold some out and train on "
            "others; give more, or a file or folder for each split"
        )
    return kept, out


def fill_splits(
    splits: dict[str, list[LabelledText]], fraction: float, seed: int, what: str, kind: str
) -> tuple[dict[str, list[LabelledText]], list[str]]:
    """Holds out a stratified share of the training texts for each split that is missing.

    Args:
        splits: those that there are, "train" among them.
        fraction: see `hold_out`.
        seed: see `hold_out`.
        what: see `hold_out`.
        kind: what a split is read from, for a person: "file" or "folder".

    Returns:
        The splits "train", "valid" and "test", and what was held out, a sentence each.

    Raises:
        InputError: as `hold_out`.
    """
    filled, notes = dict(splits), []
    for split in ("test", "valid"):
        if split not in filled:
            filled["train"], filled[split] = hold_out(filled["train"], fraction, seed, what)
            notes.append(
                f"there is no {split} {kind}: {len(filled[split]):,} texts of train, stratified "
                f"and chosen with seed {seed}, are held out"
            )
    return {split: filled[split] for split in ("train", "valid", "test")}, notes
