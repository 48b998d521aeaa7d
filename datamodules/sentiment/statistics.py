"""Digests, statistics and checks of labelled corpora."""

import hashlib
from collections import Counter
from collections.abc import Sequence

from datamodules.batching.splits import repeated_rows
from datamodules.batching.texts import LabelledCorpus, LabelledText
from pipeline.errors import InputError, shortened


def check_splits(corpus: LabelledCorpus) -> list[str]:
    """Describes texts that occur in several splits and labels that are missing from a split.

    Raises `InputError` if the file of the validation or test split contains no text.
    """
    notes = []
    tokens = {split: [text.tokens for text in texts] for split, texts in corpus.splits.items()}
    repeated = repeated_rows(tokens, "texts")
    known = {text.label for text in corpus.splits["train"]}
    for split in ("valid", "test"):
        texts = corpus.splits[split]
        if not texts and split in corpus.held_out:
            continue
        if not texts:
            raise InputError(
                f"the {split} split is empty: {corpus.files[split]} has no text for it; add texts, "
                f"or give another file for {split}"
            )
        notes += repeated[split]
        found = {text.label for text in texts}
        if unseen := sorted(found - known):
            notes.append(
                f"{split} has labels that never occur in training, so no model can predict them: "
                f"{', '.join(unseen)}"
            )
        if missing := sorted(known - found):
            notes.append(f"{split} has no text with the label {', '.join(missing)}")
    return notes


def unseen_notes(texts: Sequence[LabelledText], labels: Sequence[str]) -> list[str]:
    """Describes the labels of texts that are not among the `labels` of a model."""
    unseen = Counter(text.label for text in texts if text.label not in labels)
    if not unseen:
        return []
    return [
        f"{unseen.total():,} of {len(texts):,} texts have labels that never occur in training, so "
        f"no model can predict them: {shortened(', '.join(sorted(unseen)))}"
    ]


def digest(texts: Sequence[LabelledText]) -> str:
    """Computes the sha256 of texts and their labels, in hexadecimal."""
    summary = hashlib.sha256()
    for text in texts:
        summary.update("\t".join((*text.tokens, text.label, "\n")).encode())
    return summary.hexdigest()


def statistics(texts: Sequence[LabelledText], train_words: set[str]) -> dict[str, int]:
    """Counts texts, tokens, tokens not in `train_words`, and tokens of the longest text."""
    return {
        "texts": len(texts),
        "tokens": sum(len(text.tokens) for text in texts),
        "unknown": sum(token not in train_words for text in texts for token in text.tokens),
        "longest": max((len(text.tokens) for text in texts), default=0),
    }


def describe_labelled(corpus: LabelledCorpus, train_words: set[str]) -> list[str]:
    """Describes sizes, unknown words and labels of a corpus in lines for printing."""
    lines = []
    for split, texts in corpus.splits.items():
        counts = statistics(texts, train_words)
        lines.append(
            f"{split:<5} {counts['texts']:>7,} texts  {counts['tokens']:>9,} tokens  "
            f"({counts['unknown'] / max(counts['tokens'], 1):.1%} of them not in train)  "
            f"longest {counts['longest']}"
        )
        labels = Counter(text.label for text in texts)
        names = [*corpus.labels, *sorted(labels.keys() - {*corpus.labels})]
        lines.append("      labels " + ", ".join(f"{name} {labels[name]:,}" for name in names))
    return lines
