"""Downloads public corpora or copies them from a folder, and verifies them."""

import contextlib
import gzip
import os
import shutil
import uuid
import zlib
from pathlib import Path
from typing import NamedTuple

from datamodules.files.paths import CORPORA, OPINIONS, SENTIMENT, find_files, find_tagged_files
from datamodules.language_model.corpus import count_text
from datamodules.prepare.catalogue import SOURCES, PublicFile
from datamodules.prepare.download import fetch
from datamodules.prepare.mpqa import prepare_mpqa
from datamodules.prepare.sentiment import prepare_sentiment
from datamodules.tagging.column_file import read_column_file
from pipeline.cache import sha256_of
from pipeline.errors import InputError

__all__ = ["CORPORA", "Preparation", "PreparedFile", "prepare"]


class PreparedFile(NamedTuple):
    """A verified file of a corpus."""

    path: Path
    how: str  # "downloaded", "copied" or "already there"
    check: str  # how it was verified
    published: PublicFile


class Preparation(NamedTuple):
    """Result of `prepare`; `str()` formats it for printing."""

    name: str
    folder: Path
    files: list[PreparedFile]  # in the order train, valid, test
    lines: tuple[str, ...] = ()  # further lines to print

    def __str__(self) -> str:
        lines = [f"{self.name} in {self.folder}"]
        for path, how, check, published in self.files:
            size = f"{published.size:>7,} {published.unit}  {published.tokens:>9,} tokens"
            lines.append(f"  {path.name:<14} {how:<13}  {size}  {check}")
        return "\n".join([*lines, *self.lines])


def prepare(name: str, source: Path | None, destination: Path) -> Preparation:
    """Writes the verified files of a public corpus, one of `CORPORA`, to the folder `destination`.

    The files are copied from the folder `source`, or downloaded if it is None; existing files are
    kept. Files are verified by the SHA-256 of the published file. A copied or existing file with
    other bytes (for example other line ends) is accepted if its numbers of lines (or sentences) and
    tokens agree. Files get their final name only after verification.

    Raises `InputError` if the corpus is unknown, a file is not available or a file differs from the
    published one.
    """
    if name not in {*SOURCES, *OPINIONS, *SENTIMENT}:
        known = "; ".join(f"{corpus}: {description}" for corpus, description in CORPORA.items())
        raise InputError(f"unknown corpus {name!r}; one of these is expected: {known}")
    if source is not None and not source.is_dir():
        raise InputError(
            f"--from {source} is not a folder; a folder with the files of {name} is expected"
        )
    try:
        destination.mkdir(parents=True, exist_ok=True)
        if name in OPINIONS:
            return Preparation(name, destination, [], prepare_mpqa(source, destination))
        if name in SENTIMENT:
            return Preparation(name, destination, [], prepare_sentiment(name, source, destination))
        files = [_prepare_file(part, name, source, destination) for part in SOURCES[name]]
    except OSError as error:
        raise InputError(
            f"cannot write the corpus to {destination} ({error}); check free space and permissions"
        ) from error
    finally:
        for folder in (destination / _DOWNLOADS, destination):
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()
    return Preparation(name, destination, files)


_DOWNLOADS = ".downloads"


def _prepare_file(
    part: PublicFile, name: str, source: Path | None, destination: Path
) -> PreparedFile:
    final = destination / part.file
    if final.exists():
        check = _verify(final, part, f"move it away and run `unroll prepare {name}` again")
        return PreparedFile(final, "already there", check, part)
    if source is not None:
        check = _place(_find(source, part), final, part, "use a folder with the published files")
        return PreparedFile(final, "copied", check, part)
    hint = f"unroll prepare {name} --from DIR"
    downloaded = destination / _DOWNLOADS / Path(part.url).name
    fetch(part.url, downloaded, part.packed or f"sha256:{part.sha256}", hint)
    check = _place(downloaded, final, part, f"get the file elsewhere and run `{hint}`")
    downloaded.unlink()
    return PreparedFile(final, "downloaded", check, part)


def _find(source: Path, part: PublicFile) -> Path:
    """Finds a published file, compressed or not, in a folder of the user."""
    for name in (part.file, Path(part.url).name):
        if (source / name).is_file():
            return source / name
    find = find_files if part.unit == "lines" else find_tagged_files
    found = find(source)
    if part.split not in found:
        raise InputError(
            f"no {part.file} in {source}; a folder with the published files is expected"
        )
    return found[part.split]


def _verify(path: Path, part: PublicFile, advice: str) -> str:
    """Returns how a file was verified; raises `InputError` if it is not the published one."""
    if sha256_of(path) == part.sha256:
        return "sha256 verified"
    size, tokens = _count(path, part)
    if (size, tokens) == (part.size, part.tokens):
        return f"{part.unit[:-1]} and token counts verified (sha256 differs)"
    raise InputError(
        f"{path} is not the published {part.split} file: it has {size:,} {part.unit} and"
        f" {tokens:,} tokens, but {part.size:,} and {part.tokens:,} are expected; {advice}"
    )


def _count(path: Path, part: PublicFile) -> tuple[int, int]:
    if part.unit == "lines":
        count = count_text(path)
        return count.lines, count.tokens
    file = read_column_file(path)
    return len(file.blocks), file.num_tokens


def _place(found: Path, final: Path, part: PublicFile, advice: str) -> str:
    """Writes a verified, uncompressed copy to its final path; returns how it was verified."""
    is_packed = found.suffix == ".gz"
    check = "sha256 verified" if is_packed else _verify(found, part, advice)
    temporary = final.with_name(f".{final.name}.{uuid.uuid4().hex}")
    try:
        if is_packed:
            _unpack(found, temporary, advice)
        else:
            shutil.copyfile(found, temporary)
        if is_packed and sha256_of(temporary) != part.sha256:
            raise InputError(f"{found} is not the published {part.split} file; {advice}")
        os.replace(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)
    return check


def _unpack(packed: Path, path: Path, advice: str) -> None:
    try:
        with gzip.open(packed, "rb") as source, path.open("wb") as file:
            shutil.copyfileobj(source, file)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{packed} is not a complete gzip file ({error}); {advice}") from error
