import hashlib
import io
import tarfile

import pytest

from datamodules.prepare import mpqa as prepare_mpqa
from datamodules.prepare.command import prepare
from datamodules.tagging.mpqa.released import MPQA
from pipeline.errors import InputError

ANNOTATION = "1\t1,5\tstring\tGATE_{}\n"


@pytest.fixture
def release(monkeypatch):
    """Contents of a small release, registered as the published one."""
    contents = {
        name: f"contents of {name}\n".encode() if "filelist" not in name else name.encode()
        for name in prepare_mpqa.FILES
    }
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    monkeypatch.setattr(prepare_mpqa, "FILES", digests)
    return contents


@pytest.fixture
def pack(monkeypatch, tmp_path):
    """Makes an archive in its own folder, registered as the published one."""

    def make(contents, links=()):
        path = tmp_path / "archives" / prepare_mpqa.ARCHIVE
        path.parent.mkdir(exist_ok=True)
        with tarfile.open(path, "w:gz") as tar:
            for name, data in contents.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
            for name in links:
                member = tarfile.TarInfo(name)
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
                tar.addfile(member)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setattr(prepare_mpqa, "_ARCHIVE_SHA256", digest)
        return path

    return make


def write(contents, folder):
    for name, data in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_release_is_taken_from_a_folder_and_only_once(release, tmp_path):
    source, out = write(release, tmp_path / "source"), tmp_path / "mpqa"
    (source / "README").touch()
    assert str(prepare("mpqa", source, out)).count(" copied ") == 24
    assert files(out) == release
    (out / "dse.txt").unlink()
    lines = str(prepare("mpqa", source, out)).split("\n")
    assert [line.split()[0] for line in lines if " copied " in line] == ["dse.txt"]
    assert sum("already there" in line for line in lines) == 23
    assert files(out) == release


@pytest.mark.parametrize("is_fetched", [True, False])
def test_only_the_files_of_the_release_are_read_from_its_archive(
    release, tmp_path, pack, monkeypatch, is_fetched
):
    members = {f"a/../../{name}": data for name, data in release.items()}
    archive = pack({"../evil": b"x", "/evil": b"x", "a/._dse.txt": b"x", **members}, ["b/ese.txt"])
    data = archive.read_bytes()

    def fetch(url, path, digest, hint):
        assert digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
        path.parent.mkdir()
        path.write_bytes(data)

    monkeypatch.setattr(prepare_mpqa, "fetch", fetch)
    out = tmp_path / "corpora" / "mpqa"
    report = prepare("mpqa", None if is_fetched else archive.parent, out)
    assert str(report).count(" downloaded " if is_fetched else " copied ") == 24
    assert files(tmp_path / "corpora") == {f"mpqa/{name}": data for name, data in release.items()}


def test_another_archive_is_refused(release, tmp_path, pack, monkeypatch):
    archive = pack(release)
    monkeypatch.setattr(prepare_mpqa, "_ARCHIVE_SHA256", "0" * 64)
    with pytest.raises(InputError, match=r"tar.gz is not the published archive: .* download it"):
        prepare("mpqa", archive.parent, tmp_path / "mpqa")
    assert not (tmp_path / "mpqa").exists()


@pytest.mark.parametrize("fault", ["lacks", "changed"])
def test_nothing_is_written_of_an_archive_without_all_files(release, tmp_path, pack, fault):
    contents = dict(release)
    contents["ese.txt"] += b"more"
    if fault == "lacks":
        del contents["ese.txt"]
    message = (
        r"tar.gz does not contain ese.txt"
        if fault == "lacks"
        else r"ese.txt in \S+ is not the publ"
    )
    with pytest.raises(InputError, match=message):
        prepare("mpqa", pack(contents).parent, tmp_path / "mpqa")
    assert not (tmp_path / "mpqa").exists()


def test_other_files_are_refused_and_left_alone(release, tmp_path):
    source, out = write(release, tmp_path / "source"), tmp_path / "mpqa"
    (source / "datasplit/filelist_test3").write_bytes(b"other")
    with pytest.raises(InputError, match=r"filelist_test3 is not the published file"):
        prepare("mpqa", source, out)
    (source / "datasplit/filelist_test3").unlink()
    with pytest.raises(InputError, match=r"no file \S+filelist_test3; a folder with .* man_anns"):
        prepare("mpqa", source, out)
    assert not out.exists()
    write({"dse.txt": b"mine"}, out)
    with pytest.raises(InputError, match=r"mpqa/dse.txt is not the published file .* move the"):
        prepare("mpqa", write(release, source), out)
    assert files(out) == {"dse.txt": b"mine"}


def test_the_original_distribution_is_converted(tmp_path):
    for number in range(14):
        annotated = f"man_anns/p/{number}"
        contents = {
            f"docs/p/{number}": b" Good .",
            f"{annotated}/gateman.mpqa.lre.2.0": ANNOTATION.format("direct-subjective").encode(),
            f"{annotated}/gatesentences.mpqa.2.0": b"1\t1,7\tstring\tGATE_sentence\n",
        }
        write(contents, tmp_path / "database")
    report = str(prepare("mpqa", tmp_path / "database", tmp_path / "mpqa"))
    assert report.startswith(
        f"mpqa in {tmp_path / 'mpqa'}\n  14 documents, 14 sentences, 28 tokens"
    )
    assert {s.tags for s in MPQA(str(tmp_path / "mpqa")).read().splits["test"]} == {("B-DSE", "O")}


def test_the_published_files_are_as_listed(real_data, tmp_path):
    prepare("mpqa", real_data / "mpqa", tmp_path / "mpqa")
    assert len(files(tmp_path / "mpqa")) == 24
    assert MPQA(str(tmp_path / "mpqa")).read().notes[0].startswith("fold 0 of 10")
