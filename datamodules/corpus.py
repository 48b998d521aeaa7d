"""Reads a folder of train, valid and test text into ids, in bounded memory and once for all."""

import codecs
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from datamodules.cache import cached, sha256_of
from pipeline.errors import InputError
from pipeline.text.units import Unit, tokenise
from pipeline.text.vocabulary import EOS, UNK, Vocabulary

Ids: TypeAlias = npt.NDArray[np.int32]

MAX_LINE_BYTES = 1_000_000
_SETTING = "--data.max_line_bytes"
_FORMAT = 3  # raised when the cached files change, or the rules by which text becomes ids
_LARGE = 50_000_000  # bytes of text from which on reading shows a progress bar
_CHUNK = 1 << 16  # ids that are held as Python integers at a time


class Settings(NamedTuple):
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
        path: the text file.
        sha256: of the text file's bytes.
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


class Corpus(NamedTuple):
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


def open_corpus(paths: Mapping[str, Path], settings: Settings) -> Corpus:
    """Gives a corpus as ids, from the cache where the same text was read with the same settings.

    The text is read twice from beginning to end, to count and to write ids, so the memory needed is
    that of the vocabulary and not of the text.

    Args:
        paths: the text files of train, valid and test.
        settings: how text becomes ids.

    Returns:
        The corpus.

    Raises:
        InputError: a file cannot be read, is not UTF-8, holds no words or too long a line; the
            training text has fewer than two distinct words; or the settings are out of range.
    """
    _check(settings)
    digests = {split: sha256_of(path) for split, path in paths.items()}
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
    return Corpus(
        vocabulary,
        {split: np.load(folder / f"{split}.npy", mmap_mode="r") for split in paths},
        statistics,
    )


def read_lines(
    path: Path,
    max_line_bytes: int = MAX_LINE_BYTES,
    encoding: str = "utf-8",
    setting: str | None = None,
    flag: str | None = None,
) -> Iterator[str]:
    r"""Reads a text line by line.

    Only "\n" ends a line, so U+0085, U+2028 and their like stay inside.

    Args:
        path: the text.
        max_line_bytes: the length from which on a line is refused.
        encoding: of the text, one in which ASCII is ASCII.
        setting: what a person can raise where a line is too long.
        flag: what names the encoding, where a person can.

    Yields:
        The lines, line ends included.

    Raises:
        InputError: the file is not in that encoding, or a line is too long.
    """
    _refuse_wide(path, encoding)
    size = path.stat().st_size
    hidden = None if size >= _LARGE else True  # None: shown where stderr is a terminal
    with (
        path.open("rb") as file,
        tqdm(
            total=size, desc=path.name, unit="B", unit_scale=True, leave=False, disable=hidden
        ) as bar,
    ):
        number = offset = 0
        while line := file.readline(max_line_bytes):
            number += 1
            if len(line) == max_line_bytes and not line.endswith(b"\n"):
                raise InputError(
                    f"line {number} of {path} is {max_line_bytes:,} bytes or longer; text with a"
                    " sentence or a paragraph a line is expected: break the line"
                    + (f", or raise {setting}" if setting else "")
                )
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)  # an editor's mark, not a word
            yield _decode(line, path, (number, offset), encoding, flag)
            offset += len(line)
            bar.update(len(line))


def _refuse_wide(path: Path, encoding: str) -> None:
    """Refuses encodings in which a line end is no single byte, declared or not."""
    with path.open("rb") as file:
        mark = file.read(2)
    if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or re.match(
        r"utf[-_]?(16|32)", encoding, re.IGNORECASE
    ):
        raise InputError(
            f"{path} is UTF-16 (or was said to be); text with a byte for each ASCII character is "
            "expected: convert the file, for example with `iconv -f UTF-16 -t UTF-8`"
        )


def _decode(
    line: bytes, path: Path, place: tuple[int, int], encoding: str, flag: str | None
) -> str:
    try:
        return line.decode(encoding)
    except LookupError as error:
        raise InputError(
            f"the encoding {encoding} is not known here; utf-8, cp1252 or latin-1, say, is expected"
        ) from error
    except UnicodeDecodeError as error:
        number, offset = place
        name = "UTF-8" if encoding == "utf-8" else encoding
        raise InputError(
            f"{path} is not {name}: byte {offset + error.start} (in line {number}) is"
            f" 0x{line[error.start]:02x}; "
            + (f"name its encoding, as {flag}=cp1252, or " if flag else "")
            + "convert the file, for example with `iconv -f WINDOWS-1252 -t UTF-8`"
        ) from error


def count_text(path: Path, unit: Unit = "word", max_line_bytes: int = MAX_LINE_BYTES) -> TextCount:
    """Counts the tokens of a text, one `<eos>` a line included.

    Raises:
        InputError: as `read_lines`.
    """
    occurrences: Counter[str] = Counter()
    lines = 0
    for line in read_lines(path, max_line_bytes, setting=_SETTING):
        tokens = tokenise(line, unit)
        tokens.append(EOS)
        occurrences.update(tokens)
        lines += 1
    return TextCount(occurrences, lines, occurrences.total())


def _check(settings: Settings) -> None:
    for name, least in (("max_vocab_size", 2), ("min_count", 1), ("max_line_bytes", 1)):
        value = getattr(settings, name)
        if value is not None and value < least:
            raise InputError(f"{name} is {value}; {least} or more is expected")


def _build(
    paths: Mapping[str, Path], digests: Mapping[str, str], settings: Settings, folder: Path
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
        lines = read_lines(path, settings.max_line_bytes, setting=_SETTING)
        ids = np.lib.format.open_memmap(
            folder / f"{split}.npy", mode="w+", dtype=np.int32, shape=(counts[split]["tokens"],)
        )
        counts[split]["unknown"] = _encode(lines, vocabulary, settings.unit, ids)
        ids.flush()
        if sha256_of(path) != digests[split]:
            raise InputError(
                f"{path} was changed while it was being read; start again when it is finished"
            )
    words = json.dumps([vocabulary.words, vocabulary.counts])
    (folder / "vocabulary.json").write_text(words, encoding="utf-8")
    (folder / "counts.json").write_text(json.dumps(counts), encoding="utf-8")


def _check_vocabulary(vocabulary: Vocabulary, path: Path, settings: Settings) -> None:
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
        chunk += vocabulary.encode(tokenise(line, unit))
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
