"""Reads backoff models in the ARPA format of KenLM, SRILM, Sphinx and Kaldi."""

import re
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.console import print_note
from pipeline.errors import InputError, parsed_number, shortened
from pipeline.ngrams.arpa import BEGIN, END, SPACE, ZERO
from pipeline.ngrams.arpa_lines import LAST, ArpaLines, opened_arpa
from pipeline.ngrams.counting import MAX_ORDER, Floats, Ints
from pipeline.ngrams.missing_contexts import Tables
from pipeline.ngrams.model import NgramModel
from pipeline.text.vocabulary import EOS, UNK, Vocabulary

SPHINX_UNK = "<UNK>"
"""The unknown word in files of the CMU toolkit and Sphinx."""
_MAX_DIGITS = 15  # of a number of n-grams
_MOST_BACKOFF = 300.0  # logarithm to base 10; more would exceed the range of a float
_GAPS = re.compile("[ \t\r]+")


def read_arpa(path: Path, vocabulary: Vocabulary | None = None) -> tuple[NgramModel, Vocabulary]:
    r"""Reads a model and its vocabulary; gzip, bzip2 and xz are recognized by the first bytes.

    The format is read as by KenLM, Kaldi and Sphinx: text before `\data\` and blank lines are
    skipped, a missing backoff weight is 1, a probability of 10^-99 or less is 0, and `<UNK>` is
    `<unk>` if there is no other. Without either, the probability of `<unk>` is 0. N-grams that no
    text has are skipped, because `<s>` only begins a sentence and `</s>` only ends one. A context
    that is not listed gets the probability that it has by backing off. Notes tell of all this.

    Raises an `InputError` if the file is missing, damaged (with the line) or not UTF-8, or its
    words differ from a given vocabulary.
    """
    with opened_arpa(path) as lines:
        return _Reader(path, lines).read(vocabulary)


class _Section(NamedTuple):
    """The n-grams of one order, in the order of the file, and their lines in it."""

    words: list[list[str]]
    probs: Floats
    backoffs: Floats
    lines: Ints


