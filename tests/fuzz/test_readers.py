"""Damaged files: each reader reads them or raises an `InputError` of one readable sentence.

`pytest -m slow tests/fuzz` tries 2,000 files per reader instead of 60.
"""

import bz2
import gzip
import json
import lzma
import resource
import signal
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datamodules.language_model.corpus import TextSettings, open_corpus
from datamodules.language_model.item_list import items_folder, read_items
from datamodules.sentiment.sst import Treebank
from datamodules.sentiment.table import Table
from datamodules.tagging.columns import Columns
from datamodules.tagging.mpqa.released import LISTS, MPQA
from datamodules.tagging.mpqa.standoff import read_document
from pipeline.__main__ import SHORT_NAMES
from pipeline.checkpoints.folder import RunFolder
from pipeline.errors import InputError
from pipeline.inference.annotation.column_input import ColumnInput
from pipeline.inference.annotation.text_files import read_lines
from pipeline.inference.scoring import InputLine, ScoreFormat, Scorer
from pipeline.inference.scoring.nbest import read_nbest
from pipeline.inference.scoring.sentence_files import read_lines as read_sentences
from pipeline.mixtures import load_arpa
from pipeline.ngrams.arpa_reader import read_arpa
from pipeline.options import TOP_LEVEL
from pipeline.preflight import check
from pipeline.text.layout import ColumnLayout
from pipeline.text.vectors import load_vectors
from tests.configs import small_tagger, write_config
from tests.fuzz.mutations import damaged

SECONDS = 5  # limit of one case
MEGABYTES = 1500  # limit of the memory that all cases of a reader may take in addition
SPLITS = ("train", "valid", "test")
COLUMNS = (
    "EU\tNNP\tB-ORG\nrejects\tVBZ\tO\nGerman\tJJ\tB-MISC\ncall\tNN\tO\n\nPeter\tNNP\tB-PER\n\n"
)
CONLLU = (
    "# sent_id = 1\n1-2\tIt's\t_\t_\t_\t_\t_\t_\t_\t_\n1\tIt\tit\tPRON\t_\t_\t2\tdep\t_\t_\n"
    "2\t's\tbe\tAUX\t_\t_\t0\troot\t_\t_\n2.1\tx\t_\t_\t_\t_\t_\t_\t_\t_\n\n"
)
PLUS = "# global.columns = ID FORM NE\n1\tIt\tO\n2\tParis\tB-LOC\n\n"
TAGGED_ROWS = [{"tokens": ["In", "Paris"], "ner_tags": [0, 1]}, {"tokens": [], "ner_tags": []}] * 6
TREES = "(3 (2 Good) (2 film))\n(1 (2 A) (1 (0 bad) (2 one)))\n" * 4
TEXT = "the boys see a dog\nthe dog sees the boys\na boy who sees dogs is here\n" * 5
TABLE = {
    "csv": 'text,label\n"It\'s good, really",5\nToo long,2\n"He said ""no""",1\n' + "a b,3\n" * 12,
    "tsv": "text\tlabel\nIt's good\t5\nToo long\t2\n" + "a b\t3\n" * 12,
    "jsonl": '{"text": "It\'s good", "label": 5}\n{"text": "bad", "label": "2"}\n' * 8,
    "json": json.dumps([{"text": f"It's {i}", "label": i % 2} for i in range(16)]),
    "txt": 'good "film"\t1\nbad film\t0\n' * 8,
    "all": "DESC:manner How did he ?\nHUM:ind Who was it ?\n" * 8,
}
CLASSES = {
    "label": {"names": ["bad", "good"], "_type": "ClassLabel"},
    "ner_tags": {"feature": {"names": ["O", "B-LOC"], "_type": "ClassLabel"}, "_type": "Sequence"},
}
TYPES = {b"huggingface": json.dumps({"info": {"features": CLASSES}}).encode()}
ARPA = """\\data\\
ngram 1=4
ngram 2=3

\\1-grams:
-1.0\t<s>\t-0.3
-0.5\t</s>
-0.6\tdog\t-0.2
-0.7\t<unk>\t-0.1

\\2-grams:
-0.2\t<s> dog
-0.3\tdog </s>
-0.4\tdog dog

\\end\\
"""
SPHINX = """made by hand

\\data\\

ngram 1=5
ngram 2=3
ngram 3=2
\\1-grams:
-1.0 <UNK>
-99 <s> -0.3
-0.5 </s> -0.1
-0.6 dog -0.2

-0.7 cat
\\2-grams:
-0.2 <s> dog -0.4
-9 </s> <s>
-0.3 dog </s>
\\3-grams:
-0.4 dog cat cat
-0.1 </s> <s> dog
\\end\\
"""
MARKED = "<s> the boys see a dog </s>\nthe dog\u00a0sees\r the boys </s>\n" * 5
NBEST = "0 ||| he go ||| LM= -1 ||| 2.0\n0 ||| he goes ||| LM= -2 ||| 1.5 ||| 0-0 1-1\n1 ||| x\n"
VECTORS = "3 4\nthe 0.1 -0.25 3e-2 1\ndog 0.5 0.125 -1.5 2\nnew york 1.25 0.5 0.5 0.5\n"
WORDS = ("the", "dog", "cat", "new york")


