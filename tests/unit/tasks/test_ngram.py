"""The n-gram task follows the networks' protocol, exactly, however the text is cut."""

import numpy as np
import pytest
import torch

from pipeline.batches import IGNORE_INDEX
from pipeline.ngrams import AddDelta, KneserNey, count
from pipeline.text.vocabulary import Vocabulary
from tasks.ngram import NgramLanguageModel
from tests.unit.pipeline.ngrams.test_estimates import EOS, SENTENCES, SIZE, UNSEEN, stream

WORDS = Vocabulary(["a", "b", "<eos>", "c", "d", "<unk>", "e"])


def counted(order: int) -> NgramLanguageModel:
    task = NgramLanguageModel(WORDS, order, KneserNey())
    task.head.model = KneserNey().estimate(count(stream(SENTENCES), EOS, SIZE, order)).model
    return task


def read(task, tokens, sizes):
    """States of a stream that is read in windows."""
    states, carry = [], None
    for window in torch.split(tokens, sizes, dim=1):
        part, carry = task(window, carry)
        states.append(part)
    return torch.cat(states, dim=1)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_states_are_the_words_since_the_sentence_began(order):
    tokens = torch.from_numpy(np.stack([stream(UNSEEN)[:40], stream(SENTENCES)[:40]]))
    states = counted(order)(tokens)[0]
    assert states.shape == (2, 40, order - 1)
    for row, time in np.ndindex(2, 40):
        past = tokens[row, : time + 1].tolist()
        ends = [place for place, word in enumerate(past) if word == EOS]
        sentence = past[ends[-1] + 1 :] if ends else past
        expected = ([-1] * order + sentence)[-(order - 1) :] if order > 1 else []
        assert states[row, time].tolist() == expected


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_windows_join_up_to_the_score_of_the_text(order, size):
    task, text = counted(order), torch.from_numpy(stream(UNSEEN))
    tokens = torch.cat([torch.tensor([EOS]), text[:-1]]).unsqueeze(0)
    scored = task.head.log_probs(read(task, tokens, size), text.unsqueeze(0))
    np.testing.assert_array_equal(scored[0], task.head.model.log_probs(text.numpy()))


def test_log_probs_are_the_distribution_and_ignored_targets_are_zero():
    task = counted(3)
    tokens = torch.from_numpy(stream(SENTENCES)[:60]).view(3, 20)
    states, _ = task(tokens)
    targets = torch.from_numpy(stream(UNSEEN)[:60]).view(3, 20).clone()
    targets[1, 7:] = IGNORE_INDEX
    logarithms = task.head.log_distribution(states)
    assert logarithms.dtype == torch.float64
    torch.testing.assert_close(
        logarithms.exp().sum(-1), torch.ones(3, 20).double(), rtol=0, atol=1e-12
    )
    scored = task.head.log_probs(states, targets)
    gathered = logarithms.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(scored, gathered.where(targets >= 0, 0), rtol=1e-14, atol=0)


def test_tables_are_loaded_without_a_copy_and_never_moved():
    task, fresh = counted(3), NgramLanguageModel(WORDS, 3, KneserNey())
    state = {name: tensor.clone() for name, tensor in task.state_dict().items()}
    fresh.load_state_dict(state)
    for index, table in enumerate(fresh.head.model.keys):
        assert np.shares_memory(table, state[f"head.keys.{index}"].numpy())
    fresh.half()
    assert all(table.dtype == np.float64 for table in fresh.head.model.probs)
    np.testing.assert_array_equal(
        fresh.head.model.log_probs(stream(UNSEEN)), task.head.model.log_probs(stream(UNSEEN))
    )


@pytest.mark.parametrize(
    ("states", "targets", "expected"),
    [
        ((2, 3), (2,), "order 3 expects contexts of 2 words, got 3"),
        ((2, 2), (3,), r"states of shape \[2, 2\] need targets of shape \[2\], got \[3\]"),
    ],
)
def test_shapes_that_do_not_fit(states, targets, expected):
    head = counted(3).head
    with pytest.raises(ValueError, match=expected):
        head.log_probs(torch.zeros(states, dtype=torch.long), torch.zeros(targets).long())


def test_a_model_without_counts_says_so():
    with pytest.raises(ValueError, match="has not been estimated"):
        NgramLanguageModel(WORDS, 3, KneserNey())(torch.zeros(1, 1, dtype=torch.long))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"order": 0, "smoothing": AddDelta()}, "1 to 9, got 0"),
        ({"order": 10, "smoothing": AddDelta()}, "1 to 9, got 10"),
        ({"order": 2, "smoothing": KneserNey(min_counts=[1, 1, 2])}, "3 entries.* order 2"),
        ({}, "give one of model.smoothing and model.arpa"),
        ({"smoothing": AddDelta(), "arpa": "x.arpa"}, "give one of"),
    ],
)
def test_what_cannot_be_is_refused(arguments, expected):
    with pytest.raises(ValueError, match=expected):
        NgramLanguageModel(WORDS, **arguments)
