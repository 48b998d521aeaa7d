"""Reads backoff models in the ARPA format of KenLM and SRILM."""

import gzip
import math
import re
import zlib
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from pipeline.errors import InputError, os_error_sentence, parsed_number, shortened
from pipeline.ngrams.arpa import BEGIN, END, SPACE, ZERO, open_text
from pipeline.ngrams.counting import MAX_ORDER, Floats, Ints
from pipeline.ngrams.model import NgramModel
from pipeline.text.vocabulary import EOS, UNK, Vocabulary

_LAST = "\\end\\"
_MAX_DIGITS = 15  # of a number of n-grams
_GAPS = re.compile("[ \t\r]+")


def read_arpa(path: Path, vocabulary: Vocabulary | None = None) -> tuple[NgramModel, Vocabulary]:
    """Reads a model and its vocabulary; decompresses a file whose name ends with `.gz`.

    A missing backoff weight is 1, and a probability of 10^-99 or less is 0. If the file has no
    `<unk>`, its probability is 0. Raises an `InputError` if the file is missing or damaged (with
    the line), or its words differ from a given vocabulary.
    """
    if not path.is_file():
        raise InputError(f"ARPA file {path} does not exist")
    try:
        with open_text(path, "r", path.suffix == ".gz") as file:
            return _Reader(path, file).read(vocabulary)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error.reason}); use an ARPA file") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"gzip file {path} is damaged ({error}); download it again") from error
    except OSError as error:
        raise InputError(f"cannot read {os_error_sentence(error)}; use an ARPA file") from error


class _Section(NamedTuple):
    """The n-grams of one order, in the order of the file; `first` is the line of the first."""

    words: list[list[str]]
    probs: Floats
    backoffs: Floats
    first: int


