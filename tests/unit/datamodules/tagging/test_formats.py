"""Files as published corpora have them: UD, CoNLL-2002, GermEval, MultiCoNER, Hugging Face."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datamodules.batching.folds import SentenceFolds
from datamodules.tagging.column_file import read_column_file
from datamodules.tagging.columns import Columns
from datamodules.tagging.statistics import describe_tagged
from pipeline.errors import InputError
from pipeline.text.layout import ColumnLayout


def conllu(*rows):
    return "".join(
        "\t".join([*row.split(), *["_"] * (10 - len(row.split()))]) + "\n" for row in rows
    )


EWT = (
    "# newdoc id = a\n# sent_id = 1\n# text = It's # here\n"
    + conllu("1-2 It's _ _", "1 It it PRON", "2 's be AUX", "3 # # SYM", "4 here here ADV")
    + "\n# sent_id = 2\n# text = Read\n"
    + conllu("0.1 You you PRON", "1 Read read VERB", "1.1 it it PRON", "2-3 cannot _ _")
    + conllu("2 can can AUX", "3 not not PART")
    + "\n"
)


def write(folder, suffix=".txt", encoding="utf-8", **texts):
    for split, text in texts.items():
        (folder / f"{split}{suffix}").write_text(text, encoding=encoding)
    return str(folder)


def all_splits(text):
    return dict.fromkeys(("train", "dev", "test"), text)


def words(sentences):
    return [list(zip(s.tokens, s.tags, strict=True)) for s in sentences]


@pytest.mark.parametrize(
    "columns", [{"tag": "upos"}, {"token": "FORM", "tag": 3}, {"token": 1, "tag": -7}]
)
def test_universal_dependencies_as_distributed(tmp_path, columns):
    folder = write(tmp_path, ".conllu", **{f"en_ewt-ud-{k}": v for k, v in all_splits(EWT).items()})
    corpus = Columns(folder, scheme="none", features={"lemma": "lemma"}, **columns).read()
    assert words(corpus.splits["train"]) == [
        [("It", "PRON"), ("'s", "AUX"), ("#", "SYM"), ("here", "ADV")],
        [("Read", "VERB"), ("can", "AUX"), ("not", "PART")],
    ]
    assert corpus.splits["test"][1].columns == (("read", "can", "not"),)
    assert corpus.notes == (
        "15 comment lines were skipped",
        "6 ranges (1-2) of CoNLL-U were skipped",
        "6 empty nodes (8.1) of CoNLL-U were skipped",
    )
    bare = "".join(line for line in EWT.splitlines(True) if not line.startswith("# "))
    other = tmp_path / "other"
    other.mkdir()
    again = Columns(write(other, **all_splits(bare)), scheme="none", **columns).read()
    assert [s.tokens for s in again.splits["train"]] == [s.tokens for s in corpus.splits["train"]]


def test_the_tag_column_of_conllu_must_be_chosen(tmp_path):
    folder = write(tmp_path, **all_splits(EWT))
    with pytest.raises(InputError, match=r"line 4 of .* is CoNLL-U, .* --data.source.tag=upos"):
        Columns(folder).read()
    with pytest.raises(InputError, match="no column 'pos' for tag; one of id, form, lemma, upos"):
        Columns(folder, tag="pos").read()
    (tmp_path / "plain").mkdir()
    folder = write(tmp_path / "plain", **all_splits("a B-x\n"))
    with pytest.raises(
        InputError, match="'form' for token; an index from 0 to 1, because only CoN"
    ):
        Columns(folder, token="form").read()


def test_conllu_plus_names_its_columns(tmp_path):
    text = "# global.columns = ID FORM NE:TAG\n# id\n1-2\tdel\t_\n1\tde\tO\n2\tel\tB-LOC\n\n"
    folder = write(tmp_path, ".conllup", **all_splits(text))
    for tag in (None, "ne:tag"):
        corpus = Columns(folder, tag=tag).read()
        assert words(corpus.splits["test"]) == [[("de", "O"), ("el", "B-LOC")]]
    (tmp_path / "train.conllup").write_text(text.replace("1\tde", "1\tde\tx"))
    with pytest.raises(InputError, match=r"line 4 of .* has 4 columns .* but line 3 has 3"):
        read_column_file(tmp_path / "train.conllup")
    (tmp_path / "train.conllup").write_text(text.replace(" NE:TAG", ""))
    with pytest.raises(InputError, match=r"line 3 of .* has 3 columns, but the line .* names 2"):
        read_column_file(tmp_path / "train.conllup")


GERMEVAL = "#\thttp://de.wikipedia.org/a\t[2010]\n1\tSchartau\tB-PER\tO\n2\tsagte\tO\tB-LOC\n\n"
MULTICONER = (
    "# id 5239d8\tdomain=en\nit _ _ O\n# _ _ O\nparis _ _ B-LOC\n\n\n"
    "# id 7\tdomain=en\nlondon _ _ B-LOC\n"
)


def test_comments_of_germeval_and_multiconer(tmp_path):
    folder = write(tmp_path, ".tsv", **{f"NER-de-{k}": v for k, v in all_splits(GERMEVAL).items()})
    corpus = Columns(folder, token=1, tag=2).read()
    assert words(corpus.splits["test"]) == [[("Schartau", "B-PER"), ("sagte", "O")]]
    assert corpus.notes == ("3 comment lines were skipped",)
    (tmp_path / "en").mkdir()
    folder = write(
        tmp_path / "en", ".conll", **{f"en_{k}": v for k, v in all_splits(MULTICONER).items()}
    )
    corpus = Columns(folder).read()
    assert words(corpus.splits["test"]) == [
        [("it", "O"), ("#", "O"), ("paris", "B-LOC")],
        [("london", "B-LOC")],
    ]
    assert corpus.notes == ("6 comment lines were skipped",)


TWEETS = "# O\ntag B-x\n\n# O\n\n#nlp O\n# O\n"


def test_tokens_that_are_marks_are_no_comments(tmp_path):
    folder = write(tmp_path, **all_splits(TWEETS))
    corpus = Columns(folder).read()
    read = [["#", "tag"], ["#"], ["#nlp", "#"]]
    assert [[*s.tokens] for s in corpus.splits["train"]] == read
    assert corpus.notes == (
        "6 sentences begin with the token #; if these lines are comments, skip them with"
        " --data.source.comments=skip",
    )
    skipping = Columns(folder, comments="skip").read()
    assert [[*s.tokens] for s in skipping.splits["train"]] == [["tag"]]
    assert skipping.notes == ("12 comment lines were skipped",)
    odd = write(tmp_path, **all_splits("# a comment\n" + TWEETS))
    assert [[*s.tokens] for s in Columns(odd).read().splits["train"]] == read
    with pytest.raises(InputError, match=r"line 2 of .* has 2 columns .* but line 1 has 3"):
        Columns(odd, comments="none").read()
    only = write(tmp_path, **all_splits("# B-x\n\n# B-x\n"))
    assert [s.tokens for s in Columns(only).read().splits["test"]] == [("#",), ("#",)]


SPANISH = "Melbourne B-LOC\n( O\nEspa\xf1a B-LOC\n) O\n\n"


def test_spanish_of_conll2002_is_latin1(tmp_path):
    texts = {"esp.train": SPANISH * 3, "esp.testa": SPANISH, "esp.testb": SPANISH}
    folder = write(tmp_path, "", "latin-1", **texts)
    corpus = Columns(folder, encoding="latin-1").read()
    assert corpus.splits["valid"][0].tokens == ("Melbourne", "(", "Espa\xf1a", ")")
    with pytest.raises(
        InputError, match=r"esp.train is not UTF-8: .*--data.source.encoding=cp1252"
    ):
        Columns(folder).read()
    text = describe_tagged(corpus, {"Melbourne"})
    assert "note: 1 sentences of valid also occur in train: a model may have memorized them" in text
    assert "note: 1 sentences of test also occur in train: a model may have memorized them" in text


@pytest.mark.parametrize(
    ("tags", "scheme", "bio"),
    [
        ("LOC LOC O O O O O PER LOC", "IO", "B-LOC I-LOC O O O O O B-PER B-LOC"),
        ("B-ORG M-ORG E-ORG S-LOC O", "BIOES", "B-ORG I-ORG I-ORG B-LOC O"),
        ("b-org i-org o b-org", "IOB2", "B-org I-org O B-org"),
    ],
)
def test_schemes(tmp_path, tags, scheme, bio):
    text = "".join(f"w {tag}\n" for tag in tags.split())
    corpus = Columns(write(tmp_path, **all_splits(text))).read()
    assert (corpus.scheme, corpus.splits["train"][0].tags) == (scheme, tuple(bio.split()))
    assert Columns(str(tmp_path), scheme=scheme).read().splits == corpus.splits


def test_a_single_file_is_divided(tmp_path):
    path = tmp_path / "ner.conll"
    path.write_text("".join(f"w{i} B-x\n\n" for i in range(40)))
    source = Columns(str(path), test_fraction=0.25)
    corpus = source.read()
    assert source.name == "ner"
    sizes = {split: len(part) for split, part in corpus.splits.items()}
    assert sizes == {"train": 27, "valid": 3, "test": 10}
    tokens = [s.tokens[0] for split in ("train", "valid", "test") for s in corpus.splits[split]]
    assert tokens == [f"w{i}" for i in range(40)]
    assert corpus.held_out["test"] == (
        "no test file: the last 10 of 40 training sentences are used for testing only"
    )
    folds = [SentenceFolds(source, 4, fold).read() for fold in range(4)]
    tested = [s.tokens[0] for fold in folds for s in fold.splits["test"]]
    assert sorted(tested) == sorted(tokens)
    assert "from all 40 sentences; sentences of one" in folds[0].notes[-1]


def test_the_resolved_layout_is_that_of_new_files(tmp_path):
    folder = write(tmp_path, **all_splits("1 a NN B-x\n"))
    corpus = Columns(folder, token=-3, features={"pos": -2}, separator="space").read()
    assert corpus.layout == ColumnLayout(1, 3, {"pos": 2}, "space", "auto", "IOB2", "span")
    (tmp_path / "ud").mkdir()
    folder = write(tmp_path / "ud", **all_splits(EWT))
    corpus = Columns(folder, tag="upos", scheme="none").read()
    assert corpus.layout == ColumnLayout(None, "upos", {}, "auto", "auto", "labels", "span")


ROWS = [
    {"id": "0", "tokens": ["EU", "rejects"], "ner_tags": [1, 0], "pos": ["NNP", "VBZ"]},
    {"id": "1", "tokens": [], "ner_tags": [], "pos": []},
    {"id": "2", "tokens": ["Peter"], "ner_tags": [2], "pos": ["NNP"]},
]
NAMES = ["O", "B-ORG", "B-PER"]
TYPES = {"ner_tags": {"feature": {"names": NAMES, "_type": "ClassLabel"}, "_type": "Sequence"}}
METADATA = {b"huggingface": json.dumps({"info": {"features": TYPES}}).encode()}


@pytest.mark.parametrize("form", ["jsonl", "json", "parquet", "shards", "folders"])
def test_tables_with_lists_of_tokens_and_tags(tmp_path, form):
    named = [row | {"ner_tags": [NAMES[tag] for tag in row["ner_tags"]]} for row in ROWS]
    table = pa.Table.from_pylist(ROWS).replace_schema_metadata(METADATA)
    for split in ("train", "validation", "test"):
        if form == "json":
            (tmp_path / f"{split}.json").write_text(json.dumps(named))
        elif form == "jsonl":
            text = "".join(json.dumps(row) + "\n" for row in named)
            (tmp_path / f"{split}.jsonl").write_text(text)
        elif form == "parquet":
            pq.write_table(table, tmp_path / f"{split}.parquet")
        elif form == "shards":
            for i in range(2):
                part = table.slice(2 * i, 2)
                pq.write_table(part, tmp_path / f"{split}-0000{i}-of-00002.parquet")
        else:
            (tmp_path / split).mkdir()
            file = tmp_path / split / "data-00000-of-00001.arrow"
            with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:
                out.write_table(table)
    corpus = Columns(str(tmp_path), features={"pos": "pos"}).read()
    assert words(corpus.splits["valid"]) == [
        [("EU", "B-ORG"), ("rejects", "O")],
        [("Peter", "B-PER")],
    ]
    assert corpus.splits["test"][0].columns == (("NNP", "VBZ"),)
    assert (corpus.notes, corpus.layout) == (("3 rows without tokens were skipped",), None)
    with pytest.raises(InputError, match=r"no field 'words', only 'id', 'tokens', .*source\.token"):
        Columns(str(tmp_path), token="words").read()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"tokens": ["a", "b"], "tags": ["O"]},
            "line 1 of .* has 2 tokens, 1 tags; lists of equal",
        ),
        ({"tokens": "a b", "tags": ["O"]}, "'tokens' is not a list"),
        ({"tokens": ["a"], "tags": [3]}, "'tags' contains 3; strings are expected"),
        ({"tokens": [""], "tags": ["O"]}, "'tokens' contains ''; strings that are not empty"),
        ({"tokens": ["a\tb"], "tags": ["O"]}, "without TAB and line ends"),
        ({"tokens": ["a\0"], "tags": ["O"]}, "contains a NUL character"),
        ({"tokens": ["\ud83d"], "tags": ["O"]}, "half a character"),
        (
            {"tokens": ["a"], "tags": ["X-y"]},
            "line 1 of .*: tag 'X-y' does not belong to any scheme",
        ),
        (
            {"tokens": ["a"]},
            "no field 'tags', only 'tokens'; name the field with --data.source.tag",
        ),
        ({"tokens": []}, "no field 'tags'"),
    ],
)
def test_what_is_wrong_in_a_table(tmp_path, row, message):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(InputError, match=message):
        Columns(str(path)).read()
