import json

import pytest

from pipeline.reports import TaggingReport

TOKENS = [["A", "bad", "plan", "was", "rightly", "said", "no", "to"], ["Fine"], ["x", "y", "z"]]
GOLD = [["O", "B-E", "I-E", "O", "B-D", "I-D", "O", "O"], ["O"], ["B-D", "O", "O"]]
FOUND = [["O", "B-E", "I-E", "O", "O", "B-D", "O", "B-E"], ["O"], ["B-E", "O", "O"]]
CONFIDENCES = [[0.9, 0.6, 0.3], [], [0.5]]
NLL = [0.25, 3.0, 1.5]


@pytest.fixture
def report():
    return TaggingReport(TOKENS, GOLD, FOUND, CONFIDENCES, NLL)


def test_counts_by_hand(report):
    numbers = report.numbers()
    assert numbers["types"]["E"] == pytest.approx(
        {"precision": 1 / 3, "recall": 1.0, "f1": 0.5, "gold": 1, "predicted": 3}
    )
    assert numbers["types"]["D"]["f1"] == 0
    assert numbers["kinds"] == {
        "right": 1,
        "wrong boundary": 1,  # "said" of "rightly said"
        "wrong type": 1,  # x
        "spurious": 1,  # "to"
        "missed": 0,
    }
    lengths = {name: (row["gold"], row["predicted"]) for name, row in numbers["lengths"].items()}
    assert lengths == {"1": (1, 3), "2": (2, 1)}
    assert ["I-D", "B-D", 1] in numbers["confusion"]
    # confidences .9 (right), .6, .3, .5 (wrong): each in a bin of its own
    assert numbers["calibration_error"] == pytest.approx((0.1 + 0.6 + 0.3 + 0.5) / 4)


def test_files(report, tmp_path):
    files = {path.name: path for path in report.write(tmp_path / "new")}
    assert set(files) == {
        "errors.txt",
        "report.json",
        "items.json",
        "seqeval.txt",
        "confusion.png",
        "calibration.png",
    }
    assert json.loads(files["report.json"].read_text())["kinds"]["right"] == 1
    text = files["errors.txt"].read_text()
    assert "A [E bad plan] was [D rightly said] no to" in text
    assert "A [E bad plan] was rightly [D said] no [E to]" in text
    assert "Fine" not in text
    assert files["confusion.png"].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("gold", "found"), [([["O", "O"]], [["O", "O"]]), ([["NN", "DT"]], [["NN", "NN"]]), ([], [])]
)
def test_nothing_to_tell_is_no_error(gold, found, tmp_path):
    tokens = [["a", "b"] for _ in gold]
    confidences = [[0.5] * (2 if row[0] == "NN" else 0) for row in gold]
    files = TaggingReport(tokens, gold, found, confidences, [0.5] * len(gold)).write(tmp_path)
    assert all(path.stat().st_size for path in files)


def test_the_worst_sentences_have_the_highest_loss(report):
    """In the list of errors, only those with an error."""
    columns, rows = report.tables()["worst_sentences"]
    assert columns[:3] == ["sentence", "nll per token", "differences"]
    assert [row[:3] for row in rows] == [[2, 3.0, 0], [3, 1.5, 2], [1, 0.25, 3]]
    text = report.errors()
    assert text.index("sentence 3, 1.500 nats per token, 2 differences") < text.index("sentence 1,")
    assert "sentence 2," not in text
