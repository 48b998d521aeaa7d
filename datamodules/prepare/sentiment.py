"""Fetches corpora of labelled texts from their public archives, or takes them from a folder."""

import hashlib
import os
import tarfile
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from datamodules.prepare.download import fetch
from datamodules.sentiment.sst import FILES
from datamodules.sentiment.trees import read_trees
from pipeline.errors import InputError


class _Published(NamedTuple):
    """A corpus as it is published.

    Attributes:
        url: of the archive.
        digest: of the archive, as `fetch` takes it; "" where only the files' own are known.
        files: name in the corpus' folder -> sha256 of its bytes there.
        encoding: of the published files; they are written in UTF-8.
    """

    url: str
    digest: str
    files: dict[str, str]
    encoding: str = "utf-8"


_PUBLISHED = {
    "sst": _Published(
        "https://nlp.stanford.edu/sentiment/trainDevTestTrees_PTB.zip",
        "sha256:5c613a4f673fc74097d523a2c83f38e0cc462984d847b82c7aaf36b01cbbbfcc",
        {
            "train.txt": "e2f3f41b0b1e6d4dddc0effe3bfc2d27ed8928079aa9a03d652311614fc5feb7",
            "dev.txt": "0e9336aed6e4730e19f58d00a77b3f0297efdb755f7b5e598c98a05e3f97ea40",
            "test.txt": "6e54806dee95cf80cd918e7dfb3f6770f6df24bf826f289a4d1f709e1c8f6761",
        },
    ),
    "mr": _Published(
        "https://www.cs.cornell.edu/people/pabo/movie-review-data/rt-polaritydata.tar.gz",
        "",
        {
            "rt-polarity.neg": "2d11cfbc790f1cd96d78339f41ce53ced1efa83cd22d37d6788fa3fe3d17e2fd",
            "rt-polarity.pos": "4134882974a28d0c7b5151256f0e33a6169984ee7372c279e673f1114f475d58",
        },
        encoding="cp1252",
    ),
}
_IMDB = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
_IMDB_DIGEST = "md5:7c2ac02c03563afcf9b574c7e56c153a"
_IMDB_COUNTS = {
    "train/pos": 12_500,
    "train/neg": 12_500,
    "test/pos": 12_500,
    "test/neg": 12_500,
}
NAMES = (*_PUBLISHED, "imdb")
"""The corpora that `prepare_sentiment` knows."""


def prepare_sentiment(name: str, source: Path | None, destination: Path) -> tuple[str, ...]:
    """Puts a corpus into a folder, verified.

    Files of the Stanford Sentiment Treebank and of Movie Review are verified one by one (the latter
    are published in cp1252 and written in UTF-8); of IMDB the archive is, and the number of
    documents. What is there already stays as it is. The sentences of the treebank are written to
    `sst-text` too, without labels: a classifier can start from a language model of them.

    Args:
        name: one of `NAMES`.
        source: a folder with the files or with the archive; None fetches the archive.
        destination: the corpus' folder, which exists.

    Returns:
        What was done, a line each, for a person.

    Raises:
        InputError: a file cannot be had, or is not what was published.
    """
    if name == "imdb":
        return _prepare_imdb(source, destination)
    published = _PUBLISHED[name]
    missing = [file for file in published.files if not (destination / file).exists()]
    for file in set(published.files) - {*missing}:
        advice = f"move it away and run `unroll prepare {name}` again"
        _verify(published, file, (destination / file).read_bytes(), destination / file, advice)
    if missing:
        contents = dict(_contents(name, published, source, destination))
        for file in missing:
            if file not in contents:
                raise InputError(f"no {file} in {source or published.url}; it is expected there")
            advice = f"give a folder with the published file: `unroll prepare {name} --from DIR`"
            data = _in_utf8(published, file, contents[file])
            _verify(published, file, data, Path(source or published.url) / file, advice)
            _put(data, destination / file)
    how = "taken" if source else "fetched"
    lines = [
        f"  {file:<16} {how if file in missing else 'already there':<13}  sha256 verified"
        for file in published.files
    ]
    if name == "sst":
        _write_sentences(destination)
        lines.append(f"  {_SENTENCES + '/':<16} written        the sentences, for a language model")
    return tuple(lines)


