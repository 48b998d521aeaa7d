"""A journal from someone else sends and removes nothing outside of the folder of its run."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.tracking.copies import copy_in, make_copy, remove_copy, remove_others
from pipeline.tracking.logger import RunTracker


@pytest.fixture
def thesis(project):
    """A file of the user, in a folder with another file, outside of the run."""
    folder = project / "documents"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "notes.txt").write_text("notes", encoding="utf-8")
    (folder / "thesis.txt").write_text("thesis, without a line end", encoding="utf-8")
    return folder / "thesis.txt"


@pytest.fixture
def run_folder(project):
    tracker = RunTracker.start("attack", "run", outputs=project / "outputs")
    tracker.finish("FINISHED")
    folder = project / "outputs" / str(tracker.version)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def resumed(folder: Path) -> RunTracker:
    return RunTracker.start("attack", "run", run_id=folder.name, outputs=folder.parent)


def artifacts(tracker: RunTracker) -> list[str]:
    assert tracker._run is not None
    return [file.path for file in tracker._run.client.list_artifacts(str(tracker.version))]


def journal(folder: Path, path: str) -> None:
    line = json.dumps({"kind": "FileArtifact", "path": path, "folder": None})
    (folder / "artifacts.jsonl").write_text(line + "\n", encoding="utf-8")


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


WAYS = {
    "absolute": "{thesis}",
    "parent": "../../documents/thesis.txt",
    "parent of unsent": "unsent/../config.yaml",
    "parents in the middle": "unsent/x/../../../../documents/thesis.txt",
    "unsent itself": "unsent",
    "run folder": ".",
    "empty": "",
    "no folder of its own": "unsent/thesis.txt",
    "too deep": "unsent/a/b/c",
    "absolute with unsent": "{thesis.parent}/unsent",
    "link to the file": "unsent/own/link.txt",
    "linked folder": "unsent/linked/thesis.txt",
    "a folder": "unsent/own/below",
    "zero byte": "unsent/own/a\0b",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_path_outside_is_neither_sent_nor_removed(project, thesis, run_folder, way):
    own = run_folder / "unsent" / "own"
    (own / "below").mkdir(parents=True)
    (own / "link.txt").symlink_to(thesis)
    (run_folder / "unsent" / "linked").symlink_to(thesis.parent)
    journal(run_folder, WAYS[way].format(thesis=thesis))
    before = everything(thesis.parent)
    with pytest.raises(InputError, match=r"artifacts\.jsonl: .* so it is neither sent nor removed"):
        resumed(run_folder)
    assert everything(thesis.parent) == before


@pytest.mark.parametrize("kind", ["linked unsent", "linked entry", "file", "own link"])
def test_cleaning_up_follows_no_link(thesis, run_folder, kind):
    before = everything(thesis.parent)
    unsent = run_folder / "unsent"
    if kind == "linked unsent":
        unsent.symlink_to(thesis.parent)
        with pytest.raises(InputError, match="is a symbolic link"):
            resumed(run_folder)
    else:
        (unsent / "own").mkdir(parents=True)
        if kind == "linked entry":
            (unsent / "entry").symlink_to(thesis.parent)
        elif kind == "file":
            (unsent / "entry").write_text("torn", encoding="utf-8")
        else:
            (unsent / "own" / "link").symlink_to(thesis.parent)
        resumed(run_folder).finish("FINISHED")
        assert not unsent.exists()
    assert everything(thesis.parent) == before


@pytest.mark.parametrize("name", ["artifacts.jsonl", "tracking.jsonl"])
def test_a_linked_journal_is_not_cut_off(thesis, run_folder, name):
    (run_folder / name).symlink_to(thesis)
    with pytest.raises(InputError, match="is a symbolic link"):
        resumed(run_folder)
    assert thesis.read_text(encoding="utf-8") == "thesis, without a line end"


@pytest.mark.parametrize("is_old", [False, True])
def test_a_moved_folder_is_sent(project, run_folder, is_old):
    """Journals written before paths were relative contain the absolute path of the copy."""
    (project / "picture.txt").write_text("picture", encoding="utf-8")
    path = make_copy(run_folder, project / "picture.txt")
    assert not path.startswith("/")
    journal(run_folder, str(run_folder / path) if is_old else path)
    shutil.move(project / "outputs", project / "elsewhere")
    moved = project / "elsewhere" / run_folder.name
    tracker = resumed(moved)
    tracker.finish("FINISHED")
    assert artifacts(tracker) == ["picture.txt"]
    assert not (moved / "unsent").exists()
    assert not (moved / "artifacts.jsonl").exists()


def test_copies(tmp_path):
    (tmp_path / "a.txt").write_text("a", encoding="utf-8")
    first, second = make_copy(tmp_path, tmp_path / "a.txt"), make_copy(tmp_path, tmp_path / "a.txt")
    assert first != second
    kept = copy_in(tmp_path, first)
    assert kept.read_text(encoding="utf-8") == "a"
    remove_others(tmp_path, {kept.parent})
    assert list((tmp_path / "unsent").iterdir()) == [kept.parent]
    remove_copy(kept.parent)
    remove_copy(kept.parent)
    assert list((tmp_path / "unsent").iterdir()) == []
