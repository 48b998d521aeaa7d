"""Span scores against conlleval, seqeval, the paper's formula retyped, and the law of sums."""

import re
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
from seqeval.scheme import IOB2

from pipeline.metrics import SpanScores, TokenScores
from pipeline.text.tags import spans, types_of

TYPES = ("ORG", "PER")
KINDS = ("", "_strict", "_proportional", "_binary")
TAGS = ("O", "B-ORG", "I-ORG", "B-PER", "I-PER")
corpora = st.lists(
    st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), min_size=1, max_size=9),
    min_size=1,
    max_size=5,
).map(lambda rows: tuple([[pair[side] for pair in row] for row in rows] for side in (0, 1)))


def scores(gold, predicted, types=TYPES):
    metric = SpanScores(types)
    metric.update(gold, predicted)
    return {name: float(value) for name, value in metric.compute().items()}


def test_the_worked_example():
    found = scores([["O", "B-x", "I-x", "I-x", "O"]], [["O", "O", "B-x", "I-x", "B-x"]], ["x"])
    expected = {
        "precision_proportional": 0.5,
        "recall_proportional": 2 / 3,
        "f1_proportional": 4 / 7,
        "precision_binary": 0.5,
        "recall_binary": 1.0,
        "f1_binary": 2 / 3,
        "f1": 0.0,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(corpora)
def test_exact_scores_are_those_of_seqeval(corpus):
    gold, predicted = corpus
    found = scores(gold, predicted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, oracle in (
            ("precision", precision_score),
            ("recall", recall_score),
            ("f1", f1_score),
        ):
            arguments = {"zero_division": 0}
            assert found[name] == pytest.approx(oracle(gold, predicted, **arguments), abs=1e-12)
            arguments |= {"mode": "strict", "scheme": IOB2}
            strict = oracle(gold, predicted, **arguments)
            assert found[f"{name}_strict"] == pytest.approx(strict, abs=1e-12)
        if any(spans(row) for row in [*gold, *predicted]):
            report = classification_report(gold, predicted, output_dict=True, zero_division=0)
            for label in TYPES:
                if label in report:
                    assert found[f"f1_{label}"] == pytest.approx(report[label]["f1-score"])
                    assert found[f"recall_{label}"] == pytest.approx(report[label]["recall"])


@settings(max_examples=60, deadline=None)
@given(corpora)
def test_overlaps_are_those_of_the_paper(corpus):
    """Sets of tokens, retyped from the definition; types are counted apart and then summed."""
    precise, recalled, touching, touched, num_predicted, num_gold = 0.0, 0.0, 0, 0, 0, 0
    for true, found in zip(*corpus, strict=True):
        for label in TYPES:
            gold, predicted = (
                [set(range(s.start, s.end)) for s in spans(row) if s.label == label]
                for row in (true, found)
            )
            num_predicted, num_gold = num_predicted + len(predicted), num_gold + len(gold)
            precise += sum(len(p & g) / len(p) for p in predicted for g in gold)
            recalled += sum(len(p & g) / len(g) for p in predicted for g in gold)
            touching += sum(any(p & g for g in gold) for p in predicted)
            touched += sum(any(p & g for p in predicted) for g in gold)
    found = scores(*corpus)
    for name, right, whole in (
        ("precision_proportional", precise, num_predicted),
        ("recall_proportional", recalled, num_gold),
        ("precision_binary", touching, num_predicted),
        ("recall_binary", touched, num_gold),
    ):
        assert found[name] == pytest.approx(right / whole if whole else 0.0, abs=1e-12), name


@settings(max_examples=30, deadline=None)
@given(corpora, st.integers(0, 4))
def test_sums_of_parts_are_those_of_the_whole(corpus, cut):
    gold, predicted = corpus
    parts = [SpanScores(TYPES) for _ in range(2)]
    parts[0].update(gold[:cut], predicted[:cut])
    parts[1].update(gold[cut:], predicted[cut:])
    joined = SpanScores(TYPES)
    for name in joined._defaults:
        setattr(joined, name, sum(getattr(part, name) for part in parts))
    whole = SpanScores(TYPES)
    whole.update(gold, predicted)
    expected = whole.compute()
    for name, value in joined.compute().items():
        torch.testing.assert_close(value, expected[name], msg=name)


def test_a_type_that_training_lacks_is_missed():
    found = scores([["B-unseen", "I-unseen", "O", "B-PER"]], [["O", "O", "O", "B-PER"]])
    assert (found["recall"], found["precision"], found["recall_other"]) == (0.5, 1.0, 0.0)


def test_right_tokens_are_counted():
    found = scores([["O", "B-PER", "I-PER", "O"]], [["O", "B-PER", "I-PER", "B-ORG"]])
    assert (found["accuracy"], found["tokens"]) == (0.75, 4)


def test_a_lone_type_has_no_scores_of_its_own():
    names = {f"{name}{kind}" for name in ("precision", "recall", "f1") for kind in KINDS}
    counts = {"accuracy", "malformed", "malformed_gold", "sentences", "tokens"}
    found = scores([["B-PER"], ["O"]], [["B-PER"], ["O"]], ["PER"])
    assert set(found) == names | counts
    assert (found["sentences"], found["tokens"]) == (2, 2)
    of_types = {f"{name}_{label}" for name in ("precision", "recall", "f1") for label in TYPES}
    assert set(scores([["B-PER"]], [["B-PER"]])) == names | counts | of_types


def test_the_overlaps_of_each_type():
    """ORG: two of three tokens of a gold span are predicted; PER: a token of one of two spans."""
    metric = SpanScores(TYPES)
    gold = ["B-ORG", "I-ORG", "I-ORG", "O", "B-PER", "I-PER", "O", "B-PER"]
    metric.update([gold], [["B-ORG", "I-ORG", "O", "O", "B-PER", "O", "O", "O"]])
    precision, recall = metric.covered.tolist()
    assert (precision, recall) == ([1, 1, 0], [pytest.approx(2 / 3), 0.5, 0])
    assert metric.touched.tolist() == [[1, 1, 0], [1, 1, 0]]


def test_each_sentence_has_a_prediction():
    for metric, tag in ((SpanScores(TYPES), "O"), (TokenScores(["O"]), "O")):
        with pytest.raises(ValueError, match="zip"):
            metric.update([[tag]], [[tag], [tag]])
    with pytest.raises(ValueError, match="zip"):
        TokenScores(["O"]).update([["O", "O"]], [["O"]])


def test_malformed_tags_are_counted():
    found = scores([["O", "I-PER", "B-PER"]], [["I-ORG", "I-PER", "I-PER"]])
    assert (found["malformed"], found["malformed_gold"]) == (2, 1)


def test_nothing_at_all_scores_nothing():
    assert set(scores([["O"]], [["O"]]).values()) == {0.0, 1.0}  # accuracy, sentences, tokens
    with pytest.raises(ValueError, match="2 gold tags, but 1"):
        scores([["O", "O"]], [["O"]])


def columns(path, bare):
    gold, predicted, sentence = [], [], []
    for line in [*path.read_text(encoding="utf-8").split("\n"), ""]:
        fields = re.split("[ \t]", line) if line.strip() else []
        if fields:
            pair = [tag + bare if tag in "BI" else tag for tag in fields[-2:]]
            sentence.append(pair)
        elif sentence:
            gold.append([pair[0] for pair in sentence])
            predicted.append([pair[1] for pair in sentence])
            sentence = []
    return gold, predicted


@pytest.mark.parametrize(
    ("source", "answer", "bare"),
    [
        ("conlleval/conll2000_test300_iob2_noise10.in.txt", None, ""),
        ("conlleval/mpqa_dse400_bio_noise15.in.txt", None, "-DSE"),
        ("seqeval/ground_truth.txt", "seqeval/ground_truth.conlleval.out.txt", ""),
    ],
)
def test_conlleval_says_the_same(real_data, source, answer, bare):
    folder = real_data / "oracles"
    gold, predicted = columns(folder / source, bare)
    types = types_of({tag for row in [*gold, *predicted] for tag in row})
    found = scores(gold, predicted, types)
    text = (folder / (answer or source.replace(".in.", ".out."))).read_text(encoding="utf-8")
    overall = r"accuracy:\s+([\d.]+)%; precision:\s+([\d.]+)%; recall:\s+([\d.]+)%; FB1:\s+([\d.]+)"
    said = [float(number) for number in re.search(overall, text).groups()]
    ours = [100 * found[name] for name in ("accuracy", "precision", "recall", "f1")]
    assert ours == pytest.approx(said, abs=0.00501)
    each = r"^\s*(\S+): precision:\s+([\d.]+)%; recall:\s+([\d.]+)%; FB1:\s+([\d.]+)"
    rows = re.findall(each, text, re.MULTILINE)
    assert len(rows) == len(types)
    for label, *numbers in rows if len(types) > 1 else []:
        ours = [100 * found[f"{name}_{label}"] for name in ("precision", "recall", "f1")]
        assert ours == pytest.approx([float(number) for number in numbers], abs=0.00501), label


def test_labels_of_tokens():
    metric = TokenScores(["DT", "NN"])
    metric.update([["DT", "NN", "NN"], ["XX"]], [["DT", "NN", "DT"], ["NN"]])
    found = {name: float(value) for name, value in metric.compute().items()}
    # DT: one of two guesses, recall 1: F1 2/3; NN: one of two, one of two: 1/2; XX: never: 0
    expected = {"accuracy": 0.5, "macro_f1": (2 / 3 + 1 / 2 + 0) / 3, "tokens": 4, "sentences": 2}
    assert found == pytest.approx(expected)


def test_guesses_outside_the_label_set_count_as_one_label():
    metric = TokenScores(["DT"])
    metric.update([["DT", "DT"]], [["XX", "YY"]])
    assert metric.counts.tolist() == [[0, 0], [0, 2], [2, 0]]


def test_a_type_may_be_called_as_a_score_is():
    types = ("other", "strict")
    metric = SpanScores(types)
    metric.update([["B-zzz", "B-other", "B-strict"]], [["O", "B-other", "O"]])
    found = {name: float(value) for name, value in metric.compute().items()}
    assert found["recall_type_other"] == 1
    assert found["f1_type_strict"] == 0
    assert found["recall_other"] == 0  # of the type that the tag set lacks
    assert found["f1"] == found["f1_strict"] == 0.5
