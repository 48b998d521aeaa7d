"""Scores against the model's own distributions, one token at a time, whatever the batches."""

import itertools
import json
import math
import random

import pytest
import torch

import pipeline.inference.scoring.scorer as scorer_module
from pipeline.inference.scoring import InputLine, ScoreFormat, Scorer, Totals
from pipeline.inference.scoring.scorer import perplexity
from tests.examples import SIX_WORDS as WORDS
from tests.examples import language_model, refuses


@pytest.fixture
def trained():
    return language_model()


def sentences(count, longest=30):
    rng = random.Random(1)
    words = ["a", "b", "c", "d", "zebra", "<unk>"]
    return [" ".join(rng.choices(words, k=rng.randint(0, longest))) for _ in range(count)]


def lines(texts):
    return iter([InputLine(number, text) for number, text in enumerate(texts, 1)])


def read_as(text):
    return [WORDS.index(w) if w in WORDS else WORDS.index("<unk>") for w in text.split()] + [0]


@torch.no_grad()
def by_hand(model, ids, past=(0,)):
    """log softmax(W h + b) after all that came before, read anew for each token."""
    found = []
    for place, target in enumerate(ids):
        before = torch.tensor([[*past, *ids[:place]]])
        state = model.encoder(model.embedding(before)).states[0, -1].double()
        logits = (model.head.weight.double() @ state + model.head.bias.double()).tolist()
        found.append(logits[target] - math.log(sum(math.exp(logit) for logit in logits)))
    return found


def test_each_sentence_starts_afresh(trained):
    texts = ["a b zebra", "", "c", "c", "d <unk> d a"]
    for scored, text in zip(Scorer(trained).score(lines(texts)), texts, strict=True):
        ids = read_as(text)
        expected = by_hand(trained.model, ids)
        assert scored.log_probs == pytest.approx(expected, rel=1e-5)
        assert scored.tokens == [*text.split(), "<eos>"]
        assert scored.is_unknown == [index == 5 for index in ids]
        assert scored.log_prob == pytest.approx(sum(expected), rel=1e-5)
        assert scored.perplexity == pytest.approx(math.exp(-sum(expected) / len(ids)), rel=1e-5)


def test_a_stream_goes_on_from_line_to_line(trained, monkeypatch):
    monkeypatch.setattr(scorer_module, "_MAX_SENTENCES", 2)  # chunks within the stream
    texts, past = ["a b zebra", "", "c", "c", "d <unk> d a"], [0]
    for scored, text in zip(Scorer(trained, True).score(lines(texts)), texts, strict=True):
        ids = read_as(text)
        assert scored.log_probs == pytest.approx(by_hand(trained.model, ids, past), rel=1e-5)
        past += ids


@pytest.mark.parametrize("is_stream", [False, True])
def test_no_batch_chunk_or_window_shows(trained, monkeypatch, is_stream):
    """Batch = single, and the order is the input's."""
    texts = sentences(300)
    whole = list(Scorer(trained, is_stream).score(lines(texts)))
    for name, value in (("_MAX_SENTENCES", 1), ("_MAX_TOKENS", 50), ("_MAX_STEPS", 3)):
        monkeypatch.setattr(scorer_module, name, value)
        parts = list(Scorer(trained, is_stream).score(lines(texts)))
        assert [one.line.text for one in parts] == texts
        found, expected = ([p for one in x for p in one.log_probs] for x in (parts, whole))
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def pieces_of(text, number, rng):
    """A line cut before some of its spaces."""
    cuts = [place for place, mark in enumerate(text) if mark == " " and rng.random() < 0.4]
    bounds = [0, *cuts, len(text)]
    last = len(bounds) - 2
    return [
        InputLine(number, text[start:end], index == 0, index == last)
        for index, (start, end) in enumerate(itertools.pairwise(bounds))
    ]