class _Reader:
    def __init__(self, path: Path, file: TextIO) -> None:
        self._path, self._file = path, file
        self._number = 0  # of the last line read

    def read(self, expected: Vocabulary | None) -> tuple[NgramModel, Vocabulary]:
        """Reads the whole file; `expected` is the vocabulary that it must have."""
        sizes = self._header()
        titles = [f"\\{order}-grams:" for order in range(1, len(sizes) + 1)]
        self._title(titles[0])
        section = self._section(1, sizes[0], [*titles, _LAST][1])
        vocabulary = self._vocabulary(section, expected)
        ids = {
            **{word: index for index, word in enumerate(vocabulary.words)},
            **_special(vocabulary),
        }
        probs, backoffs = _unigrams(section, ids, len(vocabulary))
        model = NgramModel(len(vocabulary), vocabulary.eos_id, [], [probs], [])
        for order, size in enumerate(sizes[1:], start=2):
            section = self._section(order, size, [*titles, _LAST][order])
            keys, probs, longer = self._longer(model, section, ids)
            model = NgramModel(
                model.vocab_size,
                model.eos_id,
                [*model.keys, keys],
                [*model.probs, probs],
                [*model.backoffs, backoffs],
            )
            backoffs = longer
        return model, vocabulary

    def _header(self) -> list[int]:
        while self._line() != "\\data\\":
            pass
        sizes: list[int] = []
        while line := self._line(is_any=True):
            found = re.fullmatch(rf"ngram +(\d{{1,2}}) *= *(\d{{1,{_MAX_DIGITS}}})", line)
            if not found or int(found[1]) != len(sizes) + 1:
                raise self._error(f"must be 'ngram {len(sizes) + 1}=' and a number of n-grams")
            sizes.append(int(found[2]))
        if not 1 <= len(sizes) <= MAX_ORDER:
            raise self._error(f"ends a list of {len(sizes)} orders; expected 1 to {MAX_ORDER}")
        return sizes

    def _title(self, title: str) -> None:
        if self._line() != title:
            raise self._error(
                f"must be '{title}': there are more n-grams than \\data\\ declares, or a "
                "section is missing"
            )

    def _section(self, order: int, size: int, title_after: str) -> _Section:
        # Arrays that grow, since the declared size may be wrong.
        words, probs, backoffs, first = [], array("d"), array("d"), self._number + 1
        for row in range(size):
            fields = _GAPS.split(self._line(is_any=True).strip(" \t\r"))
            if fields[0] in ("", _LAST) or fields[0].endswith("-grams:"):
                raise self._error(f"ends the {order}-grams after {row}; \\data\\ declares {size}")
            if len(fields) not in (order + 1, order + 2):
                raise self._error(
                    f"has {len(fields)} fields; expected a probability, {order} words and, for a "
                    "context, a backoff weight"
                )
            probs.append(self._log10(fields[0], 0.0))
            has_backoff = len(fields) == order + 2
            backoffs.append(self._log10(fields[-1], math.inf) if has_backoff else 0.0)
            words.append(fields[1 : order + 1])
        self._title(title_after)
        return _Section(words, _power(np.array(probs)), _power(np.array(backoffs)), first)

    def _vocabulary(self, section: _Section, expected: Vocabulary | None) -> Vocabulary:
        special = {END: EOS, SPACE: " "}
        words = [special.get(word, word) for (word,) in section.words if word != BEGIN]
        if EOS not in words:
            raise InputError(f"{self._path} has no {END} among its 1-grams; it needs one")
        if UNK not in words:
            words.append(UNK)
        if len(set(words)) < len(words):
            raise InputError(f"{self._path} repeats a word in its 1-grams; remove one of them")
        if expected is None:
            return Vocabulary(words)
        for word in words:
            if word not in expected:
                raise InputError(
                    f"{self._path} has the word {shortened(word)!r}, which is not in the "
                    "vocabulary of the corpus; use a model with exactly the words of this corpus"
                )
        if missing := set(expected.words) - set(words):
            word = next(word for word in expected.words if word in missing)
            raise InputError(
                f"{self._path} lacks the word {shortened(word)!r} of the corpus; use a model with "
                "exactly the words of this corpus"
            )
        return expected

    def _longer(
        self, model: NgramModel, section: _Section, ids: Mapping[str, int]
    ) -> tuple[Ints, Floats, Floats]:
        """Returns sorted keys, probabilities and backoff weights of a section."""
        order = model.order + 1
        words = self._ids(section, ids).reshape(-1, order)
        prefixes = words[:, 0]
        for length in range(2, order):
            prefixes = model.find(length, prefixes, words[:, length - 1])
        is_word = words[:, -1] < model.vocab_size
        for wrong, what in (
            (
                prefixes < 0,
                f"begins with {order - 1} words that are not among the {order - 1}-grams",
            ),
            (~is_word, f"predicts {BEGIN}, which can only begin an n-gram"),
        ):
            if wrong.any():
                raise self._error(what, section.first + int(wrong.argmax()))
        keys = prefixes * model.vocab_size + words[:, -1]
        places = np.argsort(keys, kind="stable")
        again = np.flatnonzero(np.diff(keys[places]) == 0)
        if len(again):
            raise self._error("repeats an n-gram", section.first + int(places[again + 1].min()))
        return keys[places], section.probs[places], section.backoffs[places]

    def _ids(self, section: _Section, ids: Mapping[str, int]) -> Ints:
        try:
            return np.array(
                [ids[word] for words in section.words for word in words], dtype=np.int64
            )
        except KeyError as error:
            word = error.args[0]
            row = next(row for row, words in enumerate(section.words) if word in words)
            raise self._error(
                f"has the word {shortened(word)!r}, which is not among the 1-grams",
                section.first + row,
            ) from error

    def _log10(self, text: str, most: float) -> float:
        value = parsed_number(text)
        if not value <= most or value == math.inf:
            raise self._error(
                f"has {shortened(text)!r}; expected the logarithm to base 10 of a "
                f"{'probability, at most 0' if most == 0 else 'backoff weight'}"
            )
        return value

    def _line(self, is_any: bool = False) -> str:
        """Reads a line; skips blank lines unless `is_any`."""
        while line := self._file.readline():
            self._number += 1
            if is_any or line.strip():
                return line.rstrip("\r\n") if is_any else line.strip()
        self._number += 1
        raise self._error("is missing: the file ends before \\end\\; download it again")

    def _error(self, what: str, number: int | None = None) -> InputError:
        return InputError(f"line {number or self._number} of {self._path} {what}")


def _special(vocabulary: Vocabulary) -> dict[str, int]:
    """Returns the ids of the special words of the format."""
    special = {BEGIN: len(vocabulary), END: vocabulary.eos_id}
    return {**special, SPACE: vocabulary.encode([" "])[0]} if " " in vocabulary else special


def _unigrams(section: _Section, ids: Mapping[str, int], vocab_size: int) -> tuple[Floats, Floats]:
    places = [ids[word] for (word,) in section.words]
    probs, backoffs = np.zeros(vocab_size + 1), np.ones(vocab_size + 1)
    probs[places], backoffs[places] = section.probs, section.backoffs
    probs[vocab_size] = 0.0  # `<s>` is never predicted; files have arbitrary values for it
    return probs, backoffs


def _power(logarithms: Floats) -> Floats:
    return np.where(logarithms <= ZERO, 0.0, np.power(10.0, logarithms))
