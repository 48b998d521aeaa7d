"""Pretrained word vectors of a corpus, read once and cached."""

import difflib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.files.paths import corpus_folder
from pipeline.cache import cached, load_array, sha256_of
from pipeline.errors import InputError
from pipeline.text.lexicon import VectorFile, Vectors
from pipeline.text.vectors import MATCHES, Match, load_vectors

_FORMAT = 2  # increase it when the cached files or the matching rules change
_RULES = {"exact": "exact", "lower": "lowercased", "escape": "unescaped", "digits": "digits as #"}


class Coverage(NamedTuple):
    """The part of a corpus that has vectors."""

    words: int  # number of distinct words of all splits
    matched: Mapping[Match, int]  # number of words whose vector the rule found
    tokens: int  # number of tokens of the training text
    covered_tokens: int  # number of these tokens whose word has a vector

    @property
    def covered_words(self) -> int:
        """Number of distinct words that have a vector."""
        return sum(self.matched.values())

    def __str__(self) -> str:
        how = ", ".join(f"{count:,} {_RULES[match]}" for match, count in self.matched.items())
        return (
            f"{self.covered_words:,} of {self.words:,} words "
            f"({self.covered_words / self.words:.1%}: {how}), "
            f"{self.covered_tokens / max(self.tokens, 1):.1%} of the training tokens"
        )


class CorpusVectors(NamedTuple):
    """The vectors of the words of a corpus, and their coverage."""

    vectors: Vectors
    coverage: Coverage


def corpus_vectors(name: str, counts: Mapping[str, int]) -> CorpusVectors:
    """Returns the vectors of the words of a corpus, from the cache if possible.

    `counts` contains the number of occurrences of each word in the training text, 0 for words of
    other splits. The vectors are memory-mapped and in the order of `counts`. The key of the cache
    consists of the words and of the path, size and modification time of the file, because vector
    files are too large to hash at every start. Raises `InputError` as `locate_vectors` and
    `load_vectors`.
    """
    path = locate_vectors(name)
    status, words = path.stat(), list(counts)
    key = json.dumps([_FORMAT, str(path.resolve()), status.st_size, status.st_mtime_ns, words])
    vectors, matches = cached(
        f"vectors-{hashlib.sha256(key.encode()).hexdigest()[:32]}",
        lambda new: _build(path, words, new),
        lambda folder: _read(path, status.st_size, folder, counts),
    )
    return CorpusVectors(vectors, _coverage(counts, vectors.words, matches))


def _read(
    path: Path, num_bytes: int, folder: Path, counts: Mapping[str, int]
) -> tuple[Vectors, list[Match]]:
    """Reads a folder of the cache; raises an error if its files do not fit one another."""
    found = json.loads((folder / "words.json").read_text(encoding="utf-8"))
    words, matches = found["words"], found["matches"]
    are_known = all(word in counts for word in words) and all(m in MATCHES for m in matches)
    if not are_known or len(words) != len(matches):
        raise ValueError("the words are not those of the corpus")
    values = load_array(folder / "values.npy", np.float32, (len(words), None))
    if not re.fullmatch("[0-9a-f]{64}", found["sha256"]):
        raise ValueError("the digest is none")
    file = VectorFile(str(path.resolve()), num_bytes, found["sha256"])
    vectors = Vectors(path.name, tuple(words), values, file)
    return vectors, matches


def locate_vectors(name: str) -> Path:
    """Returns the path of a file in `$UNROLL_DATA/vectors` (else `data/vectors`), or of a path.

    Raises `InputError` if the file does not exist.
    """
    folder = corpus_folder("vectors")
    for path in (folder / name, Path(name)):
        if path.is_file():
            return path
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    nearest = difflib.get_close_matches(name, there, n=1)
    guess = f"did you mean {nearest[0]}? " if nearest else ""
    raise InputError(
        f"no vectors {name!r}: neither {folder / name} nor {Path(name)} is a file; {guess}files in "
        f"{folder}: {', '.join(there) or 'none'} (set UNROLL_DATA to use another folder)"
    )


def _build(path: Path, words: list[str], folder: Path) -> None:
    vectors, matches = load_vectors(path, words)
    np.save(folder / "values.npy", vectors.values)
    found = {"words": vectors.words, "matches": matches, "sha256": sha256_of(path)}
    (folder / "words.json").write_text(json.dumps(found), encoding="utf-8")


def _coverage(
    counts: Mapping[str, int], words: Sequence[str], matches: Sequence[Match]
) -> Coverage:
    number = Counter(matches)
    return Coverage(
        words=len(counts),
        matched={match: number[match] for match in MATCHES if number[match]},
        tokens=sum(counts.values()),
        covered_tokens=sum(counts[word] for word in words),
    )
