"""Stratified splits of corpora that lack a validation or test split."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from random import Random
from typing import NamedTuple

from datamodules.batching.texts import LabelledText
from pipeline.errors import InputError


class SplitDigest(NamedTuple):
    """The description of a split that is stored in a run."""

    split: str  # "train", "valid" or "test"
    path: Path
    sha256: str  # of its rows and their tags or labels
    profile: dict[str, int]  # counts by name, such as {"tokens": 929589}


def stratified(texts: Sequence[LabelledText], num_parts: int, seed: int) -> list[list[int]]:
    """Divides texts into at least 2 equal parts with the label distribution of the whole.

    Returns the indices of each part's texts in ascending order.
    """
    order = list(chain.from_iterable(_shuffled_by_label(texts, seed).values()))
    return [sorted(order[part::num_parts]) for part in range(num_parts)]


def sample(texts: Sequence[LabelledText], count: int, seed: int) -> set[int]:
    """Draws indices of a sample with the label distribution of the whole, up to one text."""
    by_label = _shuffled_by_label(texts, seed)
    exact = {label: count * len(places) / len(texts) for label, places in by_label.items()}
    shares = {label: int(share) for label, share in exact.items()}
    left = count - sum(shares.values())
    for label in sorted(exact, key=lambda label: (shares[label] - exact[label], label))[:left]:
        shares[label] += 1  # the largest remainders
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
    texts: Sequence[LabelledText], fraction: float, seed: int, name: str
) -> tuple[list[LabelledText], list[LabelledText]]:
    """Divides texts into the remaining ones and a stratified `fraction`, in their original order.

    Raises `InputError` if there are too few texts, or if `fraction` is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise InputError(
            f"the fraction of texts to hold out must be between 0 and 1, got {fraction}"
        )
    count = round(fraction * len(texts)) or 1
    if count >= len(texts):
        raise InputError(
            f"{name} has {len(texts)} texts, too few to hold out {fraction:.0%}; add texts, or "
            "provide a file or folder for each split"
        )
    held = sample(texts, count, seed)
    kept = [text for place, text in enumerate(texts) if place not in held]
    out = [text for place, text in enumerate(texts) if place in held]
    if lost := sorted({text.label for text in out} - {text.label for text in kept}):
        raise InputError(
            f"{name} has too few texts with the label {lost[0]} to hold out {fraction:.0%} and "
            "train on the others; add texts, or provide a file or folder for each split"
        )
    return kept, out


def fill_splits(
    splits: Mapping[str, list[LabelledText]], fraction: float, seed: int, name: str, kind: str
) -> tuple[dict[str, list[LabelledText]], dict[str, str]]:
    """Holds out a stratified fraction of the training texts for each missing split.

    Returns the splits "train", "valid" and "test", and a note for each held-out split. `kind` names
    the missing source in the note ("file" or "folder"). A `fraction` of 0 leaves the missing splits
    empty, for cross-validation over all texts. Raises `InputError` as `hold_out`.
    """
    filled, notes = dict(splits), {}
    for split in ("test", "valid"):
        if split in filled:
            continue
        filled[split] = []
        if fraction:
            filled["train"], filled[split] = hold_out(filled["train"], fraction, seed, name)
        notes[split] = (
            f"no {split} {kind}: {len(filled[split]):,} training texts, stratified and drawn with "
            f"seed {seed}, are held out"
        )
    return {split: filled[split] for split in ("train", "valid", "test")}, notes


def repeated_rows(
    splits: Mapping[str, Iterable[tuple[str, ...]]], unit: str
) -> dict[str, list[str]]:
    """Returns, for validation and test, notes on rows that also occur in another split.

    Rows are tuples of tokens; `unit` is what the notes call them.
    """
    train = set(splits["train"])
    valid = set(splits["valid"]) - train
    notes: dict[str, list[str]] = {"valid": [], "test": []}
    for split, found in notes.items():
        rows = list(splits[split])
        if leaked := sum(row in train for row in rows):
            found.append(
                f"{leaked:,} {unit} of {split} also occur in train: a model may have memorized them"
            )
        if split == "test" and (shared := sum(row in valid for row in rows)):
            found.append(
                f"{shared:,} {unit} of test also occur in valid, which selects the tested"
                " checkpoint"
            )
    return notes
