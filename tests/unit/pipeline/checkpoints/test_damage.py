"""Damaged copies of a checkpoint are refused on every way to read it."""

import random
import zipfile

import pytest
import torch

from pipeline.checkpoints.damage import check_undamaged
from pipeline.checkpoints.read import read_checkpoint
from pipeline.checkpoints.write import AtomicCheckpointIO
from pipeline.errors import InputError

CONTENT = {
    "config": {"model": {"class_path": "tasks.LanguageModel"}},
    "state_dict": {f"layer{index}": torch.randn(200, 300) for index in range(4)},
    "optimizer_states": [{"state": {0: {"step": torch.tensor(7.0)}}}],
}


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
    check_undamaged(whole)
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
        check_undamaged(path)


def test_compressed_parts_are_refused_before_they_are_unpacked(whole, tmp_path):
    """A small file could unpack to more than the memory."""
    path = tmp_path / "bomb.ckpt"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in source.namelist():
            bomb.writestr(name, source.read(name))
    for read in (read_checkpoint, AtomicCheckpointIO().load_checkpoint):
        with pytest.raises(InputError, match="its parts are compressed, which torch never does"):
            read(path)


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
