"""Reads a folder of train, valid and test text into ids, in bounded memory and once for all."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from datamodules.files.cache import cached
from datamodules.files.lines import MAX_LINE_BYTES, read_lines
from datamodules.files.shards import digest_of, shards, with_progress
from pipeline.errors import InputError
from pipeline.text.units import Unit, split_line
from pipeline.text.vocabulary import EOS, UNK, Vocabulary

Ids: TypeAlias = npt.NDArray[np.int32]

_SETTING = "--data.max_line_bytes"
_FORMAT = 3  # raised when the cached files change, or the rules by which text becomes ids
_CHUNK = 1 << 16  # ids that are held as Python integers at a time


class TextSettings(NamedTuple):
    """How text becomes ids.

    Attributes:
        unit: what a token is.
        max_vocab_size: the most entries of the vocabulary, `<eos>` and `<unk>` included; None keeps
            all words.
        min_count: words that are rarer in the training text become `<unk>`.
        max_line_bytes: a line of as many bytes is refused; files without line ends would be read
            whole otherwise.
    """

    unit: Unit = "word"
    max_vocab_size: int | None = None
    min_count: int = 1
    max_line_bytes: int = MAX_LINE_BYTES


class SplitStatistics(NamedTuple):
    """What a split holds.

    Attributes:
        split: train, valid or test.
        path: the text file, or the pattern of several.
        sha256: of the text file's bytes; of several, of their sums in hexadecimal, a line each.
        lines: lines, blank ones included.
        tokens: tokens, with one `<eos>` a line.
        unknown: tokens that are `<unk>`, written so in the text or not in the vocabulary.
    """

    split: str
    path: Path
    sha256: str
    lines: int
    tokens: int
    unknown: int

    @property
    def profile(self) -> dict[str, int]:
        """The counts by name."""
        return {"lines": self.lines, "tokens": self.tokens, "unknown": self.unknown}


class TextCorpus(NamedTuple):
    """A corpus as ids.

    Attributes:
        vocabulary: built from the training text alone.
        ids: split -> ids [tokens], int32, mapped from disk.
        statistics: split -> what it holds.
    """

    vocabulary: Vocabulary
    ids: dict[str, Ids]
    statistics: dict[str, SplitStatistics]


class TextCount(NamedTuple):
    """Counts of one text.

    Attributes:
        occurrences: token -> how often it occurs, in order of first appearance.
        lines: lines, blank ones included.
        tokens: tokens, with one `<eos>` a line.
    """

    occurrences: Counter[str]
    lines: int
    tokens: int


def open_corpus(paths: Mapping[str, Path], settings: TextSettings) -> TextCorpus:
    """Gives a corpus as ids, from the cache where the same text was read with the same settings.

    The text is read twice from beginning to end, to count and to write ids, so the memory needed is
    that of the vocabulary and not of the text.

    Args:
        paths: the text files of train, valid and test; a pattern stands for all files that match
            it, one after the other in the order of their names.
        settings: how text becomes ids.

    Returns:
        The corpus.

    Raises:
        InputError: a file cannot be read, is not UTF-8, holds no words or too long a line; the
            training text has fewer than two distinct words; or the settings are out of range.
    """
    _check(settings)
    digests = {split: digest_of(path) for split, path in paths.items()}
    key = json.dumps([_FORMAT, settings, digests])
    folder = cached(
        f"corpus-{hashlib.sha256(key.encode()).hexdigest()[:32]}",
        lambda new: _build(paths, digests, settings, new),
    )
    vocabulary = Vocabulary(*json.loads((folder / "vocabulary.json").read_text(encoding="utf-8")))
    counts = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
    statistics = {
        split: SplitStatistics(split, path, digests[split], **counts[split])
        for split, path in paths.items()
    }
    return TextCorpus(
        vocabulary,
        {split: np.load(folder / f"{split}.npy", mmap_mode="r") for split in paths},
        statistics,
    )


def count_text(path: Path, unit: Unit = "word", max_line_bytes: int = MAX_LINE_BYTES) -> TextCount:
    """Counts the tokens of a text, one `<eos>` a line included.

    Args:
        path: a file, or a pattern that several files match.
        unit: what a token is.
        max_line_bytes: the length from which on a line is refused.

    Raises:
        InputError: as `read_lines`.
    """
    occurrences: Counter[str] = Counter()
    lines = 0
    for line in _read_text(path, max_line_bytes):
        tokens = split_line(line, unit)
        tokens.append(EOS)
        occurrences.update(tokens)
        lines += 1
    return TextCount(occurrences, lines, occurrences.total())


def _read_text(path: Path, max_line_bytes: int) -> Iterator[str]:
    for file in with_progress(shards(path)):
        yield from read_lines(file, max_line_bytes, setting=_SETTING)


def _check(settings: TextSettings) -> None:
    for name, least in (("max_vocab_size", 2), ("min_count", 1), ("max_line_bytes", 1)):
        value = getattr(settings, name)
        if value is not None and value < least:
            raise InputError(f"{name} is {value}; {least} or more is expected")


def _build(
    paths: Mapping[str, Path], digests: Mapping[str, str], settings: TextSettings, folder: Path
) -> None:
    counts: dict[str, dict[str, Any]] = {}
    for split, path in paths.items():
        count = count_text(path, settings.unit, settings.max_line_bytes)
        if count.tokens == count.lines:
            raise InputError(
                f"the {split} text {path} is empty: it holds no {settings.unit}; give it some text"
            )
        counts[split] = {"lines": count.lines, "tokens": count.tokens}
        if split == "train":
            vocabulary = Vocabulary.from_counts(
                count.occurrences, settings.max_vocab_size, settings.min_count
            )
            _check_vocabulary(vocabulary, path, settings)
    for split, path in paths.items():
        lines = _read_text(path, settings.max_line_bytes)
        ids = np.lib.format.open_memmap(
            folder / f"{split}.npy", mode="w+", dtype=np.int32, shape=(counts[split]["tokens"],)
        )
        counts[split]["unknown"] = _encode(lines, vocabulary, settings.unit, ids)
        ids.flush()
        if digest_of(path) != digests[split]:
            raise InputError(
                f"{path} was changed while it was being read; start again when it is finished"
            )
    words = json.dumps([vocabulary.words, vocabulary.counts])
    (folder / "vocabulary.json").write_text(words, encoding="utf-8")
    (folder / "counts.json").write_text(json.dumps(counts), encoding="utf-8")


def _check_vocabulary(vocabulary: Vocabulary, path: Path, settings: TextSettings) -> None:
    words = [word for word in vocabulary.words if word not in (EOS, UNK)]
    if len(words) < 2:
        limits = f"max_vocab_size={settings.max_vocab_size}, min_count={settings.min_count}"
        raise InputError(
            f"the vocabulary of {path} has {len(words)} {settings.unit}s besides {EOS} and {UNK}"
            f" ({limits}); at least 2 are needed: give more text or wider limits"
        )


def _encode(lines: Iterator[str], vocabulary: Vocabulary, unit: Unit, ids: Ids) -> int:
    """Fills `ids` with the lines' ids; returns how many of them are `<unk>`."""
    filled = unknown = 0
    chunk: list[int] = []
    for line in lines:
        chunk += vocabulary.encode(split_line(line, unit))
        chunk.append(vocabulary.eos_id)
        if len(chunk) >= _CHUNK:
            ids[filled : filled + len(chunk)] = chunk
            filled, unknown, chunk = (
                filled + len(chunk),
                unknown + chunk.count(vocabulary.unk_id),
                [],
            )
    ids[filled:] = chunk
    return unknown + chunk.count(vocabulary.unk_id)
