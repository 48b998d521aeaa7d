"""What is done to labelled corpora, and what is odd about them."""

import hashlib
from collections import Counter
from collections.abc import Sequence

from datamodules.batching.splits import sample
from datamodules.batching.texts import LabelledCorpus, LabelledText
from pipeline.errors import InputError
from pipeline.text.ends import ends
from pipeline.text.treebank import split_sentences, tokenise


def shortened(corpus: LabelledCorpus, max_tokens: int) -> tuple[LabelledCorpus, int]:
    """Keeps the first and last halves of so many tokens of longer texts.

    Returns:
        The corpus, and the number of its texts that were longer.
    """
    num_cut = sum(len(t.tokens) > max_tokens for texts in corpus.splits.values() for t in texts)
    splits = {
        split: [_shortened(text, max_tokens) for text in texts]
        for split, texts in corpus.splits.items()
    }
    phrases = tuple(tuple(_shortened(p, max_tokens) for p in of_one) for of_one in corpus.phrases)
    return corpus._replace(splits=splits, phrases=phrases), num_cut


def _shortened(text: LabelledText, max_tokens: int) -> LabelledText:
    if len(text.tokens) <= max_tokens:
        return text
    return text._replace(tokens=tuple(ends(text.tokens, max_tokens)))


def first_of_each(corpus: LabelledCorpus, count: int, seed: int) -> LabelledCorpus:
    """Keeps so many training texts, each label as often as in the whole.

    Raises:
        InputError: there are fewer.
    """
    train = corpus.splits["train"]
    if count > len(train):
        raise InputError(
            f"num_train is {count:,}, but there are {len(train):,} training texts; lower it"
        )
    kept = sorted(sample(train, count, seed))
    return corpus._replace(
        splits={**corpus.splits, "train": [train[place] for place in kept]},
        phrases=tuple(corpus.phrases[place] for place in kept) if corpus.phrases else (),
        notes=(
            *corpus.notes,
            f"{count:,} of {len(train):,} training texts are trained on, chosen with seed {seed}",
        ),
    )


def oddities(corpus: LabelledCorpus) -> list[str]:
    """Tells of texts that stand in several splits, and of labels that splits lack."""
    notes = []
    train = {text.tokens for text in corpus.splits["train"]}
    valid = {text.tokens for text in corpus.splits["valid"]} - train
    known = {text.label for text in corpus.splits["train"]}
    for split in ("valid", "test"):
        texts = corpus.splits[split]
        if not texts:
            raise InputError(f"{corpus.files[split]} holds no text for {split}")
        if leaked := sum(text.tokens in train for text in texts):
            notes.append(
                f"{leaked:,} texts of {split} stand in train too, word by word: scores on them say "
                "what was learned by heart"
            )
        if split == "test" and (shared := sum(text.tokens in valid for text in texts)):
            notes.append(
                f"{shared:,} texts of test stand in valid too, word by word, which chooses the "
                "checkpoint that is tested"
            )
        held = {text.label for text in texts}
        if unseen := sorted(held - known):
            notes.append(
                f"{split} has labels that training lacks, which no model can predict: "
                f"{', '.join(unseen)}"
            )
        if missing := sorted(known - held):
            notes.append(f"{split} has no text with the label {', '.join(missing)}")
    return notes


def digest(texts: Sequence[LabelledText]) -> str:
    """Gives the sha256 of texts and their labels, in hexadecimal."""
    summary = hashlib.sha256()
    for text in texts:
        summary.update("\t".join((*text.tokens, text.label, "\n")).encode())
    return summary.hexdigest()


def statistics(texts: Sequence[LabelledText], train_words: set[str]) -> dict[str, int]:
    """Counts texts, tokens, tokens that training lacks, and tokens of the longest text."""
    return {
        "texts": len(texts),
        "tokens": sum(len(text.tokens) for text in texts),
        "unknown": sum(token not in train_words for text in texts for token in text.tokens),
        "longest": max((len(text.tokens) for text in texts), default=0),
    }


def describe_labelled(corpus: LabelledCorpus, train_words: set[str]) -> list[str]:
    """Describes a corpus for a person: sizes, unknown words, labels, a line each."""
    lines = []
    for split, texts in corpus.splits.items():
        counts = statistics(texts, train_words)
        lines.append(
            f"{split:<5} {counts['texts']:>7,} texts  {counts['tokens']:>9,} tokens  "
            f"({counts['unknown'] / max(counts['tokens'], 1):.1%} of them not in train)  "
            f"longest {counts['longest']}"
        )
        held = Counter(text.label for text in texts)
        names = [*corpus.labels, *sorted(held.keys() - {*corpus.labels})]
        lines.append("      labels " + ", ".join(f"{name} {held[name]:,}" for name in names))
    return lines


def treebank_words(text: str) -> tuple[str, ...]:
    """Cuts raw text, of any number of sentences, into the words of the Penn Treebank."""
    return tuple(
        token.text for start, end in split_sentences(text) for token in tokenise(text[start:end])
    )


def refuse_damaged(text: str, where: str) -> None:
    """Refuses what no text holds: NUL, and halves of characters, which JSON can spell.

    Args:
        text: any.
        where: it stands, for a person.

    Raises:
        InputError: the text holds either.
    """
    if "\0" in text:
        raise InputError(
            f"{where} holds a NUL character; the text is damaged, or not in the encoding that was "
            "declared"
        )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{where} holds half a character (a lone surrogate); it was cut there")
