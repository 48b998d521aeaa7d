"""Data sets of the hub; a folder of Parquet files stands for one, since tests have no network."""

import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datamodules.files.hub import hub_folder
from datamodules.sentiment.table import Table
from datamodules.tagging.columns import Columns
from pipeline.errors import InputError

datasets = pytest.importorskip("datasets")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("UNROLL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "downloads")
    return tmp_path


def publish(folder, columns, features):
    folder.mkdir()
    table = pa.table(columns)
    schema = datasets.Features(features).arrow_schema
    for split in ("train", "validation", "test"):
        pq.write_table(table.cast(schema), folder / f"{split}.parquet")
    return f"hf://{folder}"


def test_data_sets_by_name(hub):
    text, tags = datasets.Value("string"), datasets.ClassLabel(names=["O", "B-LOC"])
    name = publish(
        hub / "names",
        {"tokens": [["In", "Paris"], ["No"]], "ner_tags": [[0, 1], [0]]},
        {"tokens": datasets.List(text), "ner_tags": datasets.List(tags)},
    )
    source = Columns(name)
    assert source.name == "names"
    assert source.read().splits["valid"][0] == (("In", "Paris"), ("O", "B-LOC"), ())
    name = publish(
        hub / "reviews",
        {"text": ["Good", "Bad"], "label": [1, 0]},
        {"text": text, "label": datasets.ClassLabel(names=["neg", "pos"])},
    )
    (hub / "other.csv").write_text("text,label\nNo,neg\n")
    for test, expected in ((None, "Good"), (str(hub / "other.csv"), "No")):
        corpus = Table(name, test=test).read()
        assert corpus.labels == ("neg", "pos")
        assert corpus.splits["train"][0] == (("Good",), "pos")
        assert corpus.splits["test"][0].tokens == (expected,)
    for path in (hub / "names").iterdir():
        path.unlink()
    assert len(Columns(f"hf://{hub / 'names'}").read().splits["test"]) == 2  # from the cache


def test_what_is_missing(hub, monkeypatch):
    with pytest.raises(
        InputError, match=r"cannot load hf:///no/folder \(.*check the name, and give"
    ):
        Columns("hf:///no/folder").read()
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"hf://a needs the package datasets; .*'unroll\[hub\]'"):
        Table("hf://a").read()


def test_names_with_other_characters_have_other_folders(hub, monkeypatch):
    part = datasets.Dataset.from_dict({"text": ["a"]})
    monkeypatch.setattr(datasets, "load_dataset", lambda path, configuration: {"train": part})
    names = ["hf://a/b", "hf://a_b", "hf://b", "hf://c/b", "hf://b:c", "hf://b-c"]
    assert len({hub_folder(name) for name in names}) == len(names)
    assert hub_folder("hf://a/b") == hub_folder("hf://a/b")
