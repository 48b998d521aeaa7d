"""Tables as published corpora have them: UCI, TREC, ChnSentiCorp, Hugging Face and others."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datamodules.batching.folds import TextFolds
from datamodules.batching.texts import LabelledText
from datamodules.sentiment.datamodule import SentimentData
from datamodules.sentiment.table import Table
from pipeline.errors import InputError

UCI = 'A very, very slow film.  \t0\n"Unbearable" is the word\t0\nThe best \ufb01lm ever!\t1\n' * 4
TREC = 'DESC:manner How did "serfdom" develop ?\nHUM:ind Who wrote caf\xe9 ?\n' * 4
CHINESE = 'label,review\n1,"距离川沙公路较近,但是公交指示不对"\n0,商务大床房\n' * 1


def texts(path, **settings):
    given = {"valid": str(path), "test": str(path)} | settings
    return [(" ".join(t.tokens), t.label) for t in Table(str(path), **given).read().splits["train"]]


def test_reviews_of_uci_have_no_header_and_quotes_of_their_own(tmp_path):
    path = tmp_path / "imdb_labelled.txt"
    path.write_text(UCI, encoding="utf-8")
    read = texts(path, header=False, quote="none", text=0, label=1)
    assert len(read) == 12
    assert read[:2] == [
        ("A very , very slow film .", "0"),
        ("`` Unbearable '' is the word", "0"),
    ]
    assert read == texts(path, header=False, quote="none", text=-2, label=-1)
    with pytest.raises(InputError, match=r"add --data.source.quote=none"):
        texts(path, header=False, text=0, label=1)
    with pytest.raises(InputError, match=r"row and no header, add --data.source.header=false"):
        texts(path, quote="none")
    with pytest.raises(InputError, match=r"no column 'text', only '0', '1'; .* by their index"):
        texts(path, quote="none", header=False)
    with pytest.raises(InputError, match=r"has 2 columns, so 2 is not .* from -2 to 1 is expected"):
        texts(path, header=False, quote="none", text=0, label=2)


def test_questions_of_trec_have_a_label_and_the_rest_of_the_line(tmp_path):
    path = tmp_path / "TREC.train.all"
    path.write_text(TREC, encoding="latin-1")
    style = {"header": False, "delimiter": " ", "label": 0, "text": 1, "encoding": "latin-1"}
    assert texts(path, **style)[:2] == [
        ("How did `` serfdom '' develop ?", "DESC:manner"),
        ("Who wrote caf\xe9 ?", "HUM:ind"),
    ]
    path.write_text("HUM:ind Who ?\nalone\n")
    with pytest.raises(
        InputError, match=r"line 2 .* has 1 columns, but line 1 has 2; fix the line"
    ):
        texts(path, **style)


def test_columns_after_a_space_are_not_counted_from_the_end(tmp_path):
    for column in ("text", "label"):
        with pytest.raises(InputError, match=rf"{column} is -1; with the delimiter ' ', columns"):
            Table(str(tmp_path / "a"), delimiter=" ", header=False, **{column: -1})


def test_a_header_after_blank_lines(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(" \n\nlabel text\na so so\nb good\n")
    assert texts(path, delimiter=" ") == [("so so", "a"), ("good", "b")]


def test_columns_of_a_header_by_index(tmp_path):
    path = tmp_path / "ChnSentiCorp.csv"
    path.write_text(CHINESE, encoding="utf-8")
    assert texts(path, text=1, label=0) == texts(path, text="review", label="label")
    path.write_text("1,label,0\nx,5,y\nz,3,w\n")
    assert texts(path, text=1) == [("x", "5"), ("z", "3")]  # the names come first


def test_rows_without_a_label_are_skipped_if_wanted(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,label\na,1.0\nb,\nc,2.0\n ,\n")
    read = Table(str(path), skip_unlabelled=True, valid=str(path), test=str(path)).read()
    assert read.splits["train"] == [LabelledText(("a",), "1"), LabelledText(("c",), "2")]
    assert read.notes[:2] == (
        "1 rows of t.csv without text were skipped",
        "1 rows of t.csv without label were skipped",
    )
    path.write_text("text,label\na,\n")
    with pytest.raises(InputError, match="contains no text with a label in the column 'text'"):
        texts(path, skip_unlabelled=True)


def test_whole_numbers_that_pandas_wrote_as_floats(tmp_path):
    path, other = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_text("text,label\na,1.0\nb,5.0\nc,5\n")
    other.write_text("text,label\na,1\nb,5.00\n")
    settings = {"valid": str(other), "test": str(other)}
    for labels in (None, [1, 5], ["1", "5"]):
        read = Table(str(path), labels=labels, **settings).read()
        assert read.labels == ("1", "5")
        assert {t.label for part in read.splits.values() for t in part} == {"1", "5"}
    assert Table(str(path), labels=["1.0", "5.0"], **settings).read().labels == ("1.0", "5.0")
    path.write_text("text,label\na,1.0\nb,1.5\nc,007\n")  # half stars stay, and codes
    assert Table(str(path), **settings).read().labels == ("007", "1.0", "1.5")


@pytest.mark.parametrize(
    ("label", "refused"),
    [
        (lambda i: f"{i / 87:.4f}", True),  # scores
        (lambda i: i, True),  # ids
        (lambda i: f"id{i}", False),
        (lambda i: i % 22, False),  # classes
        (lambda i: (i % 10) / 2, False),  # half stars
    ],
)
def test_numbers_that_may_be_no_labels_are_questioned(tmp_path, label, refused):
    path = tmp_path / "t.csv"
    path.write_text("text,label\n" + "".join(f"t{i},{label(i)}\n" for i in range(220)))
    if refused:
        with pytest.raises(InputError, match=r"different numbers .*: is it the column of labels"):
            texts(path)
        with pytest.raises(InputError, match="too few texts with the label"):
            Table(str(path), labels=[str(label(i)) for i in range(220)], fraction=0.3).read()
    else:
        assert len(texts(path)) == 220


NESTED = [
    {"review": {"text": "Good film", "stars": 5.0}, "label": 1},
    {"review": {"text": "Bad film", "stars": 2.0}, "label": 0},
]


@pytest.mark.parametrize("form", ["lines", "array", "indented array", "lines in .json", "parquet"])
def test_nested_fields_of_json_and_parquet(tmp_path, form):
    path = tmp_path / ("t.jsonl" if form == "lines" else "t.json")
    if form == "parquet":
        path = tmp_path / "t.parquet"
        pq.write_table(pa.Table.from_pylist(NESTED), path)
    elif "lines" in form:
        path.write_text("\ufeff" + "".join(json.dumps(row) + "\n" for row in NESTED))
    else:
        path.write_text(json.dumps(NESTED, indent=2 if "indented" in form else None))
    assert texts(path, text="review.text", label="review.stars") == [
        ("Good film", "5"),
        ("Bad film", "2"),
    ]
    with pytest.raises(InputError, match=r"no column 'text', only 'review.text', 'review.stars'"):
        texts(path)


FEATURES = {
    "text": {"dtype": "string", "_type": "Value"},
    "label": {"names": ["neg", "pos"], "_type": "ClassLabel"},
}
METADATA = {b"huggingface": json.dumps({"info": {"features": FEATURES}}).encode()}
ROWS = [{"text": f"film {i}", "label": i % 2 if i else -1} for i in range(9)]


@pytest.mark.parametrize("form", ["parquet", "shards", "folder"])
def test_class_numbers_of_hugging_face_become_names(tmp_path, form):
    table = pa.Table.from_pylist(ROWS).replace_schema_metadata(METADATA)
    path = tmp_path / "reviews.parquet"
    if form == "parquet":
        pq.write_table(table, path)
    elif form == "shards":
        for number in range(3):
            part = table.slice(3 * number, 3)
            pq.write_table(part, tmp_path / f"train-0000{number}-of-00003.parquet")
        path = tmp_path / "train-*.parquet"
    else:
        path = tmp_path / "train"
        path.mkdir()
        for number in range(2):
            file = path / f"data-0000{number}-of-00002.arrow"
            with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:
                out.write_table(table.slice(5 * number, 5))
    assert texts(path, skip_unlabelled=True) == [
        (f"film {i}", ["neg", "pos"][i % 2]) for i in range(1, 9)
    ]
    with pytest.raises(InputError, match=r"row 1 of .* has no label"):
        texts(path)


@pytest.mark.parametrize("fraction", [0.0, 0.1])
def test_folds_of_one_file_test_each_text_once(tmp_path, fraction):
    path = tmp_path / "custrev.csv"
    path.write_text("text,label\n" + "".join(f"t{i},{i % 2}\n" for i in range(41)))
    source = Table(str(path), fraction=fraction)
    corpora = [TextFolds(source, num_folds=4, fold=fold).read() for fold in range(4)]
    tested = [t.tokens[0] for corpus in corpora for t in corpus.splits["test"]]
    assert sorted(tested) == sorted(f"t{i}" for i in range(41))
    assert [*corpora[0].held_out] == []
    assert "made with seed 1 from all 41 texts" in corpora[0].notes[-1]
    data = SentimentData(source)
    folds = data.folded({"class_path": "Table", "init_args": {"train": str(path)}}, 4)
    assert folds["init_args"]["num_folds"] == 4
    assert len(SentimentData(TextFolds(source, num_folds=4)).labels.names) == 2


def test_without_held_out_texts_nothing_is_trained(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,label\n" + "".join(f"t{i},{i % 2}\n" for i in range(41)))
    data = SentimentData(Table(str(path), fraction=0))
    assert data.labels.names == ("0", "1")
    with pytest.raises(InputError, match=r"t has no valid split; .* or run `unroll crossvalidate`"):
        data.check_processes(1)
    SentimentData(Table(str(path))).check_processes(1)
