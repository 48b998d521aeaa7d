import multiprocessing
import re
import time
from pathlib import Path

import pytest

from pipeline.cache import cached
from pipeline.errors import InputError


def write(folder):
    (folder / "a").write_text("one")
    (folder / "b").write_text("two")


def slowly(folder):
    (folder / "a").write_text("one")
    time.sleep(0.2)
    (folder / "b").write_text("two")


def use(barrier, results):
    barrier.wait(30)
    folder = cached("entry", slowly, Path)
    results.put((folder / "a").read_text() + (folder / "b").read_text())


def test_it_is_built_once(cache):
    assert cached("entry", write, Path) == cache / "entry"
    assert cached("entry", lambda folder: pytest.fail("built again"), Path) == cache / "entry"
    assert [path.name for path in cache.iterdir()] == ["entry"]


@pytest.mark.parametrize("torn", [False, True])
def test_processes_may_build_at_once(cache, torn):
    if torn:
        (cached("entry", write, Path) / "b").write_text("tw")
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(4), context.Queue()
    workers = [context.Process(target=use, args=(barrier, results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=30) for _ in workers] == ["onetwo"] * 4
    for worker in workers:
        worker.join(30)
    assert [path.name for path in cache.iterdir()] == ["entry"]


@pytest.mark.parametrize("file", ["b", "SHA256SUMS"])
@pytest.mark.parametrize("contents", [b"tw", b"tWo", b"\xff\x00", b"", None])
def test_a_torn_entry_is_built_again(cache, file, contents):
    folder = cached("entry", write, Path)
    (folder / file).unlink()
    if contents is not None:
        (folder / file).write_bytes(contents)
    cached("entry", write, Path)
    assert ((folder / "a").read_text(), (folder / "b").read_text()) == ("one", "two")
    assert [path.name for path in cache.iterdir()] == ["entry"]


def test_a_failed_build_leaves_nothing(cache):
    def fail(folder):
        write(folder)
        raise InputError("bad text")

    with pytest.raises(InputError, match=r"^bad text$"):
        cached("entry", fail, Path)
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written(cache):
    cache.write_text("a file")
    told = re.escape(f"cannot write the cache folder {cache} (")
    advice = re.escape("); free disk space there, or set UNROLL_CACHE to a writable folder")
    with pytest.raises(InputError, match=f"^{told}.*{advice}$"):
        cached("entry", write, Path)
