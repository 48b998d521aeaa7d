"""Reads files of word vectors: GloVe text, fastText `.vec`, word2vec text and binary."""

import errno
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError, shortened
from pipeline.text.compressed import decompressed, is_damage

Row: TypeAlias = NDArray[np.float32]

_BLOCK = 1 << 20  # bytes to read at a time
_SAMPLE = 1 << 18  # bytes from which the format is detected
_SAMPLE_LINES = 20
_BOM = b"\xef\xbb\xbf"
_OTHERS = {
    b"PK\x03\x04": "a zip archive; unzip it and use the text file in it",
    b"\xba\x16\x4f\x2f": "a fastText model; use its .vec file",
}
# At most five digits of size, so that a text that starts with two long numbers does not match.
_HEADER = re.compile(rb"(\d{1,12})[ \t]+(\d{1,5})\s*")
_DECIMALS = re.compile(rb"[-+]?(?:\d*\.\d{3,}|[\d.]+[eE][-+]\d+)")
_EXPECTED = "a word and its numbers on each line, separated by one space"


class Layout(NamedTuple):
    """The format of a file."""

    is_text: bool  # whether numbers are text instead of binary
    size: int  # vector size
    num_vectors: int | None  # number of vectors in the header; None without a header
    start: int  # offset of the first vector in bytes


def read_vectors(path: Path, wanted: Collection[str], size: int | None = None) -> dict[str, Row]:
    r"""Reads the vectors of some words in one pass, without keeping the others in memory.

    Returns float32 vectors [size] by word, for the words in the file. Values may not be finite.
    Raises an `InputError` if the file cannot be read, has an unknown format, is truncated or has a
    damaged line, or its vectors do not have the expected `size`.

    The format is detected from the content, not the name. The file may be compressed with gzip,
    bzip2 or xz, and may have a header "count size". The numbers are text or, with a header, binary
    (float32, little-endian, with or without "\n" after a vector). Without a header, the size is the
    most frequent one in the first lines. Words may contain spaces: the last `size` columns are
    numbers, the rest is the word. Words are compared as UTF-8 bytes; words in other encodings are
    ignored. If a word occurs twice, its first vector is used.

    In text files, the number of columns of each line is checked, and the number of vectors if there
    is a header. Only the numbers of wanted words are parsed, so that invalid numbers of other words
    are not detected. A line with too many columns is a word with spaces, unless a part of this
    "word" is a number with at least three decimals or with an exponent. Blank lines are skipped.

    Source: `glove.c`, `word2vec.c` (https://code.google.com/archive/p/word2vec) and fastText's
        `saveVectors`, which write these formats.
    """
    keys = {word.encode(): word for word in wanted}
    with open_vectors(path) as file:
        layout = read_layout(file, path)
        if size not in (None, layout.size):
            raise InputError(
                f"the vectors of {path} have {layout.size} numbers, expected {size}; use "
                f"another file, or set the size to {layout.size}"
            )
        file.seek(layout.start)
        read = _read_text if layout.is_text else _read_binary
        found = read(file, path, layout, keys.keys())
    return {keys[key]: row for key, row in found.items()}


@contextmanager
def open_vectors(path: Path) -> Iterator[BinaryIO]:
    """Opens a file of vectors, which may be compressed with gzip, bzip2 or xz.

    Errors of reading are raised as `InputError`, but not those of a full disk that is written to.
    """
    try:
        with (
            io.BufferedReader(path.open("rb", buffering=0), _BLOCK) as file,
            decompressed(file) as plain,
        ):
            yield plain
    except Exception as error:
        if is_damage(error):
            raise InputError(f"{path} is damaged ({error}); download it again") from error
        if isinstance(error, OSError) and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"cannot read {path}: {error.strerror}; expected a file of word vectors"
            ) from error
        raise


