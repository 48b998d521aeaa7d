"""Writes backoff models in the ARPA format of KenLM and SRILM."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TextIO, cast

import numpy as np

from pipeline.errors import InputError, shortened
from pipeline.ngrams.counting import Floats
from pipeline.ngrams.model import NgramModel
from pipeline.text.vocabulary import EOS, Vocabulary

BEGIN, END = "<s>", "</s>"
SPACE = "<space>"
"""Replaces the space, which is a token of character models but not allowed as an ARPA word."""
ZERO = -99.0
"""Logarithm to base 10 that SRILM writes for a probability of 0."""


def write_arpa(path: Path, model: NgramModel, vocabulary: Vocabulary) -> None:
    """Writes a model with 10 significant digits, compressed if the name ends with `.gz`.

    `<eos>` is written as `</s>` and a space as `<space>`. Raises an `InputError` if the format
    cannot represent a word of the vocabulary.
    """
    words = _written(vocabulary)
    temporary = path.with_name(f".{path.name}.part")
    try:
        with open_text(temporary, "w", path.suffix == ".gz") as file:
            file.writelines(_lines(model, words))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def open_text(path: Path, mode: Literal["r", "w"], is_compressed: bool) -> TextIO:
    r"""Opens a UTF-8 text file, gzip or not, whose lines end with "\n" only."""
    opened = gzip.open if is_compressed else open
    return cast(TextIO, opened(path, f"{mode}t", encoding="utf-8", newline="\n"))


def _written(vocabulary: Vocabulary) -> list[str]:
    words = [END if word == EOS else SPACE if word == " " else word for word in vocabulary.words]
    reserved = [word for word in (BEGIN, END, SPACE) if word in vocabulary.words]
    if len(set(words)) < len(words) or BEGIN in words:
        raise InputError(
            f"the vocabulary contains the word {reserved[0]}, which is reserved in an ARPA file; "
            "replace it in the corpus and train again"
        )
    for word in words:
        if not word or any(mark in word for mark in " \t\r\n"):
            raise InputError(
                f"the word {shortened(word)!r} is empty or contains white space, which an ARPA "
                "file does not allow; change the corpus and train again"
            )
    return [*words, BEGIN]


def _lines(model: NgramModel, words: list[str]) -> Iterator[str]:
    yield "\\data\\\n"
    yield from (f"ngram {order}={len(p)}\n" for order, p in enumerate(model.probs, start=1))
    texts = words
    for order, probs in enumerate(model.probs, start=1):
        if order > 1:
            keys = model.keys[order - 2]
            prefixes, last = (keys // model.vocab_size).tolist(), (keys % model.vocab_size).tolist()
            texts = [f"{texts[p]} {words[w]}" for p, w in zip(prefixes, last, strict=True)]
        yield f"\n\\{order}-grams:\n"
        numbers = _log10(probs)
        if order == model.order:
            yield from (f"{x:.10g}\t{t}\n" for x, t in zip(numbers, texts, strict=True))
        else:
            weights = _log10(model.backoffs[order - 1])
            rows = zip(numbers, texts, weights, strict=True)
            yield from (f"{x:.10g}\t{t}\t{b:.10g}\n" for x, t, b in rows)
    yield "\n\\end\\\n"


def _log10(values: Floats) -> list[float]:
    with np.errstate(divide="ignore"):
        logarithms: list[float] = np.maximum(np.log10(values), ZERO).tolist()
    return logarithms
