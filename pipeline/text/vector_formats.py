"""Reads files of word vectors: GloVe's text, fastText's `.vec`, word2vec's text and binary."""

import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

Row: TypeAlias = NDArray[np.float32]

_BLOCK = 1 << 20  # bytes that are read at a time
_SAMPLE = 1 << 18  # bytes that tell the format
_SAMPLE_LINES = 20
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_OTHERS = {
    b"PK\x03\x04": "a zip archive; unzip it and give the text file that is in it",
    b"\xba\x16\x4f\x2f": "a fastText model; give the .vec file that belongs to it",
}
# Five digits of size: a text that happens to start with two long numbers is no file of vectors.
_HEADER = re.compile(rb"(\d{1,12})[ \t]+(\d{1,5})\s*")
_DECIMALS = re.compile(rb"[-+]?(?:\d*\.\d{3,}|[\d.]+[eE][-+]\d+)")
_EXPECTED = "a word and its numbers on each line, one space between them"


class _Layout(NamedTuple):
    """How a file is written.

    Attributes:
        is_text: numbers are written out, not as bytes.
        size: numbers of a vector.
        num_vectors: as the header promises; None without a header.
        start: bytes before the first vector.
    """

    is_text: bool
    size: int
    num_vectors: int | None
    start: int


def read_vectors(path: Path, wanted: Collection[str], size: int | None = None) -> dict[str, Row]:
    r"""Reads the vectors of some words, in one pass and without holding any other.

    The format is told by the content, never by the name: gzip or not; with a header "count size" or
    without; text or, with a header, binary (float32, little-endian, "\n" after a vector or not).
    Without a header the size is that of most of the first lines. Words may hold spaces: the last
    `size` columns are numbers, the rest is the word. Words are compared as UTF-8 bytes, so one that
    is not UTF-8 belongs to no wanted word and does no harm. The first vector of a word wins.

    Each line of text is checked for its number of columns, and the file for as many vectors as the
    header promises. Numbers are parsed for wanted words only, so a broken number elsewhere is not
    seen. A line with too many columns is a word with spaces, unless a piece of that "word" is a
    number with three decimals or more, or with an exponent. Blank lines are skipped.

    Args:
        path: the file.
        wanted: the words, exactly as the file writes them.
        size: the size that is expected; None takes any.

    Returns:
        Word -> vector, float32 [size], for the wanted words that are there; it may not be finite.

    Raises:
        InputError: the file cannot be read, is none of these formats, is cut or has a broken line,
            or its vectors have another size.

    Source: `glove.c`, `word2vec.c` (https://code.google.com/archive/p/word2vec) and fastText's
        `saveVectors`, which write these formats.
    """
    keys = {word.encode(): word for word in wanted}
    try:
        with _open(path) as file:
            layout = _layout(file.read(_SAMPLE), path)
            if size not in (None, layout.size):
                raise InputError(
                    f"the vectors of {path} have {layout.size} numbers, and {size} are expected; "
                    f"give another file, or set the size to {layout.size}"
                )
            file.seek(layout.start)
            read = _read_text if layout.is_text else _read_binary
            found = read(file, path, layout, keys.keys())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is cut or damaged ({error}); get it again") from error
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}; a file of word vectors is expected"
        ) from error
    return {keys[key]: row for key, row in found.items()}


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        is_gzip = file.read(len(_GZIP)) == _GZIP
    if not is_gzip:
        return path.open("rb", buffering=_BLOCK)
    # A GzipFile cuts lines in Python, slowly; this buffer does it for it.
    return io.BufferedReader(cast(io.RawIOBase, gzip.open(path)), _BLOCK)


def _layout(sample: bytes, path: Path) -> _Layout:
    if not sample.strip():
        raise InputError(f"{path} is empty; word vectors are expected: {_EXPECTED}")
    for magic, kind in _OTHERS.items():
        if sample.startswith(magic):
            raise InputError(f"{path} is {kind}")
    body = sample.removeprefix(_BOM)
    first, _, rest = body.partition(b"\n")
    header = _HEADER.fullmatch(first)
    if header:
        count, size = int(header[1]), int(header[2])
        if not (count and size and rest):
            raise InputError(
                f"{path} promises {count} vectors of {size} numbers in line 1 and holds none; get "
                "it again"
            )
        start = len(sample) - len(rest)
        return _Layout(_usual_size(rest) > 0, size, count, start)
    size = _usual_size(body)
    if not size:
        raise InputError(
            f"{path} is no file of word vectors that can be read here; expected is text, "
            f"{_EXPECTED}, or the binary format of word2vec, whose first line is the number of "
            "vectors and their size"
        )
    return _Layout(True, size, None, len(sample) - len(body))


