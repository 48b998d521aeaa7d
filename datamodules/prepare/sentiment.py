"""Preparation of corpora of labelled texts: Stanford Sentiment Treebank, Movie Review and IMDB."""

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from datamodules.prepare.archives import read_archive, verify_sha256, write_file
from datamodules.prepare.download import fetch
from datamodules.sentiment.sst import FILES
from datamodules.sentiment.trees import read_trees
from pipeline.errors import InputError


class _Published(NamedTuple):
    """A published corpus."""

    url: str  # of the archive
    digest: str  # of the archive as in `fetch`; "" if only those of its files are known
    files: dict[str, str]  # name in the folder of the corpus -> SHA-256 of the file in UTF-8
    encoding: str = "utf-8"  # of the published files, which are converted to UTF-8


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
_IMDB_COUNTS = {"train/pos": 12_500, "train/neg": 12_500, "test/pos": 12_500, "test/neg": 12_500}
NAMES = (*_PUBLISHED, "imdb")
"""Corpora that `prepare_sentiment` supports."""


def prepare_sentiment(name: str, source: Path | None, destination: Path) -> tuple[str, ...]:
    """Writes a verified corpus, one of `NAMES`, to a folder; returns lines for printing.

    `source` is a folder with the files or the archive; None downloads the archive. Existing files
    are kept. Verified are each file of the Stanford Sentiment Treebank and of Movie Review
    (converted from cp1252 to UTF-8), and for IMDB a downloaded archive and the number of
    documents. The sentences of the treebank are also written without labels to `sst-text`, so that
    a language model trained on them can initialize a classifier.

    Raises `InputError` if a file is not available or differs from the published one.
    """
    if name == "imdb":
        return _prepare_imdb(source, destination)
    published = _PUBLISHED[name]
    missing = [file for file in published.files if not (destination / file).exists()]
    for file in set(published.files) - {*missing}:
        advice = f"move it away and run `unroll prepare {name}` again"
        path = destination / file
        verify_sha256(path.read_bytes(), published.files[file], path, advice)
    if missing:
        contents = dict(_contents(name, published, source, destination))
        for file in missing:
            if file not in contents:
                raise InputError(
                    f"no {file} in {source or published.url}; the published files are expected"
                )
            advice = f"use a folder with the published file: `unroll prepare {name} --from DIR`"
            data = _in_utf8(published, file, contents[file])
            where = Path(source or published.url) / file
            verify_sha256(data, published.files[file], where, advice)
            write_file(data, destination / file)
    how = "copied" if source else "downloaded"
    lines = [
        f"  {file:<16} {how if file in missing else 'already there':<13}  sha256 verified"
        for file in published.files
    ]
    if name == "sst":
        _write_sentences(destination)
        lines.append(f"  {_SENTENCES + '/':<16} written        sentences for a language model")
    return tuple(lines)


_SENTENCES = "sst-text"


def _write_sentences(folder: Path) -> None:
    """Writes the sentences of the treebank as a language model corpus."""
    for split, file in FILES.items():
        lines = (" ".join(whole.tokens) + "\n" for whole, *_ in read_trees(folder / file))
        write_file("".join(lines).encode(), folder / _SENTENCES / f"{split}.txt")


def _contents(
    name: str, published: _Published, source: Path | None, destination: Path
) -> Iterator[tuple[str, bytes]]:
    """Yields the files of the corpus that a folder or an archive contains."""
    if source is not None:
        archive = source / PurePosixPath(published.url).name
        if not archive.is_file():
            for file in published.files:
                if (source / file).is_file():
                    yield file, (source / file).read_bytes()
            return
        yield from _read_files(archive, published)
        return
    archive = destination / ".downloads" / PurePosixPath(published.url).name
    fetch(published.url, archive, published.digest, f"unroll prepare {name} --from DIR")
    yield from _read_files(archive, published)
    archive.unlink()


def _read_files(archive: Path, published: _Published) -> Iterator[tuple[str, bytes]]:
    for path, data in read_archive(archive, lambda path: path.name in published.files):
        yield path.name, data


def _in_utf8(published: _Published, file: str, data: bytes) -> bytes:
    if hashlib.sha256(data).hexdigest() == published.files[file]:
        return data
    try:
        return data.decode(published.encoding).encode()
    except UnicodeDecodeError:
        return data  # `verify_sha256` reports it


def _prepare_imdb(source: Path | None, destination: Path) -> tuple[str, ...]:
    how = "already there"
    if _imdb_counts(destination) != _IMDB_COUNTS:
        how = "copied" if source else "downloaded"
        archive = (source or destination / ".downloads") / PurePosixPath(_IMDB).name
        if source is None:
            fetch(_IMDB, archive, _IMDB_DIGEST, "unroll prepare imdb --from DIR")
        elif not archive.is_file():
            raise InputError(
                f"no file {archive}; a folder with the published archive is expected (an unpacked "
                "archive needs no preparation: use --data.source.corpus=path/to/aclImdb)"
            )
        _unpack_imdb(archive, destination)
        if source is None:
            archive.unlink()
    counts = _imdb_counts(destination)
    if counts != _IMDB_COUNTS:
        raise InputError(
            f"{destination} contains {counts} documents, but {_IMDB_COUNTS} are expected; empty it "
            "and run `unroll prepare imdb` again"
        )
    return tuple(f"  {name:<10} {how:<13}  {count:,} documents" for name, count in counts.items())


def _unpack_imdb(archive: Path, destination: Path) -> None:
    def is_document(path: PurePosixPath) -> bool:
        return "/".join(path.parts[-3:-1]) in _IMDB_COUNTS and path.suffix == ".txt"

    for path, data in read_archive(archive, is_document):
        target = destination.joinpath(*path.parts[-3:])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def _imdb_counts(folder: Path) -> dict[str, int]:
    return {name: len(list((folder / name).glob("*.txt"))) for name in _IMDB_COUNTS}