def binary_vectors() -> bytes:
    rows = [word.encode() + b" " + np.arange(4, dtype="<f4").tobytes() for word in WORDS[:3]]
    return b"3 4\n" + b"\n".join(rows) + b"\n"


def arpa(folder: Path) -> None:
    read_arpa(folder / "model.arpa")


def packed_arpa(folder: Path) -> None:
    read_arpa(folder / "model.arpa.gz")


def scored_arpa(folder: Path) -> None:
    trained = load_arpa(folder / "model.lm")
    list(Scorer(trained).score(iter([InputLine(1, "dog cat cat lion"), InputLine(2, "")])))


def columns(folder: Path) -> None:
    Columns(str(folder), features={"pos": 1}).read()


def conllu(folder: Path) -> None:
    Columns(str(folder), tag="upos", scheme="none", features={"lemma": "lemma"}).read()


def conllu_plus(folder: Path) -> None:
    Columns(str(folder)).read()


def lists(ending: str, folder: Path) -> None:
    Columns(str(folder / f"table.{ending}")).read()


def trees(folder: Path) -> None:
    Treebank(str(folder)).read()


def table(ending: str, folder: Path) -> None:
    Table(str(folder / f"table.{ending}"), valid=None, test=None).read()


def headerless(ending: str, folder: Path) -> None:
    style = {"txt": {"text": 0, "label": 1}, "all": {"text": 1, "label": 0, "delimiter": " "}}
    Table(str(folder / f"table.{ending}"), header=False, quote="none", **style[ending]).read()


def arrow(folder: Path) -> None:
    Table(str(folder)).read()


def words(folder: Path) -> None:
    open_corpus({split: folder / f"{split}.txt" for split in SPLITS}, TextSettings())


def characters(folder: Path) -> None:
    open_corpus({split: folder / f"{split}.txt" for split in SPLITS}, TextSettings("character"))


def items(folder: Path) -> None:
    items_folder(read_items(folder / "items.txt"), "items.txt")


def vectors(folder: Path) -> None:
    load_vectors(folder / "vectors", WORDS)


def nbest(folder: Path) -> None:
    list(read_nbest(str(folder / "nbest.txt")))


def sentences(folder: Path) -> None:
    list(read_sentences(str(folder / "sentences.txt")))


def pieces(folder: Path) -> None:
    trained = load_arpa(folder / "model.lm")
    scored = Scorer(trained).score(read_sentences(str(folder / "text"), in_pieces=True))
    list(ScoreFormat("jsonl", tokens=True).rows(scored))


def predict_input(folder: Path) -> None:
    list(read_lines(str(folder / "sentences.txt"), "utf-8"))


def predict_columns(folder: Path) -> None:
    layout = ColumnLayout(None, "upos", {"lemma": "lemma"}, scheme="labels")
    state = {"lexicon": {"columns": ["lemma"]}, "layout": layout._asdict()}
    columns = ColumnInput(state, has_features=True, has_tags=True)
    list(columns.passages(str(folder / "test.conllu"), "utf-8"))


def standoff(folder: Path) -> None:
    read_document(folder, "p/one")


def released(folder: Path) -> None:
    MPQA(str(folder)).read()


def configuration(folder: Path) -> None:
    check([f"--config={folder / 'config.yaml'}"], TOP_LEVEL, SHORT_NAMES)


def run_name(folder: Path) -> None:
    assert isinstance(RunFolder(folder).name, str)