class _Reader:
    def __init__(self, path: Path, lines: ArpaLines) -> None:
        self._path, self._lines = path, lines
        self._title = ""  # of the section that begins
        self._num_impossible = self._num_added = 0

    def read(self, expected: Vocabulary | None) -> tuple[NgramModel, Vocabulary]:
        """Reads the whole file; `expected` is the vocabulary that it must have."""
        sizes = self._header()
        section = self._section(1, sizes)
        vocabulary, ids = self._vocabulary(section, expected)
        probs, backoffs = _unigrams(section, ids, len(vocabulary))
        tables = Tables(len(vocabulary), vocabulary.eos_id, [], [probs], [backoffs])
        for order in range(2, len(sizes) + 1):
            self._add(tables, order, self._section(order, sizes), ids)
        self._lines.finish()
        self._print_notes()
        return tables.model(len(sizes)), vocabulary

    def _print_notes(self) -> None:
        if self._num_impossible:
            print_note(
                f"note: {self._path}: skipped {self._num_impossible:,} n-grams that no text has, "
                f"because {BEGIN} only begins a sentence and {END} only ends one"
            )
        if self._num_added:
            print_note(
                f"note: {self._path}: {self._num_added:,} contexts of longer n-grams are not "
                "listed; they are added, with the probabilities that they have by backing off"
            )

    def _header(self) -> list[int]:
        sizes: list[int] = []
        while not (line := self._lines.read()).startswith("\\"):
            found = re.fullmatch(rf"ngram\s+(\d{{1,2}})\s*=\s*(\d{{1,{_MAX_DIGITS}}})", line)
            if not found or int(found[1]) != len(sizes) + 1:
                raise self._lines.error(
                    f"must be 'ngram {len(sizes) + 1}=' and a number of n-grams"
                    + (", or '\\1-grams:'" if sizes else "")
                )
            sizes.append(int(found[2]))
        if not 1 <= len(sizes) <= MAX_ORDER:
            raise self._lines.error(
                f"ends a list of {len(sizes)} orders; expected 1 to {MAX_ORDER}"
            )
        self._title = line
        self._require_title(_title(1, sizes))
        return sizes

    def _require_title(self, title: str) -> None:
        if self._title != title:
            raise self._lines.error(
                f"must be '{title}': there are more n-grams than \\data\\ declares, or a "
                "section is missing"
            )

    def _section(self, order: int, sizes: list[int]) -> _Section:
        # Arrays that grow, since the declared size may be wrong.
        words: list[list[str]] = []
        probs, backoffs, lines = array("d"), array("d"), array("q")
        size, after = sizes[order - 1], _title(order + 1, sizes)
        while not (line := self._lines.read()).startswith("\\"):
            if len(words) == size:
                self._require_title(after)
            fields = _GAPS.split(line)
            if len(fields) not in (order + 1, order + 2):
                raise self._lines.error(
                    f"has {len(fields)} fields; expected a probability, {order} words and, for a "
                    "context, a backoff weight"
                )
            probs.append(self._log10(fields[0], 0.0))
            has_backoff = len(fields) == order + 2
            backoffs.append(self._log10(fields[-1], _MOST_BACKOFF) if has_backoff else 0.0)
            lines.append(self._lines.number)
            words.append(fields[1 : order + 1])
        if len(words) < size:
            raise self._lines.error(
                f"ends the {order}-grams after {len(words)}; \\data\\ declares {size}"
            )
        self._title = line
        self._require_title(after)
        numbers = np.array(lines, dtype=np.int64)
        return _Section(words, _power(np.array(probs)), _power(np.array(backoffs)), numbers)

    def _vocabulary(
        self, section: _Section, expected: Vocabulary | None
    ) -> tuple[Vocabulary, dict[str, int]]:
        """Returns the vocabulary, and the ids of the words of the file."""
        written = [word for (word,) in section.words]
        special = {END: EOS, SPACE: " "}
        if SPHINX_UNK in written and UNK not in written and SPHINX_UNK not in (expected or ()):
            print_note(f"note: {self._path}: {SPHINX_UNK} is read as {UNK}")
            special[SPHINX_UNK] = UNK
        words = [special.get(word, word) for word in written if word != BEGIN]
        if EOS not in words:
            raise InputError(f"{self._path} has no {END} among its 1-grams; it needs one")
        if UNK not in words:
            words.append(UNK)
        if len(set(words)) < len(words):
            raise InputError(f"{self._path} repeats a word in its 1-grams; remove one of them")
        if expected is None:
            expected = Vocabulary(words)
        else:
            self._compare(words, expected)
        ids = dict(zip(expected.words, range(len(expected)), strict=True))
        ids |= {word: ids[own] for word, own in special.items() if own in ids}
        return expected, {**ids, BEGIN: len(expected)}

    def _compare(self, words: list[str], expected: Vocabulary) -> None:
        """Raises an `InputError` if the words are not those of the vocabulary, in any order."""
        use = "use a model with exactly the words of this corpus, or score texts with the file "
        use += f"alone: `unroll score --arpa {self._path} --input TEXT`"
        for word in words:
            if word not in expected:
                raise InputError(
                    f"{self._path} has the word {shortened(word)!r}, which is not in the "
                    f"vocabulary of the corpus; {use}"
                )
        if missing := set(expected.words) - set(words):
            word = next(word for word in expected.words if word in missing)
            raise InputError(
                f"{self._path} lacks the word {shortened(word)!r} of the corpus; {use}"
            )

    def _add(self, tables: Tables, order: int, section: _Section, ids: Mapping[str, int]) -> None:
        """Adds the n-grams of a section to the tables of the shorter ones."""
        words = self._ids(section, ids).reshape(-1, order)
        is_impossible = (words[:, 1:] == tables.vocab_size).any(axis=1)
        is_impossible |= (words[:, :-1] == tables.eos_id).any(axis=1)
        self._num_impossible += int(is_impossible.sum())
        words, lines = words[~is_impossible], section.lines[~is_impossible]
        prefixes = tables.find(words[:, :-1])
        if (prefixes < 0).any():
            before = sum(map(len, tables.probs))
            tables.add(words[prefixes < 0, :-1])
            self._num_added += sum(map(len, tables.probs)) - before
            prefixes = tables.find(words[:, :-1])
        keys = prefixes * tables.vocab_size + words[:, -1]
        places = np.argsort(keys, kind="stable")
        again = np.flatnonzero(np.diff(keys[places]) == 0)
        if len(again):
            raise self._lines.error("repeats an n-gram", int(lines[places[again + 1].min()]))
        tables.keys.append(keys[places])
        tables.probs.append(section.probs[~is_impossible][places])
        tables.backoffs.append(section.backoffs[~is_impossible][places])

    def _ids(self, section: _Section, ids: Mapping[str, int]) -> Ints:
        try:
            return np.array(
                [ids[word] for words in section.words for word in words], dtype=np.int64
            )
        except KeyError as error:
            word = error.args[0]
            row = next(row for row, words in enumerate(section.words) if word in words)
            raise self._lines.error(
                f"has the word {shortened(word)!r}, which is not among the 1-grams",
                int(section.lines[row]),
            ) from error

    def _log10(self, text: str, most: float) -> float:
        value = parsed_number(text)
        if not value <= most:
            raise self._lines.error(
                f"has {shortened(text)!r}; expected the logarithm to base 10 of a "
                f"{'probability, at most 0' if most == 0 else 'backoff weight'}"
            )
        return value


def _title(order: int, sizes: list[int]) -> str:
    return f"\\{order}-grams:" if order <= len(sizes) else LAST


def _unigrams(section: _Section, ids: Mapping[str, int], vocab_size: int) -> tuple[Floats, Floats]:
    places = [ids[word] for (word,) in section.words]
    probs, backoffs = np.zeros(vocab_size + 1), np.ones(vocab_size + 1)
    probs[places], backoffs[places] = section.probs, section.backoffs
    probs[vocab_size] = 0.0  # `<s>` is never predicted; files have arbitrary values for it
    return probs, backoffs


def _power(logarithms: Floats) -> Floats:
    return np.where(logarithms <= ZERO, 0.0, np.power(10.0, logarithms))
