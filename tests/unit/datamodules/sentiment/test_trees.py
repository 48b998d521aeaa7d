"""Trees: expected phrases, agreement with NLTK, and malformed lines."""

import pytest
from nltk import Tree

from datamodules.sentiment.sst import Treebank
from datamodules.sentiment.trees import Phrase, parse_tree, read_trees
from pipeline.errors import InputError

LINE = "(3 (2 (2 The) (2 film)) (4 (3 (2 is) (4 good)) (2 .)))"


def test_a_tree_by_hand():
    assert parse_tree(LINE) == [
        Phrase(("The", "film", "is", "good", "."), 3),
        Phrase(("The", "film"), 2),
        Phrase(("The",), 2),
        Phrase(("film",), 2),
        Phrase(("is", "good", "."), 4),
        Phrase(("is", "good"), 3),
        Phrase(("is",), 2),
        Phrase(("good",), 4),
        Phrase((".",), 2),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(3 (2 a) (2 b)", "1 brackets are not closed"),
        ("(3 (2 a)) (2 b)", "a second tree begins at character 11"),
        ("(3 (2 a)))", "the bracket at character 10 closes nothing"),
        ("(5 a)", "a number from 0 to 4 and a space are expected at character 2, got '5 '"),
        ("(good a)", "got 'go'"),
        ("(3 )", "the node that ends at character 4 has no word"),
        ("a (3 b)", "character 1 is outside a tree"),
    ],
)
def test_what_is_no_tree(tmp_path, text, message):
    path = tmp_path / "train.txt"
    path.write_text(f"{LINE}\n\n{text}\n")
    with pytest.raises(InputError) as refused:
        list(read_trees(path))
    assert str(refused.value).startswith(f"line 3 of {path} is not a tree: ")
    assert message in str(refused.value)


@pytest.fixture
def treebank(tmp_path):
    lines = {
        "train": [LINE, "(2 (0 dull) (2 it))", "(1 (1 bad) (2 film))"],
        "dev": ["(1 bad)", "(2 so)"],
        "test": ["(4 good)"],
    }
    for name, trees in lines.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(trees) + "\n")
    return tmp_path


def test_two_labels_leave_out_what_is_neutral(treebank):
    corpus = Treebank(str(treebank)).read()
    assert [(t.label, len(t.tokens)) for t in corpus.splits["train"]] == [
        ("positive", 5),
        ("negative", 2),
    ]
    assert [(t.label, t.tokens) for t in corpus.splits["valid"]] == [("negative", ("bad",))]
    found = [[(t.label, " ".join(t.tokens)) for t in bag] for bag in corpus.phrases]
    positive = [("positive", "is good ."), ("positive", "is good"), ("positive", "good")]
    assert found == [positive, [("negative", "bad")], [("negative", "dull")]]
    assert corpus.notes[0] == "2 neutral sentences were excluded"


def test_five_labels(treebank):
    corpus = Treebank(str(treebank), labels="fine").read()
    assert [t.label for t in corpus.splits["train"]] == ["positive", "neutral", "negative"]
    assert corpus.is_ordinal
    assert len(corpus.phrases[0]) == 8


def test_a_missing_file_is_named(treebank):
    (treebank / "dev.txt").unlink()
    with pytest.raises(InputError, match=r"no file .*dev.txt; .*unroll prepare sst"):
        Treebank(str(treebank)).read()


def test_the_published_counts(real_data, monkeypatch):
    monkeypatch.setenv("UNROLL_DATA", str(real_data))
    corpus = Treebank().read()
    assert [len(corpus.splits[split]) for split in ("train", "valid", "test")] == [6920, 872, 1821]
    fine = Treebank(labels="fine").read()
    assert [len(fine.splits[split]) for split in ("train", "valid", "test")] == [8544, 1101, 2210]
    assert sum(map(len, fine.phrases)) + 8544 == 318_582
    assert sum("\u00a0" in token for t in fine.splits["train"] for token in t.tokens) > 0


def test_as_nltk_reads_them(real_data):
    path = real_data / "sst_trees" / "dev.txt"
    lines = path.read_text(encoding="utf-8").split("\n")
    for line, phrases in zip(lines[:300], read_trees(path), strict=False):
        if "\u00a0" in line:
            continue
        subtrees = list(Tree.fromstring(line).subtrees())
        assert phrases == [Phrase(tuple(t.leaves()), int(t.label())) for t in subtrees]