def texts(content: str) -> dict[str, bytes]:
    return {f"{split}.txt": content.encode() for split in SPLITS}


ITEMS = [{"text": f"It's {i}", "label": i % 2} for i in range(16)]


def arrow_files(name: str, rows: list[dict] = ITEMS) -> dict[str, bytes]:
    content, sink = (
        pa.Table.from_pylist(rows).replace_schema_metadata(TYPES),
        pa.BufferOutputStream(),
    )
    if name.endswith(".parquet"):
        pq.write_table(content, sink)
    else:
        with pa.ipc.new_stream(sink, content.schema) as stream:
            stream.write_table(content)
    return {name: sink.getvalue().to_pybytes()}


def standoff_files() -> dict[str, bytes]:
    document = "He said so.\n\n  They can't. "
    sentences = "0\t0,11\tstring\tGATE_sentence\n1\t15,26\tstring\tGATE_sentence\n"
    spans = "# a comment\n7\t3,10\tstring\tGATE_direct-subjective\t\n"
    return {
        "docs/p/one": document.encode(),
        "man_anns/p/one/gatesentences.mpqa.2.0": sentences.encode(),
        "man_anns/p/one/gateman.mpqa.lre.2.0": spans.encode(),
    }


def released_files() -> dict[str, bytes]:
    rows = "He\tPRP\tO\nsaid\tVBD\tB\nso\tRB\tI\n\n" * 4
    ids = "".join(f"{number} 0 a/d{number}\n" for number in range(4))
    files = {"dse.txt": rows, "ese.txt": rows, "sentenceid.txt": ids}
    for name in LISTS:
        listed = "a/d0\na/d1\na/d2\na/d3\n" if "doclist" in name else "a/d2\na/d0\n"
        files[name] = "a/d3\n" if "test" in name else listed
    return {name: text.encode() for name, text in files.items()}


def config_files(tmp_path: Path) -> dict[str, bytes]:
    return {"config.yaml": write_config(tmp_path, small_tagger(tmp_path)).read_bytes()}


