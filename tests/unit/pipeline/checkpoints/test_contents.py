"""Damaged copies of a checkpoint are refused on every way to read it."""

import pickle
import random
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from pipeline.checkpoints import contents
from pipeline.checkpoints.contents import check_undamaged
from pipeline.checkpoints.read import read_checkpoint
from pipeline.checkpoints.write import AtomicCheckpointIO
from pipeline.errors import InputError

CONTENT = {
    "config": {"model": {"class_path": "tasks.LanguageModel"}},
    "state_dict": {f"layer{index}": torch.randn(200, 300) for index in range(4)},
    "optimizer_states": [{"state": {0: {"step": torch.tensor(7.0)}}}],
}


def _check(path):
    with path.open("rb") as file:
        check_undamaged(path, file)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoints") / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(CONTENT, path)
    return path


def flip(data, generator):
    place = generator.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << generator.randrange(8))]) + data[place + 1 :]


def cut(data, generator):
    return data[: generator.randrange(len(data))]


def blank(data, generator):
    place = generator.randrange(len(data) - 4096)
    return data[:place] + bytes(4096) + data[place + 4096 :]


def lose(data, generator):
    place = generator.randrange(len(data) - 512)
    return data[:place] + data[place + 512 :]


@pytest.mark.parametrize("damage", [flip, cut, blank, lose])
def test_fifty_damaged_copies(whole, tmp_path, damage):
    data, generator = whole.read_bytes(), random.Random(damage.__name__)
    path, accepted = tmp_path / "copy.ckpt", []
    for number in range(50):
        path.write_bytes(damage(data, generator))
        for read in (read_checkpoint, AtomicCheckpointIO().load_checkpoint):
            try:
                read(path)
                accepted.append(number)
            except InputError as error:
                assert str(error).startswith(f"checkpoint {path} cannot be read: it is damaged")  # noqa: PT017
                assert len(str(error).splitlines()) == 1  # noqa: PT017
    assert accepted == []


def test_the_whole_file_is_accepted(whole):
    _check(whole)
    for checkpoint in (read_checkpoint(whole), AtomicCheckpointIO().load_checkpoint(whole)):
        assert checkpoint["config"] == CONTENT["config"]
        for name, value in CONTENT["state_dict"].items():
            assert torch.equal(checkpoint["state_dict"][name], value)


def test_the_damaged_part_is_named(whole, tmp_path):
    data = bytearray(whole.read_bytes())
    place = data.find(CONTENT["state_dict"]["layer2"].numpy().tobytes())
    data[place + 1000] ^= 1
    path = tmp_path / "copy.ckpt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"the checksum of its part archive/data/2 differs"):
        _check(path)


def test_compressed_parts_are_refused_before_they_are_unpacked(whole, tmp_path):
    """A small file could unpack to more than the memory."""
    path = tmp_path / "bomb.ckpt"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in source.namelist():
            bomb.writestr(name, source.read(name))
    for read in (read_checkpoint, AtomicCheckpointIO().load_checkpoint):
        with pytest.raises(InputError, match="its parts are compressed, which torch never does"):
            read(path)


def _written(whole, path, extra=(), changed=lambda data: data):
    """Writes the parts of a checkpoint and further ones; `changed` changes the bytes."""
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for part in source.infolist():
            target.writestr(zipfile.ZipInfo(part.filename), source.read(part))
        for name, content in extra:
            target.writestr(name, content)
    path.write_bytes(changed(path.read_bytes()))


def _link(name):
    part = zipfile.ZipInfo(name)
    part.external_attr = 0o120777 << 16
    return part


def _larger(data):
    """Declares another size of the first part than its content has."""
    place = data.find(b"PK\x01\x02") + 24
    return data[:place] + struct.pack("<I", 2**31 - 1) + data[place + 4 :]


def _repeated(data):
    """Lists a large part of a file 1,000 times more in its directory."""
    end = data.rfind(b"PK\x05\x06")
    count, size, start = struct.unpack_from("<HII", data, end + 10)
    directory = data[start : start + size]
    part = directory.find(b"archive/data/1") - 46  # bytes before the name
    directory += directory[part : directory.find(b"PK\x01\x02", part + 1)] * 1000
    counts = struct.pack("<HHI", count + 1000, count + 1000, len(directory))
    return data[:start] + directory + data[end : end + 8] + counts + data[end + 16 :]


