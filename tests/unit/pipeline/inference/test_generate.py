"""Sampled text follows the model: greedy search, frequencies, line ends, unknown words."""

import pytest
import torch

from pipeline.checkpoints.read import Trained
from pipeline.encoders import LSTM
from pipeline.inference.generate import generate, generate_texts, sample_ids
from pipeline.options import Sampling
from pipeline.text.vocabulary import Vocabulary
from tasks.language_model import LanguageModel
from tests.examples import refuses

WORDS = ["<eos>", "a", "b", "c", "d", "<unk>"]
ONE = Sampling(
    num=1, length=12, lines=1, temperature=1.0, top_k=None, top_p=None, seed=1, allow_unk=False
)


@pytest.fixture
def trained():
    torch.manual_seed(4)
    model = LanguageModel(LSTM(3, 5), vocabulary=Vocabulary(WORDS), embedding_scale=2.0).eval()
    torch.nn.init.normal_(model.head.weight, std=2.0)
    return Trained(model, {"vocabulary": WORDS, "unit": "word"}, {})


@torch.no_grad()
def next_log_probs(trained, ids):
    """The distribution after a whole text read at once, without any carry."""
    states = trained.model.encoder(trained.model.embedding(torch.tensor([ids]))).states
    return trained.model.head.log_distribution(states[:, -1])[0]


@pytest.mark.parametrize("prompt", [[], [1, 2], [4, 4, 4]])
def test_greedy_is_the_likeliest_each_time(trained, prompt):
    expected, text = [], [0, *prompt]
    for _ in range(12):
        log_probs = next_log_probs(trained, text)
        log_probs[5] = -torch.inf  # <unk>
        best = int(log_probs.argmax())
        if best == 0:
            break
        expected.append(best)
        text.append(best)
    greedy = ONE._replace(temperature=0.0)
    assert sample_ids(trained, Vocabulary(WORDS), prompt, greedy) == [expected]


def test_frequencies_are_the_models(trained):
    """First two tokens of 20,000 samples against the product of the model's probabilities."""
    many = ONE._replace(num=20_000, length=2, lines=5, allow_unk=True)
    rows = sample_ids(trained, Vocabulary(WORDS), [2], many)
    for first in range(6):
        share = sum(row[0] == first for row in rows) / len(rows)
        p_first = next_log_probs(trained, [0, 2]).exp()[first].item()
        assert share == pytest.approx(p_first, abs=4 * (p_first / len(rows)) ** 0.5 + 1e-4)
        for second in range(6):
            p_second = next_log_probs(trained, [0, 2, first]).exp()[second].item()
            both = sum(row[0] == first and row[1] == second for row in rows) / len(rows)
            expected = p_first * p_second
            assert both == pytest.approx(expected, abs=4 * (expected / len(rows)) ** 0.5 + 1e-4)


def test_seeds_lengths_and_lines(trained):
    sampling = ONE._replace(num=4, length=30, lines=3)
    texts = generate_texts(trained, "a b", sampling)
    assert texts == generate_texts(trained, "a b", sampling)
    assert texts != generate_texts(trained, "a b", sampling._replace(seed=2))
    assert all(text.startswith("a b") for text in texts)
    for text in texts:
        lines = text.split("\n")
        words = text.split()
        assert "<unk>" not in words
        assert len(lines) == 3 or len(words) + len(lines) - 1 == 30 + 2


def test_unknown_words_are_named(trained, capsys):
    (text,) = generate_texts(trained, "a zebra b", ONE)
    assert "so the prompt has <unk> for 'zebra'" in capsys.readouterr().err
    assert text.startswith("a zebra b")


def test_characters(trained):
    text = generate_texts(
        trained._replace(data={**trained.data, "unit": "character"}), "ab", ONE._replace(length=3)
    )[0]
    assert text.startswith("ab")
    assert " " not in text


def test_what_is_known_is_left_out(trained, capsys):
    sampling = ONE._replace(num=6, length=2)
    every = {text for seed in range(1, 21) for text in texts_of(trained, sampling, seed)} - {""}
    known = set(sorted(every)[::2])
    new = generate_texts(trained, "", sampling, known)
    assert len(set(new)) == len(new) == 6
    assert set(new) <= every - known
    assert capsys.readouterr().err == ""
    few = generate_texts(trained, "", sampling, every - {sorted(every)[0]})
    assert few == [sorted(every)[0]]
    assert capsys.readouterr().err == "found only 1 new texts, not 6, among 120 sampled texts\n"


def texts_of(trained, sampling, seed):
    return generate_texts(trained, "", sampling._replace(seed=seed))


@pytest.mark.parametrize(
    ("changes", "is_noted"),
    [
        ({"temperature": 0.0}, True),
        ({"top_k": 1}, True),
        ({"temperature": 0.0, "num": 1}, False),
        ({"top_k": 2}, False),
    ],
)
def test_texts_that_are_all_the_same_are_noted(trained, monkeypatch, capsys, changes, is_noted):
    monkeypatch.setattr("pipeline.inference.generate.locate", lambda *_: None)
    monkeypatch.setattr("pipeline.inference.generate.load_trained", lambda *_: trained)
    sampling = Sampling(**{"num": 3, "length": 4, **changes})
    assert generate(None, None, "a", sampling) == 0
    done = capsys.readouterr()
    assert ("note: all texts are the same, since only the most probable" in done.err) == is_noted
    if is_noted:
        assert len(set(done.out.splitlines())) == 1
    with refuses(
        "the prompt has <s> inside of a sentence; expected it only around whole lines: "
        "write one sentence per line, or rename the word"
    ):
        generate_texts(trained, "a <s> b", sampling)
