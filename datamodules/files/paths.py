"""Locations of corpora, and the files of their splits."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

from datamodules.files.shards import is_pattern, shards
from pipeline.errors import InputError

SPLITS = ("train", "valid", "test")
BUILTIN = "builtin"
COLORS = "colors"
TEXTS = {
    "ptb": "Penn Treebank in Mikolov's preprocessing, 10,000 words, 929,589 training tokens",
    "wikitext2": "WikiText-2 with its rare words as <unk>, 33,278 words, 2,088,628 training tokens",
}
TAGGED = {
    "conll2000": "CoNLL-2000 chunks of newspaper text, 8,936 training sentences",
    "conll2003": "CoNLL-2003 names in English newspaper text, 14,041 training sentences",
}
OPINIONS = {
    "mpqa": "MPQA opinion expressions as Irsoy & Cardie (2014) released them, 14,492 sentences"
}
SENTIMENT = {
    "sst": "Stanford Sentiment Treebank, 8,544 training sentences with all their phrases",
    "mr": "Movie Review sentence polarity, 5,331 positive and 5,331 negative sentences",
    "imdb": "IMDB movie reviews, 25,000 to train and 25,000 to test, whole documents",
}
CORPORA = TEXTS | TAGGED | OPINIONS | SENTIMENT
"""The corpora that `unroll prepare` can install: name -> description."""
_FOLDERS = {"sst": "sst_trees"}  # folders that are not named as the corpus


class _Naming(NamedTuple):
    """File names of splits."""

    kind: str  # content of the files, for error messages
    names: dict[str, str]  # split -> regular expression of the stem
    ending: str  # regular expression
    description: str  # the expected names, with {0} for the split, for error messages
    flag: str  # flag that selects a file explicitly
    takes_patterns: bool = False  # whether this flag accepts a glob pattern


_TEXT = _Naming(
    "text",
    {"train": "train", "valid": "valid|validation|dev", "test": "test"},
    r"\.\w+",
    "{0}.* or *.{0}.* (such as {0}.txt or ptb.{0}.txt)",
    "--data.files",
    takes_patterns=True,
)
_COLUMNS = _Naming(
    "sentences",
    {"train": "train", "valid": "valid|validation|dev|testa", "test": "test|testb"},
    r"(?:\.\w+)?",
    "{0}, {0}.* or *.{0} (such as {0}.txt or eng.{0})",
    "--data.source.files",
)


def corpus_folder(name: str) -> Path:
    """Returns the folder of a corpus: `$UNROLL_DATA/<name>` if that is set, else `data/<name>`."""
    return Path(os.environ.get("UNROLL_DATA") or "data") / _FOLDERS.get(name, name)


def find_list(corpus: str) -> Path | None:
    """Returns the file of a list (in `$UNROLL_DATA`, else `data`, or a path); None if missing."""
    paths = (corpus_folder(corpus), Path(corpus))
    return next((path for path in paths if path.is_file()), None)


def locate(corpus: str, known: Iterable[str] = (BUILTIN, COLORS, *TEXTS)) -> Path:
    """Returns the folder of a corpus, given by name as in `corpus_folder` or by path.

    Raises `InputError` if there is no such folder; it suggests one of the `known` names.
    """
    named, path = corpus_folder(corpus), Path(corpus)
    if named.is_dir():
        return named
    if path.is_dir():
        return path
    if corpus in CORPORA:
        raise InputError(
            f"the corpus {corpus} is not in {named}; run `unroll prepare {corpus}`, or set "
            "UNROLL_DATA to the folder of your corpora"
        )
    names = list(known)
    nearest = difflib.get_close_matches(corpus, names, n=1)
    guess = f"did you mean {nearest[0]}? " if nearest else ""
    raise InputError(
        f"unknown corpus {corpus!r}: neither {named} nor {path} is a folder; {guess}expected one "
        f"of {', '.join(names)}, or the path of a folder with train, valid and test files"
    )


def find_files(folder: Path, files: Mapping[str, str] | None = None) -> dict[str, Path]:
    """Finds the text file of each split in a folder.

    `files` contains, for some splits, a file name in the folder or a glob pattern of several files
    (`train/part-*`). For the others it is the only file called `<split>.<ending>` or
    `<prefix>.<split>.<ending>` (`train.txt`, `ptb.train.txt`, `wiki.train.tokens`).

    Returns paths and glob patterns in the order train, valid, test. Raises `InputError` if a split
    has no file or several, or `files` contains an unknown split.
    """
    found = _find_files(folder, files, _TEXT)
    return {split: found.get(split) or _refuse_missing(folder, split, _TEXT) for split in SPLITS}


def find_tagged_files(folder: Path, files: Mapping[str, str] | None = None) -> dict[str, Path]:
    """Finds the file of tagged sentences of each split in a folder.

    Names are as in `find_files`, the ending being optional, or those of the CoNLL shared tasks
    (`eng.train`, `eng.testa` for validation, `eng.testb` for testing). The result has no "valid" if
    there is no such file. Raises `InputError` as `find_files`.
    """
    found = _find_files(folder, files, _COLUMNS)
    for split in ("train", "test"):
        if split not in found:
            _refuse_missing(folder, split, _COLUMNS)
    return found


def find_test_file(folder: Path, files: Mapping[str, str] | None = None) -> Path:
    """Finds the test file of tagged sentences in a folder, as `find_tagged_files` does."""
    found = _find_file(folder, "test", (files or {}).get("test"), _COLUMNS)
    return found or _refuse_missing(folder, "test", _COLUMNS)


def find_test_text(folder: Path) -> Path:
    """Finds the test text in a folder, as `find_files` does."""
    return _find_file(folder, "test", None, _TEXT) or _refuse_missing(folder, "test", _TEXT)


def _find_files(folder: Path, files: Mapping[str, str] | None, naming: _Naming) -> dict[str, Path]:
    given = dict(files or {})
    for split in given:
        if split not in SPLITS:
            raise InputError(
                f"{naming.flag}: unknown split {split!r}; expected one of {', '.join(SPLITS)}"
            )
    found = {split: _find_file(folder, split, given.get(split), naming) for split in SPLITS}
    return {split: path for split, path in found.items() if path}


def _find_file(folder: Path, split: str, given: str | None, naming: _Naming) -> Path | None:
    if given is not None:
        if naming.takes_patterns and is_pattern(given):
            if not shards(folder / given):
                raise InputError(
                    f"{naming.flag}.{split}: no file matches {folder / given}; expected the "
                    f"{split} {naming.kind}"
                )
        elif not (folder / given).is_file():
            raise InputError(
                f"{naming.flag}.{split}: no file {folder / given}; expected the {split} "
                f"{naming.kind}"
            )
        return folder / given
    pattern = re.compile(rf"(?:[^.].*\.)?(?:{naming.names[split]}){naming.ending}")
    found = sorted(
        path for path in folder.iterdir() if pattern.fullmatch(path.name) and path.is_file()
    )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InputError(
            f"{len(found)} files in {folder} match the names of the {split} {naming.kind} "
            f"({names}); choose one with {naming.flag}.{split}=NAME"
        )
    return found[0] if found else None


def _refuse_missing(folder: Path, split: str, naming: _Naming) -> NoReturn:
    if folder.name in CORPORA:
        raise InputError(
            f"no {split} {naming.kind} in {folder}; run `unroll prepare {folder.name}`"
        )
    raise InputError(
        f"no {split} {naming.kind} in {folder}: expected {naming.description.format(split)};"
        f" rename the file, or choose it with {naming.flag}.{split}=NAME"
    )
