"""Finds the vectors of single words in a file of word vectors without reading all of it again."""

import hashlib
import json
import mmap
import re
import shutil
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pipeline.cache import cached, load_array, sha256_of
from pipeline.console import print_note
from pipeline.errors import InputError
from pipeline.text.compressed import is_compressed
from pipeline.text.lexicon import VectorFile
from pipeline.text.vector_formats import (
    Layout,
    Row,
    open_vectors,
    parse_numbers,
    read_layout,
)
from pipeline.text.vectors import check_finite, spellings

_FORMAT = 2  # increase it when the cached files change
_SAY = 1 << 26  # bytes from which on indexing takes seconds


class VectorIndex:
    r"""A file of word vectors, in which single words are found by an index.

    The index, a hash and a position for each word, is built once and kept in the cache; a file
    that is compressed is unpacked there. Vectors are read from the file, or its unpacked copy.

    Args:
        path: File in one of the formats of `read_vectors`.
        expected: SHA-256 that the file must have, in hexadecimal; nothing is read of another one.

    Attributes:
        file: Path, size and digest.

    Raises:
        InputError: If the file cannot be read, has an unknown format or is another one.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "vectors.txt")
        ...     _ = path.write_text("the 0.5 0.25\nof 1.5 2.5\n")
        ...     VectorIndex(path).find(["The", "cat"])
        {'The': array([0.5 , 0.25], dtype=float32)}
    """

    def __init__(self, path: Path, expected: str | None = None) -> None:
        if not path.is_file():
            raise InputError(f"{path} is no file; expected a file of word vectors")
        try:
            status = path.stat()
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error
        key = json.dumps([_FORMAT, str(path.resolve()), status.st_size, status.st_mtime_ns])
        self._path = path
        digest = cached(
            f"index-{hashlib.sha256(key.encode()).hexdigest()[:32]}",
            lambda new: _build(path, status.st_size, new, expected),
            self._read,
        )
        _check_digest(path, digest, expected)
        self.file = VectorFile(str(path.resolve()), status.st_size, digest)

    def _read(self, folder: Path) -> str:
        """Reads a folder of the cache, and returns the digest of the file of vectors.

        Raises a `ValueError` if its files do not fit one another.
        """
        about = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        plain = folder / "vectors" if (folder / "vectors").is_file() else self._path
        with plain.open("rb") as file:
            self._layout = read_layout(file, plain)
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._hashes = load_array(folder / "hashes.npy", np.uint64, (None,))
        self._places = load_array(folder / "places.npy", np.int64, self._hashes.shape)
        is_sorted = bool((self._hashes[:-1] <= self._hashes[1:]).all())
        if not is_sorted or not ((self._places >= 0) & (self._places < len(self._bytes))).all():
            raise ValueError("a place is not in the file")
        digest: str = about["sha256"]
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise ValueError("the digest is none")
        return digest

    def find(self, words: Iterable[str]) -> dict[str, Row]:
        """Returns the vector, float32 [size], of each word that has one.

        A word gets the vector of the first of its `spellings` that the file has, as in
        `load_vectors`. Raises `InputError` if the numbers of a vector are damaged or not finite.
        """
        tried = [(word, spelling.encode()) for word in words for _, spelling in spellings(word)]
        hashes = np.array([_hash(spelling) for _, spelling in tried], dtype=np.uint64)
        starts = np.searchsorted(self._hashes, hashes, side="left")
        ends = np.searchsorted(self._hashes, hashes, side="right")
        found: dict[str, Row] = {}
        for number in np.flatnonzero(starts < ends).tolist():
            word, spelling = tried[number]
            if word in found:
                continue
            for place in self._places[starts[number] : ends[number]].tolist():
                if (row := self._row(place, spelling)) is not None:
                    check_finite(row, word, self._path)
                    found[word] = row
                    break
        return found

    def _row(self, place: int, word: bytes) -> Row | None:
        """Reads the vector at a place; None if it is of another word with the same hash."""
        size = self._layout.size
        if not self._layout.is_text:
            start = place + len(word) + 1
            if self._bytes[place:start] != word + b" ":
                return None
            return np.frombuffer(self._bytes[start : start + 4 * size], "<f4").astype(np.float32)
        end = self._bytes.find(b"\n", place)
        line = self._bytes[place : len(self._bytes) if end < 0 else end].rstrip(b" \r")
        written, *columns = line.rsplit(b" ", size)
        if written != word:
            return None
        return parse_numbers(columns, f"the line of {word.decode()!r} in {self._path}")


def _hash(word: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(word, digest_size=8).digest(), "little")


def _build(path: Path, num_bytes: int, folder: Path, expected: str | None) -> None:
    digest = sha256_of(path)
    _check_digest(path, digest, expected)
    if num_bytes >= _SAY:
        print_note(f"indexing {path} once, to look up words")
    plain = path
    if is_compressed(path):
        plain = folder / "vectors"
        with open_vectors(path) as packed, plain.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, 1 << 20)
    hashes, places = array("Q"), array("q")
    with plain.open("rb") as file:
        layout = read_layout(file, path)
        file.seek(layout.start)
        for word, place in (_text_words if layout.is_text else _binary_words)(file, layout):
            hashes.append(_hash(word))
            places.append(place)
    keys = np.frombuffer(hashes, dtype=np.uint64)
    order = np.argsort(keys, kind="stable")  # of equal words the first one counts
    np.save(folder / "hashes.npy", keys[order])
    np.save(folder / "places.npy", np.frombuffer(places, dtype=np.int64)[order])
    about = {"sha256": digest}
    (folder / "index.json").write_text(json.dumps(about), encoding="utf-8")


def _check_digest(path: Path, digest: str, expected: str | None) -> None:
    if expected not in (None, digest):
        raise InputError(
            f"{path} is not the file of word vectors of the training (its SHA-256 is "
            f"{digest[:12]}..., that of the training {expected:.12}...); give the original file "
            "with --vectors"
        )


def _text_words(file: BinaryIO, layout: Layout) -> Iterator[tuple[bytes, int]]:
    place = layout.start
    for line in file:
        if kept := line.rstrip(b" \r\n"):
            yield kept.rsplit(b" ", layout.size)[0], place
        place += len(line)


def _binary_words(file: BinaryIO, layout: Layout) -> Iterator[tuple[bytes, int]]:
    width = 4 * layout.size
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place = layout.start
        while (space := content.find(b" ", place)) >= 0 and space + width < len(content):
            start = place
            while content[start : start + 1] == b"\n":
                start += 1
            yield content[start:space], start
            place = space + 1 + width
