"""Scores against the model's own distributions, one token at a time, whatever the batches."""

import math
import random

import pytest
import torch

import pipeline.inference.scoring.scorer as scorer_module
from pipeline.inference.scoring import InputLine, Scorer, Totals
from pipeline.inference.scoring.scorer import perplexity
from tests.examples import SIX_WORDS as WORDS
from tests.examples import language_model


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