READERS = {
    "arpa": (arpa, {"model.arpa": ARPA.encode()}),
    "arpa-gz": (packed_arpa, {"model.arpa.gz": gzip.compress(ARPA.encode(), mtime=0)}),
    "arpa-sphinx": (scored_arpa, {"model.lm": SPHINX.encode()}),
    "arpa-bz2": (scored_arpa, {"model.lm": bz2.compress(SPHINX.encode())}),
    "arpa-xz": (scored_arpa, {"model.lm": lzma.compress(SPHINX.encode())}),
    "columns": (columns, texts(COLUMNS * 3)),
    "conllu": (conllu, texts(CONLLU * 8)),
    "conllu-plus": (conllu_plus, {f"{split}.conllup": PLUS.encode() * 8 for split in SPLITS}),
    "lists-jsonl": (
        partial(lists, "jsonl"),
        {"table.jsonl": b'{"tokens": ["In", "Paris"], "tags": ["O", "B-LOC"]}\n' * 8},
    ),
    "lists-parquet": (partial(lists, "parquet"), arrow_files("table.parquet", TAGGED_ROWS)),
    "trees": (trees, {**texts(TREES), "dev.txt": TREES.encode()}),
    "csv": (partial(table, "csv"), {"table.csv": TABLE["csv"].encode()}),
    "tsv": (partial(table, "tsv"), {"table.tsv": TABLE["tsv"].encode()}),
    "jsonl": (partial(table, "jsonl"), {"table.jsonl": TABLE["jsonl"].encode()}),
    "json": (partial(table, "json"), {"table.json": TABLE["json"].encode()}),
    "txt": (partial(headerless, "txt"), {"table.txt": TABLE["txt"].encode()}),
    "trec": (partial(headerless, "all"), {"table.all": TABLE["all"].encode()}),
    "parquet": (partial(table, "parquet"), arrow_files("table.parquet")),
    "arrow": (arrow, arrow_files("data-00000-of-00001.arrow")),
    "words": (words, texts(TEXT)),
    "marked": (words, texts(MARKED)),
    "pieces": (pieces, {"model.lm": SPHINX.encode(), "text": MARKED.encode()}),
    "characters": (characters, texts(TEXT)),
    "items": (items, {"items.txt": b"Anna\nBert\nCarla\nDora\nEmil\nFranz\n"}),
    "vectors": (vectors, {"vectors": VECTORS.encode()}),
    "vectors-glove": (vectors, {"vectors": VECTORS.partition("\n")[2].encode()}),
    "vectors-binary": (vectors, {"vectors": binary_vectors()}),
    "vectors-gz": (vectors, {"vectors": gzip.compress(VECTORS.encode(), mtime=0)}),
    "nbest": (nbest, {"nbest.txt": NBEST.encode()}),
    "nbest-words": (nbest, {"nbest.txt": b"utt-1 he go\nutt-1 he goes\nutt-2 x\n"}),
    "sentences": (sentences, {"sentences.txt": TEXT.encode()}),
    "sentences-gz": (sentences, {"sentences.txt": gzip.compress(TEXT.encode(), mtime=0)}),
    "predict-columns": (predict_columns, {"test.conllu": CONLLU.encode() * 8}),
    "predict-input": (predict_input, {"sentences.txt": TEXT.encode()}),
    "standoff": (standoff, standoff_files()),
    "mpqa": (released, released_files()),
    "run.json": (run_name, {"run.json": json.dumps({"name": "lstm-1x16-abc-s1"}).encode()}),
    "configuration": (configuration, None),
}
"""Name -> reader of a folder, and the files that it reads."""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """A cache that is not synced to disk, for which thousands of corpora would wait minutes."""
    monkeypatch.setenv("UNROLL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(np.memmap, "flush", lambda self: None)


@pytest.fixture(autouse=True)
def _little_memory():
    """Limits the memory, so that a huge allocation is a `MemoryError`."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEGABYTES * 1_000_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


@contextmanager
def time_limit(seconds=SECONDS):
    def stop(*_):
        raise TimeoutError(f"a case took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    limit_of_test = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *limit_of_test)  # continues about where it was


def try_reading(reader, folder: Path) -> bool:
    """Returns whether a reader reads its files; fails for any error but a readable `InputError`."""
    with time_limit():
        try:
            reader(folder)
        except InputError as error:
            text = str(error).replace(str(folder), "")
            assert text.strip(), "the message is empty"
            assert len(text.splitlines()) == 1, text
            assert len(text) < 900, text
            return False
    return True


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def fuzz(name: str, count: int, folder: Path) -> tuple[int, int]:
    """Damages one file of a reader at a time; returns how many cases were read and refused."""
    reader, files = READERS[name]
    files = files or config_files(folder)
    write(folder, files)
    assert try_reading(reader, folder), "the files are not valid to begin with"
    found = [0, 0]
    for seed in range(count):
        random = Random(f"{name}-{seed}")
        target = random.choice(sorted(files))
        content = damaged(files[target], random)
        (folder / target).write_bytes(content)
        try:
            found[not try_reading(reader, folder)] += 1
        except BaseException as error:
            error.add_note(f"seed {seed} of {name}: {target} is {content!r}"[:3000])
            raise
        (folder / target).write_bytes(files[target])
    return found[0], found[1]


@pytest.mark.parametrize("name", READERS)
def test_damaged_files(name, tmp_path):
    assert sum(fuzz(name, 60, tmp_path)) == 60


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("csv", "table.csv", b"text,label\na,1" + b"w" * 3000 + b"\nb,2\n"),
        ("mpqa", "datasplit/filelist_train0", b"a/\r2\nanan0\n"),
        ("configuration", "config.yaml", b"model: pipeline.inputs.Column" + b"w" * 3000),
        (
            "standoff",
            "man_anns/p/one/gateman.mpqa.lre.2.0",
            b"7\t" + b"9" * 5000 + b",9\ts\tGATE_x\n",
        ),
        ("nbest", "nbest.txt", b"0 ||| a ||| b ||| 1_0\n"),
        ("vectors", "vectors", VECTORS.replace("0.125", "1_0").encode()),
    ],
    ids=lambda value: value if isinstance(value, str) and "." not in value else "",
)
def test_cases_that_failed(name, file, content, tmp_path):
    reader, files = READERS[name]
    write(tmp_path, {**(files or {}), file: content})
    assert not try_reading(reader, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_many_damaged_files(name, tmp_path, record_property):
    read, refused = fuzz(name, 2000, tmp_path)
    record_property("read, refused", (read, refused))
    assert read + refused == 2000
    assert refused > 0 or name in ("run.json", "predict-input")
