"""Preparation of labelled texts from folders and archives, and invalid files."""

import hashlib
import tarfile
import zipfile

import pytest

from datamodules.prepare import sentiment as module
from datamodules.prepare.command import prepare
from pipeline.errors import InputError

TEXTS = {"train.txt": "(3 caf\u00e9)\n", "dev.txt": "(1 bad)\n", "test.txt": "(2 so)\n"}


@pytest.fixture
def published(monkeypatch):
    """A treebank of small files, in cp1252 like Movie Review."""
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in TEXTS.items()}
    known = module._PUBLISHED["sst"]._replace(files=digests, encoding="cp1252")
    monkeypatch.setitem(module._PUBLISHED, "sst", known)
    return known


def pack(folder, kind):
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_bytes(text.encode("cp1252"))
    if kind == "files":
        return folder
    archive = folder / "trainDevTestTrees_PTB.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name in TEXTS:
            packed.write(folder / name, f"../../evil/{name}")
            (folder / name).unlink()
    return folder


@pytest.mark.parametrize("kind", ["files", "zip"])
def test_files_are_taken_once_and_written_in_utf8(published, tmp_path, kind):
    source = pack(tmp_path / "source", kind)
    report = prepare("sst", source, tmp_path / "sst")
    assert str(report).count("copied  ") == 3
    for name, text in TEXTS.items():
        assert (tmp_path / "sst" / name).read_text(encoding="utf-8") == text
    sentences = {
        p.name: p.read_text(encoding="utf-8") for p in (tmp_path / "sst/sst-text").iterdir()
    }
    assert sentences == {"train.txt": "caf\u00e9\n", "valid.txt": "bad\n", "test.txt": "so\n"}
    assert not (tmp_path / "evil").exists()
    assert str(prepare("sst", None, tmp_path / "sst")).count("already there") == 3


@pytest.mark.parametrize("name", ["sst", "mr"])
def test_the_archive_is_fetched(published, tmp_path, monkeypatch, name):
    def fetch(url, path, digest, hint):
        assert url.endswith(path.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == "sst":
            with zipfile.ZipFile(path, "w") as packed:
                for file, text in TEXTS.items():
                    packed.writestr(f"trees/{file}", text.encode("cp1252"))
            return
        with tarfile.open(path, "w:gz") as tar:
            for file, text in TEXTS.items():
                (tmp_path / file).write_bytes(text.encode("cp1252"))
                tar.add(tmp_path / file, f"rt-polaritydata/{file}")

    monkeypatch.setattr(module, "fetch", fetch)
    if name == "mr":
        known = module._PUBLISHED["mr"]._replace(files=published.files)
        monkeypatch.setitem(module._PUBLISHED, "mr", known)
    assert str(prepare(name, None, tmp_path / name)).count("downloaded  ") == 3
    made = ["sst-text"] if name == "sst" else []
    assert sorted(p.name for p in (tmp_path / name).iterdir()) == sorted([*TEXTS, *made])


def test_other_files_are_refused_and_left_alone(published, tmp_path):
    source = pack(tmp_path / "source", "files")
    (source / "dev.txt").write_text("(3 good)\n")
    with pytest.raises(InputError, match=r"dev\.txt is not the published file.*--from DIR"):
        prepare("sst", source, tmp_path / "sst")
    (tmp_path / "sst").mkdir(exist_ok=True)
    (tmp_path / "sst" / "test.txt").write_text("mine\n")
    with pytest.raises(InputError, match=r"test\.txt is not the published file.*move it away"):
        prepare("sst", source, tmp_path / "sst")
    assert (tmp_path / "sst" / "test.txt").read_text() == "mine\n"
    (source / "train.txt").unlink()
    with pytest.raises(InputError, match=r"no train\.txt in "):
        prepare("sst", source, tmp_path / "other")


def test_a_torn_archive(published, tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "trainDevTestTrees_PTB.zip").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(InputError, match="is not a complete archive"):
        prepare("sst", tmp_path / "source", tmp_path / "sst")


def test_imdb_is_unpacked_by_its_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_IMDB_COUNTS", {"train/pos": 1, "test/neg": 1})
    source = tmp_path / "source"
    source.mkdir()
    with pytest.raises(InputError, match=r"no file .*aclImdb_v1\.tar\.gz"):
        prepare("imdb", source, tmp_path / "imdb")
    (tmp_path / "doc").write_text("A film.\n")
    with tarfile.open(source / "aclImdb_v1.tar.gz", "w:gz") as tar:
        for place in ("train/pos/0_9.txt", "test/neg/0_2.txt", "train/unsup/0_0.txt", "README"):
            tar.add(tmp_path / "doc", f"aclImdb/{place}")
    assert "1 documents" in str(prepare("imdb", source, tmp_path / "imdb"))
    found = sorted(
        str(p.relative_to(tmp_path / "imdb")) for p in (tmp_path / "imdb").rglob("*.txt")
    )
    assert found == ["test/neg/0_2.txt", "train/pos/0_9.txt"]
    (tmp_path / "imdb" / "test" / "neg" / "more.txt").write_text("x")
    with pytest.raises(InputError, match=r"documents, but .* are expected; empty it"):
        prepare("imdb", source, tmp_path / "imdb")


@pytest.mark.parametrize(("name", "folder"), [("sst", "sst_trees"), ("mr", "mr")])
def test_the_published_files_are_as_listed(real_data, tmp_path, name, folder):
    assert "sha256 verified" in str(prepare(name, real_data / folder, tmp_path / name))