_SENTENCES = "sst-text"


def _write_sentences(folder: Path) -> None:
    """Writes the sentences of trees as a corpus that a language model trains on."""
    for split, file in FILES.items():
        lines = (" ".join(whole.tokens) + "\n" for whole, *_ in read_trees(folder / file))
        _put("".join(lines).encode(), folder / _SENTENCES / f"{split}.txt")


def _contents(
    name: str, published: _Published, source: Path | None, destination: Path
) -> Iterator[tuple[str, bytes]]:
    """Gives the corpus' files that a folder or an archive holds."""
    if source is not None:
        archive = source / PurePosixPath(published.url).name
        if not archive.is_file():
            for file in published.files:
                if (source / file).is_file():
                    yield file, (source / file).read_bytes()
            return
        yield from _read_archive(archive, set(published.files))
        return
    archive = destination / ".downloads" / PurePosixPath(published.url).name
    fetch(published.url, archive, published.digest, f"unroll prepare {name} --from DIR")
    yield from _read_archive(archive, set(published.files))
    archive.unlink()


def _read_archive(archive: Path, names: set[str]) -> Iterator[tuple[str, bytes]]:
    """Reads files by their last names; nothing is unpacked to where the archive says."""
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as packed:
                for member in packed.namelist():
                    if (name := PurePosixPath(member).name) in names:
                        yield name, packed.read(member)
            return
        with tarfile.open(archive) as tar:
            for info in tar:
                name = PurePosixPath(info.name).name
                file = tar.extractfile(info) if name in names and info.isreg() else None
                if file is not None:
                    yield name, file.read()
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"{archive} is no whole archive ({error}); download it again") from error


def _in_utf8(published: _Published, file: str, data: bytes) -> bytes:
    if hashlib.sha256(data).hexdigest() == published.files[file]:
        return data
    try:
        return data.decode(published.encoding).encode()
    except UnicodeDecodeError:
        return data  # it is refused where it is verified


def _verify(published: _Published, file: str, data: bytes, where: Path, advice: str) -> None:
    if hashlib.sha256(data).hexdigest() != published.files[file]:
        raise InputError(f"{where} is not the published file (its sha256 differs); {advice}")


def _put(data: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _prepare_imdb(source: Path | None, destination: Path) -> tuple[str, ...]:
    how = "already there"
    if _imdb_counts(destination) != _IMDB_COUNTS:
        how = "taken" if source else "fetched"
        archive = (source or destination / ".downloads") / PurePosixPath(_IMDB).name
        if source is None:
            fetch(_IMDB, archive, _IMDB_DIGEST, "unroll prepare imdb --from DIR")
        elif not archive.is_file():
            raise InputError(
                f"no file {archive}; a folder with the published archive is expected (an unpacked "
                "one can be read where it is: --data.source.corpus=path/to/aclImdb)"
            )
        _unpack_imdb(archive, destination)
        if source is None:
            archive.unlink()
    counts = _imdb_counts(destination)
    if counts != _IMDB_COUNTS:
        raise InputError(
            f"{destination} holds {counts} documents, {_IMDB_COUNTS} are expected; empty it and "
            "run `unroll prepare imdb` again"
        )
    return tuple(f"  {name:<10} {how:<13}  {count:,} documents" for name, count in counts.items())


def _unpack_imdb(archive: Path, destination: Path) -> None:
    try:
        with tarfile.open(archive) as tar:
            for info in tar:
                folder, name = PurePosixPath(info.name).parts[-3:-1], PurePosixPath(info.name).name
                if "/".join(folder) not in _IMDB_COUNTS or not name.endswith(".txt"):
                    continue
                file = tar.extractfile(info) if info.isreg() else None
                if file is not None:
                    path = destination.joinpath(*folder, name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(file.read())
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"{archive} is no whole archive ({error}); download it again") from error


def _imdb_counts(folder: Path) -> dict[str, int]:
    return {name: len(list((folder / name).glob("*.txt"))) for name in _IMDB_COUNTS}
