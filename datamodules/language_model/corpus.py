"""Reading train, valid and test text as ids, in bounded memory and cached."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from datamodules.files.lines import MAX_LINE_BYTES, read_lines
from datamodules.files.shards import digest_of, shards, with_progress
from pipeline.cache import cached, load_array
from pipeline.errors import InputError
from pipeline.text.units import Unit, is_marked, split_line
from pipeline.text.vocabulary import EOS, UNK, Vocabulary

Ids: TypeAlias = npt.NDArray[np.int32]

_SETTING = "--data.max_line_bytes"
_FORMAT = 4  # increase it when the cached files or the tokenization change
_CHUNK = 1 << 16  # maximum number of ids held as Python integers


class TextSettings(NamedTuple):
    """Settings of the conversion of text to ids."""

    unit: Unit = "word"
    max_vocab_size: int | None = None  # including `<eos>` and `<unk>`; unlimited if None
    min_count: int = 1  # in the training text; rarer words become `<unk>`
    max_line_bytes: int = MAX_LINE_BYTES  # so that a file without line ends is not read into RAM


class SplitStatistics(NamedTuple):
    """Statistics of a split."""

    split: str  # "train", "valid" or "test"
    path: Path  # the text file, or the glob pattern of several
    sha256: str  # of the file; of several files, of the lines of their hashes
    lines: int  # including blank ones
    tokens: int  # including one `<eos>` per line
    unknown: int  # `<unk>` in the text or because of the vocabulary
    marked: int = 0  # lines around which `<s>` or `</s>` was left out
    with_returns: int = 0  # lines with a carriage return inside, which is read as a space

    @property
    def profile(self) -> dict[str, int]:
        """The counts, by name."""
        return {"lines": self.lines, "tokens": self.tokens, "unknown": self.unknown}


class TextCorpus(NamedTuple):
    """A corpus as ids."""

    vocabulary: Vocabulary
    ids: dict[str, Ids]  # split -> ids [tokens], int32, memory-mapped
    statistics: dict[str, SplitStatistics]


class TextCount(NamedTuple):
    """Counts of a text."""

    occurrences: Counter[str]  # in order of first occurrence
    lines: int  # including blank ones
    tokens: int  # including one `<eos>` per line
    marked: int  # lines around which `<s>` or `</s>` was left out
    with_returns: int  # lines with a carriage return inside


def open_corpus(paths: Mapping[str, Path], settings: TextSettings) -> TextCorpus:
    """Reads a corpus as ids, from the cache if the same text was read with the same settings.

    The text is read twice, first to count words and then to write ids, so the RAM needed depends on
    the size of the vocabulary and not on that of the text. A glob pattern is the concatenation of
    its files, sorted by path.

    Raises `InputError` if a file cannot be read, is not UTF-8, contains no words, too long a line,
    a NUL character or `<s>` inside of a line, if the training text has fewer than two distinct
    words, or a setting is out of range.
    """
    _check(settings)
    digests = {split: digest_of(path) for split, path in paths.items()}
    key = json.dumps([_FORMAT, settings, digests])
    return cached(
        f"corpus-{hashlib.sha256(key.encode()).hexdigest()[:32]}",
        lambda new: _build(paths, digests, settings, new),
        lambda folder: _read(folder, paths, digests),
    )


def _read(folder: Path, paths: Mapping[str, Path], digests: Mapping[str, str]) -> TextCorpus:
    """Reads a folder of the cache; raises a `ValueError` if its files do not fit one another."""
    words, occurrences = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
    counts = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
    statistics, ids = {}, {}
    for split, path in paths.items():
        found = statistics[split] = SplitStatistics(split, path, digests[split], **counts[split])
        if not all(type(count) is int and count >= 0 for count in found.profile.values()):
            raise ValueError("a count is no number")
        ids[split] = load_array(folder / f"{split}.npy", np.int32, (found.tokens,))
        if not 0 <= ids[split].min() <= ids[split].max() < len(words):
            raise ValueError("an id is not in the vocabulary")
    return TextCorpus(Vocabulary(words, occurrences), ids, statistics)


def read_other(path: Path, vocabulary: Vocabulary, settings: TextSettings) -> TextCorpus:
    """Reads another text with a given vocabulary, as the only split, "test".

    Raises `InputError` as `open_corpus`.
    """
    chunks, num_lines, num_ends = [np.empty(0, np.int32)], 0, 0
    marked = with_returns = 0
    for line, tokens in _read_tokens(path, settings.unit, settings.max_line_bytes):
        num_lines, num_ends = num_lines + 1, num_ends + (not tokens)
        chunks.append(np.array([*vocabulary.encode(tokens), vocabulary.eos_id], np.int32))
        marked, with_returns = marked + is_marked(line), with_returns + _has_returns(line)
        if len(chunks) > _CHUNK:
            chunks = [np.concatenate(chunks)]
    ids = np.concatenate(chunks)
    if num_ends == num_lines:
        raise InputError(f"the text {path} is empty: expected at least one {settings.unit}")
    unknown = int((ids == vocabulary.unk_id).sum())
    counts = (num_lines, len(ids), unknown, marked, with_returns)
    statistics = SplitStatistics("test", path, digest_of(path), *counts)
    return TextCorpus(vocabulary, {"test": ids}, {"test": statistics})


def count_text(path: Path, unit: Unit = "word", max_line_bytes: int = MAX_LINE_BYTES) -> TextCount:
    """Counts the tokens of a file or of the files of a glob pattern, with one `<eos>` per line.

    Raises `InputError` as `read_lines`, or if a line cannot be split.
    """
    occurrences: Counter[str] = Counter()
    lines = marked = with_returns = 0
    for line, tokens in _read_tokens(path, unit, max_line_bytes):
        tokens.append(EOS)
        occurrences.update(tokens)
        lines += 1
        marked += is_marked(line)
        with_returns += _has_returns(line)
    return TextCount(occurrences, lines, occurrences.total(), marked, with_returns)


def _read_tokens(path: Path, unit: Unit, max_line_bytes: int) -> Iterator[tuple[str, list[str]]]:
    """Yields the lines of the files of a text, and their tokens without `<eos>`."""
    for file in with_progress(shards(path)):
        for number, line in enumerate(read_lines(file, max_line_bytes, setting=_SETTING), 1):
            try:
                yield line, split_line(line, unit)
            except ValueError as error:
                raise InputError(f"line {number} of {file} {error}") from error


def _has_returns(line: str) -> bool:
    return "\r" in line.rstrip("\r\n")


def _check(settings: TextSettings) -> None:
    for name, least in (("max_vocab_size", 2), ("min_count", 1), ("max_line_bytes", 1)):
        value = getattr(settings, name)
        if value is not None and value < least:
            raise InputError(f"{name} must be at least {least}, got {value}")


def _build(
    paths: Mapping[str, Path], digests: Mapping[str, str], settings: TextSettings, folder: Path
) -> None:
    counts: dict[str, dict[str, Any]] = {}
    for split, path in paths.items():
        count = count_text(path, settings.unit, settings.max_line_bytes)
        if count.tokens == count.lines:
            raise InputError(
                f"the {split} text {path} is empty: expected at least one {settings.unit}"
            )
        names = ("lines", "tokens", "marked", "with_returns")
        counts[split] = {name: getattr(count, name) for name in names}
        if split == "train":
            vocabulary = Vocabulary.from_counts(
                count.occurrences, settings.max_vocab_size, settings.min_count
            )
            _check_vocabulary(vocabulary, path, settings)
    for split, path in paths.items():
        lines = _read_tokens(path, settings.unit, settings.max_line_bytes)
        ids = np.lib.format.open_memmap(
            folder / f"{split}.npy", mode="w+", dtype=np.int32, shape=(counts[split]["tokens"],)
        )
        counts[split]["unknown"] = _encode(lines, vocabulary, ids)
        ids.flush()
        if digest_of(path) != digests[split]:
            raise InputError(f"{path} changed while it was read; start again when it is complete")
    words = json.dumps([vocabulary.words, vocabulary.counts])
    (folder / "vocabulary.json").write_text(words, encoding="utf-8")
    (folder / "counts.json").write_text(json.dumps(counts), encoding="utf-8")


def _check_vocabulary(vocabulary: Vocabulary, path: Path, settings: TextSettings) -> None:
    words = [word for word in vocabulary.words if word not in (EOS, UNK)]
    if len(words) < 2:
        limits = f"max_vocab_size={settings.max_vocab_size}, min_count={settings.min_count}"
        raise InputError(
            f"the vocabulary of {path} has {len(words)} {settings.unit}s besides {EOS} and {UNK}"
            f" ({limits}); at least 2 are needed: add text or relax the limits"
        )


def _encode(lines: Iterator[tuple[str, list[str]]], vocabulary: Vocabulary, ids: Ids) -> int:
    """Writes the ids of the lines into `ids`; returns the number of `<unk>`."""
    filled = unknown = 0
    chunk: list[int] = []
    for _, tokens in lines:
        chunk += vocabulary.encode(tokens)
        chunk.append(vocabulary.eos_id)
        if len(chunk) >= _CHUNK:
            ids[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
            unknown += chunk.count(vocabulary.unk_id)
            chunk = []
    ids[filled:] = chunk
    return unknown + chunk.count(vocabulary.unk_id)
