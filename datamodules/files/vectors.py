"""Pretrained word vectors for a corpus: found, read once, kept in the cache."""

import difflib
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.files.cache import cached
from datamodules.files.paths import corpus_folder
from pipeline.errors import InputError
from pipeline.text.lexicon import Vectors
from pipeline.text.vectors import MATCHES, Match, load_vectors

_FORMAT = 1  # raised when the cached files change, or the rules by which a word finds its vector
_SAID = {
    "exact": "as written",
    "lower": "in lower case",
    "escape": "unescaped",
    "digits": "with # for digits",
}


class Coverage(NamedTuple):
    """How much of a corpus has vectors.

    Attributes:
        words: distinct words, those that only validation and test have included.
        matched: how a vector was found -> words, the closest first.
        tokens: tokens of the training text.
        covered_tokens: those whose word has a vector.
    """

    words: int
    matched: Mapping[Match, int]
    tokens: int
    covered_tokens: int

    @property
    def covered_words(self) -> int:
        """Distinct words that have a vector."""
        return sum(self.matched.values())

    def __str__(self) -> str:
        how = ", ".join(f"{count:,} {_SAID[match]}" for match, count in self.matched.items())
        return (
            f"{self.covered_words:,} of {self.words:,} words "
            f"({self.covered_words / self.words:.1%}: {how}), "
            f"{self.covered_tokens / max(self.tokens, 1):.1%} of the training tokens"
        )


class CorpusVectors(NamedTuple):
    """The vectors of a corpus' words, and how many words have one."""

    vectors: Vectors
    coverage: Coverage


def corpus_vectors(name: str, counts: Mapping[str, int]) -> CorpusVectors:
    """Gives the vectors of a corpus' words, from the cache where they were read before.

    What is cached belongs to a file by its path, size and time of change, since the files are too
    large to be hashed at each start, and to a list of words.

    Args:
        name: a file in `$UNROLL_DATA/vectors` (`data/vectors` where that is unset), or a path.
        counts: word -> occurrences in the training text; 0 for words of other splits.

    Returns:
        The vectors, in the order of `counts` and mapped from disk, and the coverage.

    Raises:
        InputError: there is no such file, or as `load_vectors`.
    """
    path = locate_vectors(name)
    status, words = path.stat(), list(counts)
    key = json.dumps([_FORMAT, str(path.resolve()), status.st_size, status.st_mtime_ns, words])
    folder = cached(
        f"vectors-{hashlib.sha256(key.encode()).hexdigest()[:32]}",
        lambda new: _build(path, words, new),
    )
    found = json.loads((folder / "words.json").read_text(encoding="utf-8"))
    values = np.load(folder / "values.npy", mmap_mode="r")
    vectors = Vectors(path.name, tuple(found["words"]), values)
    return CorpusVectors(vectors, _coverage(counts, found["words"], found["matches"]))


def locate_vectors(name: str) -> Path:
    """Finds a file of vectors.

    Args:
        name: a file in `$UNROLL_DATA/vectors`, or `data/vectors` where that is unset; or a path.

    Returns:
        The file.

    Raises:
        InputError: there is no such file.
    """
    folder = corpus_folder("vectors")
    for path in (folder / name, Path(name)):
        if path.is_file():
            return path
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    nearest = difflib.get_close_matches(name, there, n=1)
    guess = f"did you mean {nearest[0]}? " if nearest else ""
    raise InputError(
        f"no vectors {name!r}: neither {folder / name} nor {Path(name)} is a file; {guess}that "
        f"folder holds {', '.join(there) or 'none'} (UNROLL_DATA names another folder of data)"
    )


def _build(path: Path, words: list[str], folder: Path) -> None:
    vectors, matches = load_vectors(path, words)
    np.save(folder / "values.npy", vectors.values)
    found = {"words": vectors.words, "matches": matches}
    (folder / "words.json").write_text(json.dumps(found), encoding="utf-8")


def _coverage(counts: Mapping[str, int], words: list[str], matches: list[Match]) -> Coverage:
    number = Counter(matches)
    return Coverage(
        words=len(counts),
        matched={match: number[match] for match in MATCHES if number[match]},
        tokens=sum(counts.values()),
        covered_tokens=sum(counts[word] for word in words),
    )
