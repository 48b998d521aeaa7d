"""Where corpora are, and which of a folder's files is which split."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import InputError

SPLITS = ("train", "valid", "test")
_ALSO = {"valid": "valid|validation|dev"}  # what others call it
BUILTIN = "builtin"
CORPORA = {
    "ptb": "Penn Treebank in Mikolov's preprocessing, 10,000 words, 929,589 training tokens",
    "wikitext2": "WikiText-2 with its rare words as <unk>, 33,278 words, 2,088,628 training tokens",
}
"""The corpora that `unroll prepare` can get: name -> description."""


def corpus_folder(name: str) -> Path:
    """Gives a corpus' folder: `$UNROLL_DATA/<name>` where that is set, else `data/<name>`."""
    return Path(os.environ.get("UNROLL_DATA") or "data") / name


def locate(corpus: str) -> Path:
    """Finds the folder of a corpus.

    Args:
        corpus: a name, looked up by `corpus_folder`, or the path of a folder.

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
    known = [BUILTIN, *CORPORA]
    nearest = difflib.get_close_matches(corpus, known, n=1)
    guess = f"did you mean {nearest[0]}? " if nearest else ""
    raise InputError(
        f"no corpus {corpus!r}: neither {named} nor {path} is a folder; {guess}known names are"
        f" {', '.join(known)}, and the path of a folder of train, valid and test text does as well"
    )


def find_files(folder: Path, files: Mapping[str, str] | None = None) -> dict[str, Path]:
    """Finds the text file of each split in a folder.

    A split's file is named in `files`, or is the only one called `<split>.<ending>` or
    `<anything>.<split>.<ending>` (`train.txt`, `ptb.train.txt`, `wiki.train.tokens`).

    Args:
        folder: the corpus' folder.
        files: split -> file name in the folder, for any of train, valid and test.

    Returns:
        Split -> path, in the order train, valid, test.

    Raises:
        InputError: a split has no file or more than one, or `files` names something else.
    """
    given = dict(files or {})
    for split in given:
        if split not in SPLITS:
            raise InputError(f"files names the split {split!r}; the splits are {', '.join(SPLITS)}")
    return {split: _find_file(folder, split, given.get(split)) for split in SPLITS}


def _find_file(folder: Path, split: str, given: str | None) -> Path:
    if given is not None:
        if not (folder / given).is_file():
            raise InputError(f"no file {folder / given}, which files names as the {split} text")
        return folder / given
    names = _ALSO.get(split, split)
    pattern = re.compile(rf"(?:[^.].*\.)?(?:{names})\.\w+")
    found = sorted(
        path for path in folder.iterdir() if pattern.fullmatch(path.name) and path.is_file()
    )
    if not found and folder.name in CORPORA:
        raise InputError(
            f"no {split} text in {folder}; `unroll prepare {folder.name}` gets what is missing"
        )
    if not found:
        raise InputError(
            f"no {split} text in {folder}: looked for {split}.* and *.{split}.* (as {split}.txt or"
            f" ptb.{split}.txt); rename the file, or name it with --data.files.{split}=NAME"
        )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InputError(
            f"{len(found)} files in {folder} could be the {split} text ({names}); choose one with"
            f" --data.files.{split}=NAME"
        )
    return found[0]
