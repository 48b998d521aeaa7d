"""Tokenization, truncation and subsampling of labelled corpora."""

from datamodules.batching.splits import sample
from datamodules.batching.texts import LabelledCorpus, LabelledText
from pipeline.errors import InputError
from pipeline.text.treebank import split_sentences, tokenize
from pipeline.text.units import truncate_middle


def truncate_texts(corpus: LabelledCorpus, max_tokens: int) -> tuple[LabelledCorpus, int]:
    """Reduces longer texts to `max_tokens` tokens, half from the beginning and half from the end.

    Returns the corpus and the number of truncated texts.
    """

    def truncate(text: LabelledText) -> LabelledText:
        if len(text.tokens) <= max_tokens:
            return text
        return text._replace(tokens=tuple(truncate_middle(text.tokens, max_tokens)))

    num_cut = sum(len(t.tokens) > max_tokens for texts in corpus.splits.values() for t in texts)
    splits = {split: [truncate(text) for text in texts] for split, texts in corpus.splits.items()}
    phrases = tuple(tuple(map(truncate, of_one)) for of_one in corpus.phrases)
    return corpus._replace(splits=splits, phrases=phrases), num_cut


def subsample_training(corpus: LabelledCorpus, count: int, seed: int) -> LabelledCorpus:
    """Keeps a stratified random sample of `count` training texts and their phrases.

    Raises `InputError` if there are fewer training texts.
    """
    train = corpus.splits["train"]
    if count > len(train):
        raise InputError(
            f"num_train is {count:,}, but there are {len(train):,} training texts; lower it"
        )
    kept = sorted(sample(train, count, seed))
    return corpus._replace(
        splits={**corpus.splits, "train": [train[index] for index in kept]},
        phrases=tuple(corpus.phrases[index] for index in kept) if corpus.phrases else (),
        notes=(
            *corpus.notes,
            f"{count:,} of {len(train):,} training texts are used, sampled with seed {seed}",
        ),
    )


def treebank_words(text: str) -> tuple[str, ...]:
    """Splits raw text of any number of sentences into Penn Treebank tokens."""
    return tuple(
        token.text for start, end in split_sentences(text) for token in tokenize(text[start:end])
    )