def read_layout(file: BinaryIO, path: Path) -> Layout:
    """Detects the format from the first bytes; raises `InputError` if it is unknown."""
    sample = file.read(_SAMPLE)
    if not sample.strip():
        raise InputError(f"{path} is empty; expected word vectors: {_EXPECTED}")
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
                f"{path} declares {count} vectors of {size} numbers in line 1 but has none; "
                "download it again"
            )
        start = len(sample) - len(rest)
        return Layout(_usual_size(rest) > 0, size, count, start)
    size = _usual_size(body)
    if not size:
        raise InputError(
            f"{path} has no known format of word vectors; expected text with {_EXPECTED}, or the "
            "binary format of word2vec, whose first line is the number of vectors and their size"
        )
    return Layout(True, size, None, len(sample) - len(body))


def _usual_size(sample: bytes) -> int:
    """Returns the most frequent number of numbers at the end of the first lines; 0 if binary."""
    lines = [line.rstrip(b" \r") for line in sample.split(b"\n", _SAMPLE_LINES)]
    whole = lines[:-1] or lines  # the last line may be incomplete
    sizes = Counter(_numbers_at_end(line.split(b" ")[1:]) for line in whole if line)
    return sizes.most_common(1)[0][0] if sizes else 0


def _numbers_at_end(columns: Sequence[bytes]) -> int:
    for index, column in enumerate(reversed(columns)):
        try:
            float(column)
        except ValueError:
            return index
        if b"_" in column:  # a number in Python only
            return index
    return len(columns)


def _read_text(
    file: BinaryIO, path: Path, layout: Layout, wanted: Collection[bytes]
) -> dict[bytes, Row]:
    size, count, found = layout.size, 0, {}
    # Compares the first part of words first, so that few lines are split into columns.
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
                found[word] = parse_numbers(columns, f"line {number} of {path}")
    if layout.num_vectors not in (None, count):
        raise InputError(
            f"{path} declares {layout.num_vectors} vectors in line 1 but has {count}; download it "
            "again, or correct its first line"
        )
    return found


def _check_columns(line: bytes, size: int, path: Path, number: int) -> None:
    word, *columns = line.rsplit(b" ", size)
    if len(columns) < size:
        raise InputError(
            f"line {number} of {path} is damaged: it has {len(columns)} numbers, expected {size}; "
            "correct or remove the line, or download the file again"
        )
    if any(_DECIMALS.fullmatch(piece) for piece in word.split(b" ")[1:]):
        raise InputError(
            f"line {number} of {path} is damaged: it has more than {size} numbers; correct or "
            "remove the line, or download the file again"
        )


def parse_numbers(columns: Sequence[bytes], where: str) -> Row:
    """Converts the numbers of a vector; raises `InputError`, with the place, if one is none."""
    try:
        with np.errstate(over="ignore"):  # becomes infinite, which the caller rejects
            row = np.array(columns, dtype=np.float32)
        if any(b"_" in column for column in columns):  # a number in Python only
            raise ValueError
        return row
    except ValueError:
        wrong = next(column for column in columns if not _numbers_at_end([column]))
        text = shortened(wrong.decode(errors="replace"))
        raise InputError(
            f"{where} is damaged: {text!r} is not a number, but the last {len(columns)} columns "
            "must be; correct or remove the line, or download the file again"
        ) from None


def _read_binary(
    file: BinaryIO, path: Path, layout: Layout, wanted: Collection[bytes]
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
                    f"{path} is truncated: line 1 declares {layout.num_vectors} binary vectors of "
                    f"{layout.size} numbers, but the file ends within vector {number + 1}; "
                    "download it again"
                )
        word = block[place:space].lstrip(b"\n")
        place = space + 1 + width
        if word in wanted and word not in found:
            # A copy, so that the block can be freed.
            found[word] = np.frombuffer(block[space + 1 : place], "<f4").astype(np.float32)
    if (block[place:] + file.read(_BLOCK)).strip():
        raise InputError(
            f"{path} has more data than the {layout.num_vectors} binary float32 vectors of "
            f"{layout.size} numbers that line 1 declares; download it again, or correct its first "
            "line"
        )
    return found
