"""A shared cache that others can write to executes nothing; wrong contents are made again."""

import hashlib
import io
import json
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from datamodules.files.vectors import corpus_vectors
from datamodules.language_model.corpus import TextSettings, open_corpus
from pipeline.text.vector_index import VectorIndex


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("marker"),))


def array(values, **options) -> bytes:
    file = io.BytesIO()
    np.save(file, values, **options)
    return file.getvalue()


def archive() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.zeros(3))
    return file.getvalue()


def header(text: str) -> bytes:
    encoded = text.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(encoded)) + encoded


ARRAYS = {
    "pickle": pickle.dumps(Evil()),
    "objects": array(np.array([Evil()], dtype=object), allow_pickle=True),
    "archive": archive(),
    "empty": b"",
    "cut": array(np.zeros(1000, dtype=np.int32))[:-8],
    "huge shape": header("{'descr': '<i4', 'fortran_order': False, 'shape': (10**18,), }"),
    "huge number": header("{'descr': '<i4', 'fortran_order': False, 'shape': (" + "9" * 99 + ",)}"),
    "negative shape": header("{'descr': '<i4', 'fortran_order': False, 'shape': (-5,), }"),
    "call": header("{'descr': __import__('os').system('touch marker'), 'shape': (1,)}"),
    "nested": header("(" * 5000),
    "other type": array(np.zeros(9, dtype=np.float16)),
    "other order": array(np.zeros(9, dtype=">i4")),
    "matrix": array(np.zeros((3, 3, 3), dtype=np.int32)),
    "other length": array(np.zeros(2, dtype=np.int32)),
    "negative": array(np.full(7, -(2**31), dtype=np.int32)),
    "too large": array(np.full(7, 2**31 - 1, dtype=np.int32)),
}
TEXTS = ["", "[]", "{}", "5", '"x"', "[[1], 2]", "[" * 9999, '{"train": {"lines": 1}}', "\xff"]
TEXTS += ['{"words": [1], "matches": ["x"]}', '{"sha256": 1, "layout": [1]}']
TEXTS += ['{"sha256": "0", "layout": [true, 2, null, -99]}']


def seal(folder: Path) -> None:
    sums = (
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
        for file in sorted(folder.iterdir())
        if file.name != "SHA256SUMS"
    )
    (folder / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")


@pytest.fixture
def readers(tmp_path, monkeypatch):
    """Functions that read through the cache, and return plain values."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNROLL_CACHE", str(tmp_path / "cache"))
    text, vectors = tmp_path / "text.txt", tmp_path / "vectors.txt"
    text.write_text("a cat a dog\na\n", encoding="utf-8")
    vectors.write_text("a 0.5 1.5\ncat 2.5 3.5\n", encoding="utf-8")

    def corpus():
        found = open_corpus(dict.fromkeys(("train", "valid"), text), TextSettings())
        ids = {split: array.tolist() for split, array in found.ids.items()}
        return found.vocabulary.words, ids, found.statistics

    def of_words():
        found = corpus_vectors(str(vectors), {"a": 3, "dog": 1})
        return found.vectors.words, found.vectors.values.tolist(), found.coverage

    def index():
        found = VectorIndex(vectors)
        return {w: row.tolist() for w, row in found.find(["a", "cat", "dog"]).items()}, found.file

    return corpus, of_words, index


def files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*/*") if file.name != "SHA256SUMS")


def test_sealed_files_with_other_contents_are_made_again(readers, tmp_path):
    expected = [read() for read in readers]
    cache = tmp_path / "cache"
    assert len(files(cache)) == 9
    for file in files(cache):
        honest = file.read_bytes()
        contents = ARRAYS.values() if file.suffix == ".npy" else map(str.encode, TEXTS)
        for content in contents:
            file.write_bytes(content)
            seal(file.parent)
            assert [read() for read in readers] == expected, (file.name, content[:80])
            assert file.read_bytes() == honest
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("name", ["/dev/zero", "../pipe", "pipe", "link", "../../text.txt", "."])
def test_a_seal_names_files_of_its_folder_only(readers, tmp_path, name):
    expected = readers[0]()
    [folder] = (tmp_path / "cache").iterdir()
    os.mkfifo(tmp_path / "cache" / "pipe")
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("/dev/zero")
    digest = hashlib.sha256(b"").hexdigest()
    with (folder / "SHA256SUMS").open("a", encoding="utf-8") as file:
        file.write(f"{digest}  {name}\n")
    assert readers[0]() == expected  # it reads neither an endless file nor a pipe


def test_files_without_a_checksum(readers, tmp_path):
    """A seal that leaves out a file does not protect it."""
    expected = readers[0]()
    [file] = (tmp_path / "cache").glob("*/train.npy")
    sums = (file.parent / "SHA256SUMS").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = "".join(line for line in sums if "train.npy" not in line)
    (file.parent / "SHA256SUMS").write_text(kept, encoding="utf-8")
    file.write_bytes(array(np.ones(7, dtype=np.int32)))
    assert readers[0]() == expected
    assert json.loads((file.parent / "counts.json").read_text(encoding="utf-8"))
