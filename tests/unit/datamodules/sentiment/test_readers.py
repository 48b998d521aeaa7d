"""Readers of labelled texts: expected contents, held-out splits and malformed files."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.batching.folds import TextFolds
from datamodules.batching.splits import hold_out, sample, stratified
from datamodules.batching.texts import LabelledCorpus, LabelledText
from datamodules.sentiment.preprocessing import subsample_training, truncate_texts
from datamodules.sentiment.reviews import Folders, MovieReviews
from datamodules.sentiment.statistics import check_splits
from datamodules.sentiment.table import Table
from pipeline.errors import InputError
from pipeline.text.units import truncate_middle

TEXTS = [LabelledText((f"w{i}",), "rare" if i % 10 == 0 else "often") for i in range(200)]


def test_parts_are_disjoint_and_of_like_labels():
    parts = stratified(TEXTS, 7, seed=1)
    assert sorted(place for part in parts for place in part) == list(range(200))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for part in parts:
        assert 2 <= sum(TEXTS[place].label == "rare" for place in part) <= 4
    assert stratified(TEXTS, 7, seed=1) == parts != stratified(TEXTS, 7, seed=2)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=40), st.data(), st.integers(0, 3))
def test_a_sample_has_labels_as_the_whole_to_one_text(labels, data, seed):
    texts = [LabelledText((str(i),), label) for i, label in enumerate(sorted(labels))]
    count = data.draw(st.integers(0, len(texts)))
    chosen = sample(texts, count, seed)
    assert len(chosen) == count
    for label in set(labels):
        expected = count * labels.count(label) / len(labels)
        assert abs(sum(texts[place].label == label for place in chosen) - expected) < 1


def test_hold_out():
    kept, held = hold_out(TEXTS, 0.1, 1, "corpus")
    assert len(held) == 20
    assert Counter(text.label for text in held) == {"rare": 2, "often": 18}
    assert sorted([*kept, *held]) == sorted(TEXTS)
    with pytest.raises(InputError, match="corpus has 1 texts, too few"):
        hold_out(TEXTS[:1], 0.5, 1, "corpus")
    with pytest.raises(InputError, match="too few texts with the label a to hold out 90%"):
        hold_out([LabelledText(("w",), label) for label in "abbbbbbbbb"], 0.9, 1, "corpus")
    with pytest.raises(InputError, match=r"to hold out must be between 0 and 1, got 1\.5"):
        hold_out(TEXTS, 1.5, 1, "corpus")


def corpus(**splits):
    texts = {
        split: [LabelledText(tuple(words.split()), label) for words, label in rows]
        for split, rows in splits.items()
    }
    return LabelledCorpus(texts, dict.fromkeys(texts, "here"), ("a", "b"))


def test_check_splits():
    odd = corpus(
        train=[("one", "a"), ("two", "b")],
        valid=[("one", "a"), ("three", "a")],
        test=[("four", "c"), ("two", "b"), ("two", "b"), ("three", "b")],
    )
    assert check_splits(odd) == [
        "1 texts of valid also occur in train: a model may have memorized them",
        "valid has no text with the label b",
        "2 texts of test also occur in train: a model may have memorized them",
        "1 texts of test also occur in valid, which selects the tested checkpoint",
        "test has labels that never occur in training, so no model can predict them: c",
        "test has no text with the label a",
    ]
    with pytest.raises(InputError, match=r"valid split is empty: .*here has no text for it"):
        check_splits(corpus(train=[("one", "a")], valid=[], test=[("a", "a")]))


def test_long_texts_keep_their_ends():
    assert "".join(truncate_middle("abcdefgh", 5)) == "abcgh"
    assert "".join(truncate_middle("abc", 3)) == "abc"
    assert "".join(truncate_middle("abcd", 1)) == "a"
    long = corpus(train=[("1 2 3 4", "a"), ("1 2", "b")])
    short, count = truncate_texts(
        long._replace(phrases=((LabelledText(("2", "3", "4"), "b"),), ())), 2
    )
    assert count == 1
    assert short.phrases == ((LabelledText(("2", "4"), "b"),), ())
    assert [text.tokens for text in short.splits["train"]] == [("1", "4"), ("1", "2")]


def test_the_first_of_each_label_with_their_phrases():
    phrases = tuple((text._replace(tokens=(*text.tokens, "p")),) for text in TEXTS)
    whole = LabelledCorpus({"train": TEXTS}, {}, ("rare", "often"), phrases=phrases)
    few = subsample_training(whole, 50, seed=3)
    assert Counter(text.label for text in few.splits["train"]) == {"rare": 5, "often": 45}
    for text, (phrase,) in zip(few.splits["train"], few.phrases, strict=True):
        assert phrase.tokens == (*text.tokens, "p")
    with pytest.raises(InputError, match="num_train is 300, but there are 200 training texts"):
        subsample_training(whole, 300, seed=3)


@pytest.fixture
def mr(tmp_path):
    for label in ("pos", "neg"):
        lines = [f"{label} caf\u00e9 {i} \u0085 end" for i in range(30)]
        (tmp_path / f"rt-polarity.{label}").write_text("\n".join(lines) + "\r\n", encoding="utf-8")
    return tmp_path


def test_ten_folds_test_each_sentence_once(mr):
    tested = []
    for fold in range(10):
        read = MovieReviews(str(mr), fold).read()
        tested += read.splits["test"]
        everything = [text for texts in read.splits.values() for text in texts]
        assert len(set(everything)) == len(everything) == 60
        assert Counter(t.label for t in read.splits["test"]) == {"positive": 3, "negative": 3}
    assert len(set(tested)) == 60
    assert ("neg", "caf\u00e9", "3", "end") in {text.tokens for text in tested}


def test_encodings_are_declared(mr):
    path = mr / "rt-polarity.neg"
    path.write_bytes("caf\u00e9 a\nb\n".encode("cp1252") * 20)
    with pytest.raises(InputError, match=r"rt-polarity.neg is not UTF-8: byte 3 \(in line 1\)"):
        MovieReviews(str(mr)).read()
    read = MovieReviews(str(mr), encoding="latin-1").read()
    assert any(t.tokens == ("caf\u00e9", "a") for t in read.splits["train"])
    with pytest.raises(InputError, match="unknown encoding latin-99"):
        MovieReviews(str(mr), encoding="latin-99").read()


def test_the_published_reviews(real_data, monkeypatch):
    monkeypatch.setenv("UNROLL_DATA", str(real_data))
    read = MovieReviews().read()
    assert sum(len(texts) for texts in read.splits.values()) == 10_662
    with pytest.raises(InputError, match="fold is 10; Movie Review has the folds 0 to 9"):
        MovieReviews(fold=10)


def documents(folder, names, count=6):
    for name in names:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            (folder / name / f"{i}.txt").write_text(f"It's {name}, no. {i}. The end.\n")


def test_folders_as_imdb_has_them(tmp_path):
    documents(tmp_path / "train", ["pos", "neg", "unsup"])
    documents(tmp_path / "test", ["pos", "neg"], 2)
    read = Folders(str(tmp_path), fraction=0.25).read()
    assert read.labels == ("neg", "pos")
    assert [len(read.splits[split]) for split in ("train", "valid", "test")] == [9, 3, 4]
    assert read.splits["test"][0].tokens[:3] == ("It", "'s", "neg")
    assert "no valid folder: 3 training texts" in read.held_out["valid"]


def test_folders_of_labels_alone(tmp_path):
    documents(tmp_path, ["good", "bad", "so-so"], 20)
    read = Folders(str(tmp_path), labels=["bad", "so-so", "good"]).read()
    assert read.labels == ("bad", "so-so", "good")
    assert {split: len(texts) for split, texts in read.splits.items()} == {
        "train": 49,
        "valid": 5,
        "test": 6,
    }
    (tmp_path / "good" / "3.txt").write_text(" \n")
    with pytest.raises(InputError, match=r"good/3.txt is empty"):
        Folders(str(tmp_path)).read()


def test_folders_that_training_lacks(tmp_path):
    documents(tmp_path / "train", ["pos", "neg"], 10)
    documents(tmp_path / "test", ["pos", "neg", "neutral"], 2)
    read = Folders(str(tmp_path)).read()
    assert Counter(t.label for t in read.splits["test"]) == {"pos": 2, "neg": 2, "neutral": 2}
    notes = "".join(check_splits(read))
    assert "test has labels that never occur in training, so no model can" in notes
    chosen = Folders(str(tmp_path), labels=["pos", "neg"]).read()
    assert len(chosen.splits["test"]) == 4
    with pytest.raises(InputError, match=r"no folder 'negativ' with \.txt .* it has neg, pos"):
        Folders(str(tmp_path), labels=["pos", "negativ"]).read()
    (tmp_path / "test" / "pos" / "0.txt").write_text("a\0b")
    with pytest.raises(InputError, match=r"pos/0\.txt contains a NUL character"):
        Folders(str(tmp_path)).read()


def test_one_folder_of_labels(tmp_path):
    documents(tmp_path / "train", ["pos"])
    with pytest.raises(InputError, match=r"has pos with \.txt files; two or more folders"):
        Folders(str(tmp_path)).read()


ROWS = [("good , really", "1"), ('he said "no"\nand left\u0085', "0"), ("fine", "1"), ("bad", "0")]


def write_table(path, rows=ROWS, names=("review", "stars")):
    if path.suffix == ".jsonl":
        lines = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows]
        path.write_text("\r\n".join(lines) + "\n", encoding="utf-8")
        return path
    mark = "," if path.suffix == ".csv" else "\t"
    quoted = [[f'"{v.replace(chr(34), chr(34) * 2)}"' for v in row] for row in rows]
    ends = ["\r\n", "\n"]  # mixed on purpose
    text = mark.join(names) + "\n"
    text += "".join(mark.join(row) + ends[i % 2] for i, row in enumerate(quoted))
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_tables(tmp_path, ending):
    path = str(write_table(tmp_path / f"mine.{ending}"))
    source = Table(path, text="review", label="stars", valid=path, test=path)
    read = source.read()
    assert source.name == "mine"
    assert read.labels == ("0", "1")
    assert [(t.tokens, t.label) for t in read.splits["train"]] == [
        (("good", ",", "really"), "1"),
        (("he", "said", "``", "no", "''", "and", "left"), "0"),
        (("fine",), "1"),
        (("bad",), "0"),
    ]


def test_tables_hold_out_what_has_no_file(tmp_path):
    rows = [(f"text {i}", "even" if i % 2 == 0 else "odd") for i in range(100)]
    path = str(write_table(tmp_path / "t.csv", rows))
    read = Table(path, text="review", label="stars").read()
    assert {split: len(texts) for split, texts in read.splits.items()} == {
        "train": 81,
        "valid": 9,
        "test": 10,
    }
    assert Counter(t.label for t in read.splits["test"]) == {"even": 5, "odd": 5}
    assert not {t.tokens for t in read.splits["test"]} & {t.tokens for t in read.splits["train"]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            "text,stars\nx,1\n",
            "ends at line 2 of .* no column 'label', only 'text', 'stars'; .* --data.source.hea",
        ),
        ("a.csv", "text,label\nx\n", "row that ends at line 2 .* has 1 columns, but line 1 has 2"),
        (
            "a.csv",
            "text,label\nx,\n",
            "row that ends at line 2 of .* has no label; .*skip_unlabelled=true",
        ),
        ("a.csv", "", "a.csv is empty"),
        (
            "a.csv",
            "text;label\nx;1\n",
            "are separated by ';', but ',' is expected; add --data.source.d",
        ),
        ("a.csv", "text,label\n ,1\n", "contains no text in the column 'text'"),
        ("a.csv", "text,label\na\0b,1\n", "NUL"),
        ("a.csv", 'text,label\nx,1\n"open,1\ny,2\n', "row that begins at line 3 of .*end of data"),
        ("a.tsv", 'text\tlabel\n"A" film\t1\n', "begins at line 2 of .* add --data.source.quote=n"),
        (
            "a.csv",
            "text,label\rx,1\r",
            "a.csv has line ends of old Macintosh files .CR alone.; con",
        ),
        ("a.csv", "text,label\nx\ry,1\n", "line 2 of .* has a carriage return without a line feed"),
        ("a.csv", "text,label,label\nx,1,2\n", "several columns named 'label'; rename all but"),
        ("a.csv", "text,label\nx,1\n".encode("utf-16"), "is UTF-16 or .*`iconv -f UTF-16 -t UTF-8"),
        ("a.csv", "text,label\nx,1\0\n", "row that ends at line 2 of .* contains a NUL character"),
        (
            "a.jsonl",
            '{"text": "a \\ud83d", "label": 1}\n',
            "line 1 of .* half a char",
        ),
        ("a.jsonl", '{"text": ["a"], "label": 1}\n', "line 1 of .*: 'text' is a list; text is"),
        (
            "a.jsonl",
            '{"a": ' + "9" * 5000 + "}\n",
            "line 1 of .* is not valid JSON .Exceeds the limit",
        ),
        ("a.jsonl", "[" * 100_000 + "\n", "line 1 of .* is not valid JSON"),
        ("a.csv", "text,label\n" + "x" * 10_000_000 + ",1\n", "line 2 of .* has 1,000,000 bytes"),
        ("a.csv", b"text,label\ncaf\xe9,1\n", r"a.csv is not utf-8|is not UTF-8: byte 14"),
        ("a.jsonl", '{"text": "x"\n', "line 1 of .*a.jsonl is not valid JSON"),
        ("a.jsonl", "[1]\n", "line 1 of .* is not a JSON object"),
        ("a.jsonl", '{"text": "x"}\n', "has no column 'label'"),
        ("a.txt", "x\n", "no column 'text'|is empty|no text"),
        ("a.txt", "text,label\nx,1\n", r"separated by ',', but '\\t' is expected"),
        ("a.json", '[{"text": "x"}', "a.json is not valid JSON"),
        ("a.json", "[1]", "item 1 of .* is not a JSON object"),
        ("a.json", '{"text": "x"}\n', "line 1 of .* has no column 'label'"),
        ("a.jsonl", '{"text": {"en": "x"}, "label": 1}\n', "'text' is a dict; text is"),
        ("a.parquet", "PAR1 text", "cannot read row 1 of .*a.parquet .* a complete Parquet file"),
    ],
)
def test_what_is_wrong_in_a_table(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        Table(str(path)).read()


def test_labels_of_a_table_may_have_an_order(tmp_path):
    path = str(write_table(tmp_path / "t.csv"))
    settings = {"text": "review", "label": "stars", "valid": path, "test": path}
    read = Table(path, labels=["1", "0", "2"], **settings).read()
    assert read.labels == ("1", "0")
    assert read.is_ordinal
    assert Table(path, labels=[1, 0, 2], **settings).read().labels == ("1", "0")
    with pytest.raises(InputError, match="has the label '0', which is not in"):
        Table(path, labels=["1"], **settings).read()
    with pytest.raises(InputError, match=r"^no file none\.csv"):
        Table("none.csv").read()


def test_a_delimiter_is_declared(tmp_path):
    (tmp_path / "t.csv").write_text("text;label\na, b;1\nc;0\n")
    path = str(tmp_path / "t.csv")
    read = Table(path, valid=path, test=path, delimiter=";").read()
    assert read.splits["test"] == [LabelledText(("a", ",", "b"), "1"), LabelledText(("c",), "0")]
    with pytest.raises(InputError, match="delimiter is ';;'; a single character"):
        Table(path, delimiter=";;")
    with pytest.raises(InputError, match=r"is a folder; a file .* --data\.source=Folders"):
        Table(str(tmp_path)).read()


def test_rows_without_text_are_counted(tmp_path):
    path = str(write_table(tmp_path / "t.csv", [*ROWS, (" ", "1")]))
    read = Table(path, text="review", label="stars", valid=path, test=path).read()
    assert read.notes[0] == "1 rows of t.csv without text were skipped"


def test_made_folds_test_each_text_once(mr):
    tested = []
    for fold in range(4):
        read = TextFolds(MovieReviews(str(mr)), num_folds=4, fold=fold).read()
        own = MovieReviews(str(mr)).read()
        tested += read.splits["test"]
        everything = [text for texts in read.splits.values() for text in texts]
        assert sorted(everything) == sorted([*own.splits["train"], *own.splits["valid"]])
    assert sorted(tested) == sorted([*own.splits["train"], *own.splits["valid"]])
    with pytest.raises(InputError, match="fewer than 400 folds"):
        TextFolds(MovieReviews(str(mr)), num_folds=400).read()
    with pytest.raises(InputError, match="num_folds is 2; at least 3"):
        TextFolds(MovieReviews(str(mr)), num_folds=2)
