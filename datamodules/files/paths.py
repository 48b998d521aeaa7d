"""Where corpora are, and which of a folder's files is which split."""

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
    "mpqa": "MPQA opinion expressions as Irsoy & Cardie (2014) released them, 14,492 sentences",
}
SENTIMENT = {
    "sst": "Stanford Sentiment Treebank, 8,544 training sentences with all their phrases",
    "mr": "Movie Review sentence polarity, 5,331 positive and 5,331 negative sentences",
    "imdb": "IMDB movie reviews, 25,000 to train and 25,000 to test, whole documents",
}
CORPORA = TEXTS | TAGGED | OPINIONS | SENTIMENT
"""The corpora that `unroll prepare` can get: name -> description."""
_FOLDERS = {"sst": "sst_trees"}  # where a folder has another name


class _Naming(NamedTuple):
    """How the files of splits are called.

    Attributes:
        kind: what a file holds.
        names: split -> pattern of its name.
        ending: pattern of what comes after.
        looked_for: what to tell a person, with {} for the split.
        flag: which names a file in their stead.
        takes_patterns: whether what is given may be a pattern that several files match.
    """

    kind: str
    names: dict[str, str]
    ending: str
    looked_for: str
    flag: str
    takes_patterns: bool = False


_TEXT = _Naming(
    "text",
    {"train": "train", "valid": "valid|validation|dev", "test": "test"},
    r"\.\w+",
    "{0}.* and *.{0}.* (as {0}.txt or ptb.{0}.txt)",
    "--data.files",
    takes_patterns=True,
)
_COLUMNS = _Naming(
    "sentences",
    {"train": "train", "valid": "valid|validation|dev|testa", "test": "test|testb"},
    r"(?:\.\w+)?",
    "{0}, {0}.* and *.{0} (as {0}.txt or eng.{0})",
    "--data.source.files",
)


def corpus_folder(name: str) -> Path:
    """Gives a corpus' folder: `$UNROLL_DATA/<name>` where that is set, else `data/<name>`."""
    return Path(os.environ.get("UNROLL_DATA") or "data") / _FOLDERS.get(name, name)


def find_list(corpus: str) -> Path | None:
    """Finds the file of a list of items: `$UNROLL_DATA/<corpus>`, `data/<corpus>`, or a path."""
    paths = (corpus_folder(corpus), Path(corpus))
    return next((path for path in paths if path.is_file()), None)


def locate(corpus: str, known: Iterable[str] = (BUILTIN, COLORS, *TEXTS)) -> Path:
    """Finds the folder of a corpus.

    Args:
        corpus: a name, looked up by `corpus_folder`, or the path of a folder.
        known: names to tell a person whose name is none.

    Returns:
        The folder.

    Raises:
        InputError: there is no such folder.
    """
    named, path = corpus_folder(corpus), Path(corpus)
    if named.is_dir():
        return named
    if path.is_dir():
        return path
    if corpus in CORPORA:
        raise InputError(
            f"the corpus {corpus} is not in {named}; `unroll prepare {corpus}` gets it"
            " (UNROLL_DATA names another folder of corpora)"
        )
    names = list(known)
    nearest = difflib.get_close_matches(corpus, names, n=1)
    guess = f"did you mean {nearest[0]}? " if nearest else ""
    raise InputError(
        f"no corpus {corpus!r}: neither {named} nor {path} is a folder; {guess}known names are"
        f" {', '.join(names)}, and the path of a folder of train, valid and test text does as well"
    )


def find_files(folder: Path, files: Mapping[str, str] | None = None) -> dict[str, Path]:
    """Finds the text file of each split in a folder.

    A split's file is named in `files`, or is the only one called `<split>.<ending>` or
    `<anything>.<split>.<ending>` (`train.txt`, `ptb.train.txt`, `wiki.train.tokens`).

    Args:
        folder: the corpus' folder.
        files: split -> file name in the folder, or a pattern (`train/part-*`) that the files of a
            split match, for any of train, valid and test.

    Returns:
        Split -> path or pattern (see `shards`), in the order train, valid, test.

    Raises:
        InputError: a split has no file or more than one, or `files` names something else.
    """
    found = _find_files(folder, files, _TEXT)
    return {split: found.get(split) or _none(folder, split, _TEXT) for split in SPLITS}


def find_tagged_files(folder: Path, files: Mapping[str, str] | None = None) -> dict[str, Path]:
    """Finds the file of tagged sentences of each split in a folder.

    The names are those of `find_files`, with or without an ending, and those of the CoNLL shared
    tasks (`eng.train`, `eng.testa` to validate and `eng.testb` to test).

    Args:
        folder: the corpus' folder.
        files: split -> file name in the folder, for any of train, valid and test.

    Returns:
        Split -> path, in the order train, valid, test; without valid where there is none.

    Raises:
        InputError: train or test has no file, a split has more than one, or `files` names something
            else.
    """
    found = _find_files(folder, files, _COLUMNS)
    for split in ("train", "test"):
        if split not in found:
            _none(folder, split, _COLUMNS)
    return found


def _find_files(folder: Path, files: Mapping[str, str] | None, naming: _Naming) -> dict[str, Path]:
    given = dict(files or {})
    for split in given:
        if split not in SPLITS:
            raise InputError(f"files names the split {split!r}; the splits are {', '.join(SPLITS)}")
    found = {split: _find_file(folder, split, given.get(split), naming) for split in SPLITS}
    return {split: path for split, path in found.items() if path}


def _find_file(folder: Path, split: str, given: str | None, naming: _Naming) -> Path | None:
    if given is not None:
        if naming.takes_patterns and is_pattern(given):
            if not shards(folder / given):
                raise InputError(
                    f"no file matches {folder / given}, which files names as the {split} "
                    f"{naming.kind}"
                )
        elif not (folder / given).is_file():
            raise InputError(
                f"no file {folder / given}, which files names as the {split} {naming.kind}"
            )
        return folder / given
    pattern = re.compile(rf"(?:[^.].*\.)?(?:{naming.names[split]}){naming.ending}")
    found = sorted(
        path for path in folder.iterdir() if pattern.fullmatch(path.name) and path.is_file()
    )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InputError(
            f"{len(found)} files in {folder} could be the {split} {naming.kind} ({names}); choose"
            f" one with {naming.flag}.{split}=NAME"
        )
    return found[0] if found else None


def _none(folder: Path, split: str, naming: _Naming) -> NoReturn:
    if folder.name in CORPORA:
        raise InputError(
            f"no {split} {naming.kind} in {folder}; `unroll prepare {folder.name}` gets what is"
            " missing"
        )
    raise InputError(
        f"no {split} {naming.kind} in {folder}: looked for {naming.looked_for.format(split)};"
        f" rename the file, or name it with {naming.flag}.{split}=NAME"
    )