@pytest.mark.parametrize("unit", ["word", "character"])
@pytest.mark.parametrize("is_stream", [False, True])
def test_pieces_of_lines_are_scored_as_whole_lines(trained, unit, is_stream):
    rng = random.Random(2)
    trained = trained._replace(data={**trained.data, "unit": unit})
    texts = [f"<s> {text} </s>" if rng.random() < 0.2 else text for text in sentences(60)]
    cut = [piece for n, text in enumerate(texts, 1) for piece in pieces_of(text, n, rng)]
    assert len(cut) > 200
    whole_totals, totals = Totals(), Totals()
    whole = list(whole_totals.add(Scorer(trained, is_stream).score(lines(texts))))
    parts = list(totals.add(Scorer(trained, is_stream).score(iter(cut))))
    assert [one for part in parts for one in part.tokens] == [
        t for one in whole for t in one.tokens
    ]
    found, expected = ([p for one in x for p in one.log_probs] for x in (parts, whole))
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert totals.num_sentences == whole_totals.num_sentences == 60
    for form in (ScoreFormat("tsv"), ScoreFormat("tsv", tokens=True), ScoreFormat("jsonl", True)):
        rows = [list(form.rows(scored)) for scored in (parts, whole)]
        assert len(rows[0]) == len(rows[1])
        if form.name == "tsv":
            numbers = [
                [float(cell) for row in each for cell in row.split("\t") if "." in cell]
                for each in rows
            ]
            assert numbers[0] == pytest.approx(numbers[1], rel=1e-5, abs=1e-5)
    texts_again = [json.loads(row)["text"] for row in ScoreFormat("jsonl").rows(parts)]
    assert texts_again == texts


def test_lines_that_are_no_sentences(trained):
    scorer = Scorer(trained)
    assert len(list(scorer.score(lines(["<s> a </s>", "a", "<s> </s>"])))) == 3
    assert scorer.num_marked == 2
    with refuses(
        "line 2 has <s> inside of a sentence; expected it only around whole lines: write "
        "one sentence per line, or rename the word"
    ):
        list(Scorer(trained).score(lines(["a", "a <s> b"])))


def test_a_typed_line_is_answered_before_the_next_is_read(trained):
    asked = []

    def typed():
        for line in lines(["a", "b"]):
            asked.append(line.number)
            yield line

    answers = Scorer(trained, is_interactive=True).score(typed())
    next(answers)
    assert asked == [1]


def test_the_two_perplexities(trained):
    totals = Totals()
    scored = list(totals.add(Scorer(trained).score(lines(["a zebra", "", "<unk> b"]))))
    every = [p for one in scored for p in one.log_probs]
    places = [1, 4]  # a zebra <eos> | <eos> | <unk> b <eos>
    known = [p for place, p in enumerate(every) if place not in places]
    with_unknown = math.exp(-sum(every) / 7)
    without = math.exp(-sum(known) / 5)
    assert totals.summary("word", 6) == (
        "3 sentences, 7 tokens including one <eos> per sentence; 2 tokens are unknown: not among"
        " the model's 6 words, or written <unk>\n"
        f"log-probability {sum(every):.4f} (natural logarithm), {sum(every) / math.log(10):.4f}"
        " (base 10)\n"
        f"perplexity including unknown words {with_unknown:.4f}: over all 7 tokens; unknown"
        " words are scored as <unk>\n"
        f"perplexity excluding unknown words {without:.4f}: over the other 5 tokens; unknown"
        " words are read as context but not counted"
    )


def test_characters_have_bits(trained):
    data = {**trained.data, "unit": "character"}
    totals = Totals()
    (scored,) = totals.add(Scorer(trained._replace(data=data)).score(lines([" a bä "])))
    assert scored.tokens == ["a", " ", "b", "ä", "<eos>"]
    assert scored.is_unknown == [False, True, False, True, False]
    assert totals.summary("character", 6).startswith("1 sentence, 5 tokens ")
    bits = -scored.log_prob / 5 / math.log(2)
    assert f", {bits:.4f} bits per character\n" in totals.summary("character", 6)


@pytest.mark.parametrize(("log_prob", "expected"), [(0.0, 1.0), (-1e4, math.inf)])
def test_a_perplexity_may_be_infinite(log_prob, expected):
    assert perplexity(log_prob, 2) == expected
    assert perplexity(-math.inf, 3) == math.inf
