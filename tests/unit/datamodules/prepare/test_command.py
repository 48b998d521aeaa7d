import gzip
import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from datamodules.files.paths import CORPORA, find_files, find_tagged_files
from datamodules.prepare import command, download, sentiment
from datamodules.prepare.catalogue import PublicFile
from pipeline.errors import InputError
from tests.examples import refuses

TEXTS = {
    "train": b" the boys see dogs \n the dog sleeps \n" * 5000,
    "valid": b" the boys sleep \n",
    "test": b" the dog sees boys \n\n",
}
COUNTS = {"train": (10_000, 45_000), "valid": (1, 4), "test": (2, 6)}  # by hand
TAGGED = {
    "train": b"the DT O\nboys NN B-NP\n\nsleep VB O\n\n" * 1000,
    "test": b"the DT O\ndog NN B-NP\n\n",
}
TAGGED_COUNTS = {"train": (2_000, 3_000), "test": (1, 2)}  # by hand
FILES = {f"tiny.{split}.txt": text for split, text in TEXTS.items()} | {
    f"{split}.txt.gz": gzip.compress(text) for split, text in TAGGED.items()
}


class Server:
    """Serves FILES; `faults` apply to the first requests, `log` has path and range of each."""

    def __init__(self, faults=(), ranges=True):
        self.files, self.faults, self.ranges, self.log = dict(FILES), list(faults), ranges, []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.answer(self)

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, request):
        asked = request.headers.get("Range")
        self.log.append((request.path, asked))
        data = self.files[request.path.strip("/")]
        fault = self.faults.pop(0) if self.faults else None
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        if fault == "down":
            request.send_error(503, "Overloaded")
        elif start >= len(data):
            request.send_error(416)
        else:
            data = data[::-1] if fault == "corrupt" else data[start:]
            request.send_response(206 if start else 200)
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            request.wfile.write(data[: len(data) // 3] if fault == "cut" else data)


@pytest.fixture
def serve(monkeypatch):
    servers = []

    def start(faults=(), ranges=True):
        server = Server(faults, ranges)
        servers.append(server)
        files = {"tiny": [], "tagged": []}
        for split, text in TEXTS.items():
            name, digest = f"tiny.{split}.txt", hashlib.sha256(text).hexdigest()
            file = PublicFile(split, server.address + name, name, digest, *COUNTS[split])
            files["tiny"].append(file)
        for split, text in TAGGED.items():
            name, digest = f"{split}.txt", hashlib.sha256(text).hexdigest()
            packed = f"md5:{hashlib.md5(FILES[f'{name}.gz']).hexdigest()}"
            how = (*TAGGED_COUNTS[split], "sentences", packed)
            files["tagged"].append(
                PublicFile(split, f"{server.address}{name}.gz", name, digest, *how)
            )
        for corpus, parts in files.items():
            monkeypatch.setitem(command.SOURCES, corpus, tuple(parts))
        return server

    monkeypatch.setattr("time.sleep", lambda seconds: None)
    yield start
    for server in servers:
        server.http.shutdown()
        server.http.server_close()


def holds(folder, texts=TEXTS, name="tiny.{}.txt"):
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    return found == {name.format(split): text for split, text in texts.items()}


def test_it_fetches_once(serve, tmp_path):
    server = serve()
    folder = tmp_path / "data" / "tiny"
    report = command.prepare("tiny", None, folder)
    assert holds(folder)
    assert list(find_files(folder).values()) == [file.path for file in report.files]
    assert str(report) == (
        f"tiny in {folder}\n"
        "  tiny.train.txt downloaded      10,000 lines     45,000 tokens  sha256 verified\n"
        "  tiny.valid.txt downloaded           1 lines          4 tokens  sha256 verified\n"
        "  tiny.test.txt  downloaded           2 lines          6 tokens  sha256 verified"
    )
    again = command.prepare("tiny", None, folder)
    assert [file.how for file in again.files] == ["already there"] * 3
    assert len(server.log) == 3


@pytest.mark.parametrize("fault", ["down", "corrupt"])
def test_a_failed_or_corrupt_download_is_tried_again(serve, tmp_path, fault):
    server = serve([fault])
    command.prepare("tiny", None, tmp_path / "tiny")
    assert holds(tmp_path / "tiny")
    assert server.log[:2] == [("/tiny.train.txt", None)] * 2


def whole_blocks(length):
    """Returns the size of a partial file: the last, incomplete block is lost."""
    return length // download._BLOCK * download._BLOCK


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on_where_the_server_allows(serve, tmp_path, ranges):
    server = serve(["cut", "cut"], ranges)
    command.prepare("tiny", None, tmp_path / "tiny")
    assert holds(tmp_path / "tiny")
    first = whole_blocks(len(TEXTS["train"]) // 3)
    second = first + whole_blocks((len(TEXTS["train"]) - first) // 3) if ranges else first
    asked = [None, f"bytes={first}-", f"bytes={second}-"]
    assert server.log[:3] == [("/tiny.train.txt", part) for part in asked]


def test_a_broken_download_is_gone_on_with_by_the_next_command(serve, tmp_path):
    server = serve(["cut"] + ["down"] * download._RETRIES)
    with pytest.raises(InputError):
        command.prepare("tiny", None, tmp_path / "tiny")
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == [".downloads"]
    command.prepare("tiny", None, tmp_path / "tiny")
    assert holds(tmp_path / "tiny")
    first = whole_blocks(len(TEXTS["train"]) // 3)
    assert server.log[4] == ("/tiny.train.txt", f"bytes={first}-")


def test_a_partial_file_that_is_too_long_is_dropped(serve, tmp_path):
    serve()
    (tmp_path / ".downloads").mkdir()
    (tmp_path / ".downloads" / "tiny.train.txt.partial").write_bytes(b"x" * 10**6)
    command.prepare("tiny", None, tmp_path)
    assert holds(tmp_path)


def test_a_server_that_stays_down(serve, tmp_path):
    server = serve(["down"] * 9)
    with refuses(
        f"cannot download {server.address}tiny.train.txt (the server answered 503 Overloaded); try"
        " again, or download it manually and run `unroll prepare tiny --from DIR`"
    ):
        command.prepare("tiny", None, tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []


def test_a_machine_that_is_offline(serve, tmp_path):
    server = serve()
    server.http.shutdown()
    server.http.server_close()
    with refuses(
        f"cannot download {server.address}tiny.train.txt (ConnectionError); try again, or download"
        " it manually and run `unroll prepare tiny --from DIR`"
    ):
        command.prepare("tiny", None, tmp_path / "tiny")


def test_an_address_that_gives_another_file(serve, tmp_path):
    server = serve(["corrupt"] * 9)
    sha256 = hashlib.sha256(TEXTS["train"]).hexdigest()
    with refuses(
        f"{server.address}tiny.train.txt did not deliver the expected contents (sha256:{sha256}) in"
        " 4 attempts; try again later, or get the file elsewhere and run `unroll prepare tiny"
        " --from DIR`"
    ):
        command.prepare("tiny", None, tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []


def write(folder, name="tiny.{}.txt", texts=TEXTS):
    folder.mkdir(exist_ok=True)
    for split, text in texts.items():
        (folder / name.format(split)).write_bytes(text)
    return folder


def test_files_from_a_folder(serve, tmp_path):
    server = serve()
    source = write(tmp_path / "source")
    (source / "tiny.char.train.txt").write_bytes(b"of another kind")
    report = command.prepare("tiny", source, tmp_path / "tiny")
    assert [file.how for file in report.files] == ["copied"] * 3
    assert holds(tmp_path / "tiny")
    assert server.log == []


def test_a_copy_of_other_bytes_is_counted(serve, tmp_path):
    serve()
    texts = {split: text.replace(b"\n", b"\r\n") for split, text in TEXTS.items()}
    source = write(tmp_path / "source", "wiki.{}.tokens", texts)
    report = command.prepare("tiny", source, tmp_path / "tiny")
    assert {file.check for file in report.files} == {
        "line and token counts verified (sha256 differs)"
    }
    again = command.prepare("tiny", source, tmp_path / "tiny")
    assert {file.how for file in again.files} == {"already there"}


def test_a_copy_of_other_text_is_refused(serve, tmp_path):
    serve()
    source = write(tmp_path / "source", texts={**TEXTS, "valid": b"the boys\n"})
    with refuses(
        f"{source}/tiny.valid.txt is not the published valid file: it has 1 lines and 3 tokens,"
        " but 1 and 4 are expected; use a folder with the published files"
    ):
        command.prepare("tiny", source, tmp_path / "tiny")
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == ["tiny.train.txt"]
    (tmp_path / "tiny" / "tiny.train.txt").write_bytes(b"torn")
    with refuses(
        f"{tmp_path}/tiny/tiny.train.txt is not the published train file: it has 1 lines and 2"
        " tokens, but 10,000 and 45,000 are expected; move it away and run `unroll prepare"
        " tiny` again"
    ):
        command.prepare("tiny", source, tmp_path / "tiny")
    assert (tmp_path / "tiny" / "tiny.train.txt").read_bytes() == b"torn"


def test_what_cannot_be_prepared(serve, tmp_path):
    serve()
    with pytest.raises(
        InputError, match=r"^unknown corpus 'ptbb'; one of these is expected: ptb: Penn Tree"
    ):
        command.prepare("ptbb", None, tmp_path)
    with refuses(
        f"--from {tmp_path}/no is not a folder; a folder with the files of tiny is expected"
    ):
        command.prepare("tiny", tmp_path / "no", tmp_path / "tiny")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"^no train text in .*/empty: expected train\.\* or "):
        command.prepare("tiny", tmp_path / "empty", tmp_path / "tiny")
    (tmp_path / "file").touch()
    with pytest.raises(
        InputError,
        match=r"^cannot write the corpus to .*/file \(.*\); check free space and permissions$",
    ):
        command.prepare("tiny", None, tmp_path / "file")


def test_compressed_files_are_fetched_and_unpacked(serve, tmp_path):
    server = serve(["cut", "corrupt"])
    folder = tmp_path / "tagged"
    report = command.prepare("tagged", None, folder)
    assert holds(folder, TAGGED, "{}.txt")
    assert list(find_tagged_files(folder)) == ["train", "test"]
    assert str(report) == (
        f"tagged in {folder}\n"
        "  train.txt      downloaded       2,000 sentences      3,000 tokens  sha256 verified\n"
        "  test.txt       downloaded           1 sentences          2 tokens  sha256 verified"
    )
    again = command.prepare("tagged", None, folder)
    assert [file.how for file in again.files] == ["already there"] * 2
    assert [path for path, _ in server.log] == ["/train.txt.gz"] * 3 + ["/test.txt.gz"]


@pytest.mark.parametrize("ending", [".txt", ".txt.gz"])
def test_compressed_and_unpacked_files_from_a_folder(serve, tmp_path, ending):
    server = serve()
    pack = gzip.compress if ending == ".txt.gz" else bytes
    texts = {split: pack(text) for split, text in TAGGED.items()}
    source = write(tmp_path / "source", f"{{}}{ending}", texts)
    report = command.prepare("tagged", source, tmp_path / "tagged")
    assert [(file.how, file.check) for file in report.files] == [("copied", "sha256 verified")] * 2
    assert holds(tmp_path / "tagged", TAGGED, "{}.txt")
    assert server.log == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(b"the DT O\n"), "is not the published train file"),
        (
            gzip.compress(TAGGED["train"])[:-20],
            "is not a complete gzip file (Compressed file ended",
        ),
        (b"no gzip at all", "is not a complete gzip file (Not a gzipped file"),
    ],
    ids=["other text", "cut", "no gzip"],
)
def test_a_compressed_file_of_something_else_is_refused(serve, tmp_path, data, message):
    serve()
    (tmp_path / "source").mkdir()
    packed = tmp_path / "source" / "train.txt.gz"
    packed.write_bytes(data)
    with pytest.raises(InputError, match=re.escape(f"{packed} {message}")):
        command.prepare("tagged", tmp_path / "source", tmp_path / "tagged")
    assert not (tmp_path / "tagged").exists()


def test_a_tagged_copy_of_other_bytes_is_counted(serve, tmp_path):
    serve()
    texts = {split: text.replace(b"\n", b"\r\n") for split, text in TAGGED.items()}
    report = command.prepare(
        "tagged", write(tmp_path / "source", "my.{}", texts), tmp_path / "tagged"
    )
    assert {file.check for file in report.files} == {
        "sentence and token counts verified (sha256 differs)"
    }
    test = tmp_path / "tagged" / "test.txt"
    test.write_bytes(TAGGED["test"] * 2)
    with refuses(
        f"{test} is not the published test file: it has 2 sentences and 4 tokens, but 1 and 2"
        " are expected; move it away and run `unroll prepare tagged` again"
    ):
        command.prepare("tagged", None, tmp_path / "tagged")


def test_a_folder_without_the_validation_file(serve, tmp_path, monkeypatch):
    serve()
    valid = command.SOURCES["tagged"][0]._replace(split="valid", file="eng.testa", packed="")
    monkeypatch.setitem(command.SOURCES, "tagged", (valid,))
    (tmp_path / "source").mkdir()
    for name in ("eng.train", "eng.testb"):
        (tmp_path / "source" / name).touch()
    with refuses(
        f"no eng.testa in {tmp_path}/source; a folder with the published files is expected"
    ):
        command.prepare("tagged", tmp_path / "source", tmp_path / "tagged")


def test_every_corpus_has_its_files():
    assert set(CORPORA) == {*command.SOURCES, "mpqa", *sentiment.NAMES}


@pytest.mark.parametrize("name", ["ptb", "wikitext2", "conll2000", "conll2003"])
def test_the_published_files_are_as_listed(real_data, tmp_path, name):
    report = command.prepare(name, real_data / name, tmp_path / name)
    assert {file.check for file in report.files} == {"sha256 verified"}
    for path, _, _, published in report.files:
        assert command._count(path, published) == (published.size, published.tokens)