def _usual_size(sample: bytes) -> int:
    """Gives how many numbers most of the first lines end with: 0 if they are no text."""
    lines = [line.rstrip(b" \r") for line in sample.split(b"\n", _SAMPLE_LINES)]
    whole = lines[:-1] or lines  # the last one may be cut
    sizes = Counter(_numbers_at_end(line.split(b" ")[1:]) for line in whole if line)
    return sizes.most_common(1)[0][0] if sizes else 0


def _numbers_at_end(columns: Sequence[bytes]) -> int:
    for index, column in enumerate(reversed(columns)):
        try:
            float(column)
        except ValueError:
            return index
    return len(columns)


def _read_text(
    file: BinaryIO, path: Path, layout: _Layout, wanted: Collection[bytes]
) -> dict[bytes, Row]:
    size, count, found = layout.size, 0, {}
    # A word with spaces is found by its first piece; few lines are cut into columns then.
    heads = {word.partition(b" ")[0] for word in wanted}
    for number, line in enumerate(file, 1 if layout.num_vectors is None else 2):
        line = line.rstrip(b" \r\n")  # word2vec and fastText end a line with a space
        if line.count(b" ") != size:
            if not line:
                continue
            _check_columns(line, size, path, number)
        count += 1
        if line[: line.find(b" ")] in heads:
            word, *columns = line.rsplit(b" ", size)
            if word in wanted and word not in found:
                found[word] = _parse(columns, path, number)
    if layout.num_vectors not in (None, count):
        raise InputError(
            f"{path} promises {layout.num_vectors} vectors in line 1 and holds {count}; get it "
            "again, or correct its first line"
        )
    return found


def _check_columns(line: bytes, size: int, path: Path, number: int) -> None:
    word, *columns = line.rsplit(b" ", size)
    if len(columns) < size:
        raise InputError(
            f"line {number} of {path} is broken: it has {len(columns)} numbers, {size} are "
            "expected; correct or remove the line, or get the file again"
        )
    if any(_DECIMALS.fullmatch(piece) for piece in word.split(b" ")[1:]):
        raise InputError(
            f"line {number} of {path} is broken: it has more than {size} numbers; correct or "
            "remove the line, or get the file again"
        )


def _parse(columns: Sequence[bytes], path: Path, number: int) -> Row:
    try:
        with np.errstate(over="ignore"):  # becomes infinite, which the caller refuses
            return np.array(columns, dtype=np.float32)
    except ValueError:
        wrong = next(column for column in columns if not _numbers_at_end([column]))
        raise InputError(
            f"line {number} of {path} is broken: {wrong.decode(errors='replace')!r} is no number, "
            f"and the last {len(columns)} columns are expected to be; correct or remove the line, "
            "or get the file again"
        ) from None


def _read_binary(
    file: BinaryIO, path: Path, layout: _Layout, wanted: Collection[bytes]
) -> dict[bytes, Row]:
    assert layout.num_vectors is not None  # binary files have a header
    width, found, block, place = 4 * layout.size, {}, b"", 0
    for number in range(layout.num_vectors):
        space = block.find(b" ", place)
        if space < 0 or space + width >= len(block):
            block, place = block[place:] + file.read(_BLOCK + width), 0
            space = block.find(b" ")
            if space < 0 or space + width >= len(block):
                raise InputError(
                    f"{path} is cut: line 1 promises {layout.num_vectors} vectors of {layout.size} "
                    f"numbers in binary, and it ends within number {number + 1}; get it again"
                )
        word = block[place:space].lstrip(b"\n")
        place = space + 1 + width
        if word in wanted and word not in found:
            # A copy, so that the block is freed.
            found[word] = np.frombuffer(block[space + 1 : place], "<f4").astype(np.float32)
    if (block[place:] + file.read(_BLOCK)).strip():
        raise InputError(
            f"{path} goes on after the {layout.num_vectors} vectors of {layout.size} numbers that "
            "line 1 promises in binary (float32 is expected); get it again, or correct its first "
            "line"
        )
    return found
