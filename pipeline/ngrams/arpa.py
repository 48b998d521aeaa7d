"""Writes back-off models in the ARPA format, as KenLM and SRILM read it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.errors import InputError
from pipeline.ngrams.arpa_words import BEGIN, END, SPACE, ZERO, open_text
from pipeline.ngrams.counting import Floats
from pipeline.ngrams.model import NgramModel
from pipeline.text.vocabulary import EOS, Vocabulary


def write_arpa(path: Path, model: NgramModel, vocabulary: Vocabulary) -> None:
    """Writes a model, with 10 significant digits.

    Args:
        path: the file, compressed if it ends in `.gz`; its folder exists.
        model: the model.
        vocabulary: its words; `<eos>` is written as `</s>`, the space as `<space>`.

    Raises:
        InputError: a word of the vocabulary cannot be written.
    """
    words = _written(vocabulary)
    temporary = path.with_name(f".{path.name}.part")
    try:
        with open_text(temporary, "w", path.suffix == ".gz") as file:
            file.writelines(_lines(model, words))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _written(vocabulary: Vocabulary) -> list[str]:
    words = [END if word == EOS else SPACE if word == " " else word for word in vocabulary.words]
    if len(set(words)) < len(words) or BEGIN in words:
        raise InputError(
            f"the vocabulary has one of {BEGIN}, {END} and {SPACE} as a word, which mean something "
            "else in an ARPA file; rename it in the corpus and train again"
        )
    for word in words:
        if not word or any(mark in word for mark in " \t\r\n"):
            raise InputError(f"the word {word!r} holds a space, so an ARPA file cannot hold it")
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