class _Evil:
    def __reduce__(self):
        return (Path.touch, (Path("marker"),))


NO_FOLDER = "its parts are not in one folder"
ARCHIVES = {
    "parent folder": ([("archive/../../x", "")], NO_FOLDER),
    "another folder": ([("x/y", "")], NO_FOLDER),
    "no folder": ([("x", "")], NO_FOLDER),
    "absolute": ([("/tmp/x", "")], NO_FOLDER),
    "link": ([(_link("archive/x"), "/etc/passwd")], "a part is a folder or a link"),
    "folder": ([("archive/x/", "")], "a part is a folder or a link"),
    "same name": ([("archive/data.pkl", "")], "two of its parts have the same name"),
    "two sizes": (_larger, "a part has two sizes"),
    "overlap": (_repeated, "its parts overlap"),
    "too many": ([(f"archive/{i}", "") for i in range(60)], "it has more than 50 parts"),
    "prefix": (lambda data: b"#!/bin/sh\n" + data, ""),
    "pickle before": (lambda data: pickle.dumps(_Evil()) + data, ""),
    "script": ([("archive/constants.pkl", pickle.dumps(_Evil()))], ""),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("way", ARCHIVES)
def test_archives_that_torch_does_not_write(whole, tmp_path, monkeypatch, way):
    change, why = ARCHIVES[way]
    monkeypatch.chdir(tmp_path)
    if way == "too many":
        monkeypatch.setattr(contents, "_MOST_PARTS", 50)
    parts, changed = (change, bytes) if isinstance(change, list) else ((), change)
    path = tmp_path / "stranger.ckpt"
    _written(whole, path, parts, changed)
    for read in (read_checkpoint, AtomicCheckpointIO().load_checkpoint):
        with pytest.raises(InputError, match="cannot be read: it is damaged") as raised:
            read(path)
        assert not why or f"({why}, which torch never does)" in str(raised.value)
    assert [file.name for file in tmp_path.iterdir()] == ["stranger.ckpt"]


def test_a_file_that_is_replaced_after_the_check_is_checked_again(whole, tmp_path, monkeypatch):
    path, other = tmp_path / "last.ckpt", tmp_path / "other.ckpt"
    path.write_bytes(whole.read_bytes())
    load, num_loads = torch.load, []

    def replace_and_load(*arguments, **options):
        num_loads.append(1)
        if len(num_loads) <= limit:
            AtomicCheckpointIO().save_checkpoint({**CONTENT, "config": {"a": 2}}, other)
            other.replace(path)
        return load(*arguments, **options)

    monkeypatch.setattr(torch, "load", replace_and_load)
    limit = 1
    assert read_checkpoint(path)["config"] == {"a": 2}
    assert len(num_loads) == 2
    limit = 10**9
    with pytest.raises(InputError, match="was replaced 5 times while it was read"):
        read_checkpoint(path)


def test_what_was_read_before_is_not_read_again(whole, tmp_path):
    path = tmp_path / "last.ckpt"
    path.write_bytes(whole.read_bytes())
    files = AtomicCheckpointIO({path: read_checkpoint(path)})
    path.write_bytes(b"damaged")
    assert files.load_checkpoint(str(path))["config"] == CONTENT["config"]
    with pytest.raises(InputError, match="cannot be read: it is damaged"):
        files.load_checkpoint(path)


SMALL = {"config": {"a": [1, "b"]}, "state_dict": {"w": torch.arange(6.0), "n": torch.tensor(3)}}


@pytest.mark.parametrize(
    "step", [pytest.param(1, marks=pytest.mark.slow, id="every-byte"), pytest.param(31, id="some")]
)
def test_each_changed_byte_is_found_or_changes_nothing(tmp_path, step):
    path = tmp_path / "small.ckpt"
    AtomicCheckpointIO().save_checkpoint(SMALL, path)
    data, refused, read = path.read_bytes(), 0, 0
    for place in range(0, len(data), step):
        path.unlink()  # an earlier mapping of the file stays as it was
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            found = read_checkpoint(path)
        except InputError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017
            refused += 1
            continue
        read += 1
        assert found["config"] == SMALL["config"], place
        assert found["state_dict"].keys() == SMALL["state_dict"].keys(), place
        for name, value in SMALL["state_dict"].items():
            torch.testing.assert_close(found["state_dict"][name], value, rtol=0, atol=0)
    assert refused > 0
