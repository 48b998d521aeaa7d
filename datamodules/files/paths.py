"""Locations of corpora, and the files of their splits."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

from datamodules.files.records import has_records
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


_SHARD = r"-\d{5}-of-(\d{5})"  # in names of Hugging Face data sets
_CONLLU = (".conllu", ".conllup")
_NO_CORPUS = r"(?:md|py|sh|log|html?|pdf|xml|ya?ml|zip|tar|t?gz|bz2|xz|bak|orig)\b"


class _Naming(NamedTuple):
    """File names of splits."""

    kind: str  # content of the files, for error messages
    names: dict[str, str]  # split -> regular expression of the stem
    ending: str  # regular expression
    description: str  # the expected names, with {0} for the split, for error messages
    flag: str  # flag that selects a file explicitly
    wider: str = ""  # regular expression with NAMES for the stem, if no name matches otherwise


_TEXT = _Naming(
    "text",
    {"train": "train", "valid": "valid|validation|dev", "test": "test"},
    r"\.\w+",
    "{0}.* or *.{0}.* (such as {0}.txt or ptb.{0}.txt)",
    "--data.files",
)
_COLUMNS = _Naming(
    "sentences",
    {"train": "train", "valid": "valid|validation|dev|devel|testa", "test": "test|testb"},
    r"(?:\.\w+)?",
    "a file with {0} at the end of its name (such as {0}.txt, eng.{0} or en_ewt-ud-{0}.conllu)",
    "--data.source.files",
    rf"(?:[^.].*[._-])?(?:NAMES)(?:{_SHARD})?(?:\.(?!{_NO_CORPUS})\w+)*",
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

    Names are as in `find_files`, the ending being optional; `devel`, the names of the CoNLL shared
    tasks (`eng.testa` for validation, `eng.testb` for testing) and, if there is no such file, any
    prefix (`en_ewt-ud-train.conllu`) and the parts of a data set of the Hugging Face hub
    (`train-00000-of-00002.parquet`) are found, too. The result has no "valid" and no "test" if
    there is no such file. Raises `InputError` as `find_files`.
    """
    found = _find_files(folder, files, _COLUMNS)
    if "train" not in found:
        _refuse_missing(folder, "train", _COLUMNS)
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
        if is_pattern(given):
            if not shards(folder / given):
                raise InputError(
                    f"{naming.flag}.{split}: no file matches {folder / given}; expected the "
                    f"{split} {naming.kind}"
                )
        elif not _is_corpus(folder / given):
            raise InputError(
                f"{naming.flag}.{split}: no file {folder / given}; expected the {split} "
                f"{naming.kind}"
            )
        return folder / given
    found = _matching(folder, rf"(?:[^.].*\.)?(?:{naming.names[split]}){naming.ending}")
    if not found and naming.wider:
        found = _matching(folder, naming.wider.replace("NAMES", naming.names[split]))
        found = [path for path in found if path.suffix in _CONLLU] or found  # not its raw text
        parts = {re.sub(_SHARD, r"-*-of-\1", path.name) for path in found}
        if len(found) > 1 and len(parts) == 1:
            return folder / parts.pop()
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InputError(
            f"{len(found)} files in {folder} match the names of the {split} {naming.kind} "
            f"({names}); choose one with {naming.flag}.{split}=NAME"
        )
    return found[0] if found else None


def _matching(folder: Path, pattern: str) -> list[Path]:
    named = re.compile(pattern)
    return sorted(
        path for path in folder.iterdir() if named.fullmatch(path.name) and _is_corpus(path)
    )


def _is_corpus(path: Path) -> bool:
    """Returns whether a path is a file, or a folder of a data set that `datasets` saved."""
    return path.is_file() or (path.is_dir() and has_records(path))


def _refuse_missing(folder: Path, split: str, naming: _Naming) -> NoReturn:
    if folder.name in CORPORA:
        raise InputError(
            f"no {split} {naming.kind} in {folder}; run `unroll prepare {folder.name}`"
        )
    raise InputError(
        f"no {split} {naming.kind} in {folder}: expected {naming.description.format(split)};"
        f" rename the file, or choose it with {naming.flag}.{split}=NAME"
    )
