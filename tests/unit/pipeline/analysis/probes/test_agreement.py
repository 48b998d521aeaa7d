"""Agreement: the probe set, and the judgement of models whose answers are known."""

import math
from collections import Counter

import pytest
import torch

from datamodules.language_model.builtin import Agreement, agreement_probe, generate_sentences
from pipeline.analysis.probes.agreement import RANGES, Judged, by_attractors, by_range, judge
from pipeline.checkpoints.read import Trained
from pipeline.encoders import GRU
from pipeline.errors import InputError
from pipeline.text.vocabulary import EOS, UNK, Vocabulary
from tasks.language_model import LanguageModel

VERBS = agreement_probe((0, 3, 9), 20)
WORDS = sorted({word for one in VERBS for word in (*one.words, one.wrong)})
VOCABULARY = Vocabulary([EOS, UNK, *WORDS])


def trained(model, unit="word"):
    return Trained(model, {"vocabulary": VOCABULARY.words, "unit": unit}, {})


def test_the_probe_has_as_many_verbs_of_each_range():
    counts = Counter(
        (one.verb - one.subject - 1 >= 3) + (one.verb - one.subject - 1 >= 9) for one in VERBS
    )
    assert counts == {0: 20, 1: 20, 2: 20}
    longest = agreement_probe((0, 12), 5)
    assert max(one.verb - one.subject - 1 for one in longest) >= 12
    test = {tuple(words) for words in generate_sentences(3, 2000)}
    assert sum(one.words in test for one in longest if len(one.words) > 8) == 0


def test_ranges_that_the_grammar_has_not(monkeypatch):
    monkeypatch.setattr("datamodules.language_model.builtin._MAX_PROBE_SENTENCES", 2000)
    with pytest.raises(InputError, match="fewer than 5 verbs of some range"):
        agreement_probe((0, 40), 5)


@torch.no_grad()
def test_the_margins_are_those_of_one_sentence_at_a_time():
    torch.manual_seed(2)
    model = LanguageModel(GRU(4, 5), VOCABULARY).double().eval()
    found = judge(trained(model), VERBS)
    for one, judged in zip(VERBS, found, strict=True):
        tokens = torch.tensor([VOCABULARY.encode([EOS, *one.words[: one.verb]])])
        states, _ = model(tokens, None)
        log_probs = model.head.log_distribution(states[0, -1])
        right, wrong = VOCABULARY.encode([one.words[one.verb], one.wrong])
        assert judged.margin == pytest.approx(float(log_probs[right] - log_probs[wrong]))
        assert judged.distance == one.verb - one.subject - 1
        assert judged.attractors == one.attractors


def test_shares_by_range_and_by_attractors():
    judged = [
        Judged(0, 0, 1.0),
        Judged(1, 0, -1.0),
        Judged(2, 1, 0.0),  # as likely: not right
        Judged(5, 1, 0.5),
        Judged(14, 2, 0.1),
    ]
    assert by_range(judged) == [("0", 1, 1), ("1-2", 0, 2), ("3-5", 1, 1), ("12+", 1, 1)]
    assert by_range(judged, (0, 2)) == [("0-1", 1, 2), ("2+", 2, 3)]
    assert by_attractors(judged) == [("0", 1, 2), ("1", 1, 2), ("2", 1, 1)]
    assert by_range(judged)[1].accuracy == 0
    assert RANGES[0] == 0


def test_models_that_cannot_be_asked():
    model = LanguageModel(GRU(4, 5), VOCABULARY)
    stranger = Agreement(("the", "xylophone", "is"), 2, 1, "singular", 0, "are")
    with pytest.raises(InputError, match="the model lacks 'xylophone'"):
        judge(trained(model), [stranger])
    with pytest.raises(InputError, match="the model reads characters"):
        judge(trained(model, "character"), VERBS)


def test_a_model_of_the_last_noun_is_right_without_attractors_only():
    """A table of what comes after each last noun: right where no attractor is the last noun."""
    numbers = {}
    everything = agreement_probe((0,), 3000)
    for one in everything:
        numbers[one.words[one.subject]] = one.number
        numbers[one.words[one.verb]] = one.number
        numbers[one.wrong] = {"singular": "plural", "plural": "singular"}[one.number]
    nouns = {one.words[one.subject] for one in everything}
    words = [
        EOS,
        UNK,
        *sorted({w for one in VERBS for w in (*one.words, one.wrong)} | set(numbers)),
    ]
    signs = torch.tensor(
        [{"singular": 1.0, "plural": -1.0}.get(numbers.get(w), 0.0) for w in words]
    )
    is_noun = torch.tensor([w in nouns for w in words])

    class LastNoun(torch.nn.Module):
        vocabulary = Vocabulary(words)
        head = property(lambda self: self)

        def forward(self, tokens, carry):
            states = torch.zeros(*tokens.shape, 1)
            for row, sentence in enumerate(tokens.tolist()):
                last = 0.0
                for step, token in enumerate(sentence):
                    last = float(signs[token]) if is_noun[token] else last
                    states[row, step, 0] = last
            return states, ()

        def log_distribution(self, states):
            return (states * signs).log_softmax(-1)

    model = Trained(LastNoun(), {"vocabulary": words, "unit": "word"}, {})
    found = judge(model, VERBS)
    for one, judged in zip(VERBS, found, strict=True):
        between = [w for w in one.words[: one.verb] if w in nouns]
        assert judged.is_right == (numbers[between[-1]] == one.number)
        assert math.isclose(abs(judged.margin), 2.0, rel_tol=1e-6)
    assert {share.group: share.accuracy for share in by_attractors(found)}["0"] == 1.0
