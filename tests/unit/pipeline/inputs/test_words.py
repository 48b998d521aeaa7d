import numpy as np
import pytest
import torch

from pipeline.inputs.words import Column, Words
from pipeline.text.lexicon import Lexicon, Vectors

COUNTS = {"the": 5, "Bank": 3, "bank": 2, "rare": 1, "unseen": 0, "known": 0}
VALUES = np.arange(1, 10, dtype=np.float32).reshape(3, 3)
VECTORS = Vectors("given.txt", ("bank", "the", "known"), VALUES)
COLUMNS = {"pos": ("NN", "DT")}


def vector_of(part, *words):
    return part(part.index(words))


def test_given_vectors_are_looked_up_and_everything_else_is_unknown():
    part = Words(size=3, tuned=False)
    part.fit(Lexicon(COUNTS, {}, VECTORS))
    found = vector_of(part, "known", "bank", "the")
    torch.testing.assert_close(found, torch.from_numpy(VALUES[[2, 0, 1]]))
    unknown = part.unknown.expand(3, 3)
    torch.testing.assert_close(vector_of(part, "Bank", "unseen", "not in any text"), unknown)
    assert [name for name, p in part.named_parameters() if p.requires_grad] == ["unknown"]


def test_tuned_words_of_the_training_text_get_rows_of_their_own():
    part = Words(size=3, min_count=2)
    part.fit(Lexicon(COUNTS, {}, VECTORS))
    torch.testing.assert_close(vector_of(part, "known"), torch.from_numpy(VALUES[2:]))
    rows = part.index(["Bank", "rare", "unseen"]).flatten().tolist()
    assert rows[0] > 3  # after the three that were given
    assert rows[1:] == [0, 0]  # too rare; without a vector and not in the training text
    vector_of(part, "known", "Bank", "rare").sum().backward()
    used = part.table.weight.grad.abs().sum(dim=1).nonzero().flatten().tolist()
    assert set(used) >= set(part.index(["known", "Bank"]).flatten().tolist())
    assert part.unknown.grad.abs().sum() > 0


def test_lower_case_joins_spellings_and_the_first_vector_wins():
    vectors = Vectors("v", ("Bank", "bank"), np.array([[1, 1], [2, 2]], dtype=np.float32))
    part = Words(size=2, lower=True)
    part.fit(Lexicon(COUNTS, {}, vectors))
    torch.testing.assert_close(vector_of(part, "BANK", "bank"), torch.ones(2, 2))
    assert part.index(["THE"]).item() == part.index(["the"]).item() != 0


def test_words_are_hidden_in_training_only():
    part = Words(size=3, unknown_chance=0.25)
    part.fit(Lexicon(COUNTS, {}))
    torch.manual_seed(1)
    numbers = part.index(["the"]).expand(20_000, 1)
    hidden = (part(numbers) == part.unknown).all(dim=1).double().mean().item()
    assert hidden == pytest.approx(0.25, abs=0.015)  # five standard deviations
    assert not (part.eval()(numbers) == part.unknown).all(dim=1).any()


def test_a_lexicon_from_its_state_gives_the_same_rows():
    lexicon = Lexicon(COUNTS, COLUMNS, VECTORS)
    again = Lexicon.from_state(lexicon.to_state())
    words, column = (Words(size=3), Words(size=3)), (Column("pos"), Column("pos"))
    for parts in (words, column):
        for part, source in zip(parts, (lexicon, again), strict=True):
            part.fit(source)
        strings = [*COUNTS, "NN", "DT", "x", ""]
        assert torch.equal(parts[0].index(strings), parts[1].index(strings))
        parts[1].load_state_dict(parts[0].state_dict())
        assert torch.equal(vector_of(parts[1], *strings), vector_of(parts[0], *strings))


def test_a_column_gives_each_value_its_row_and_new_ones_the_unknown_row():
    part = Column("pos", size=2)
    part.fit(Lexicon(COUNTS, COLUMNS))
    assert part.index(["DT", "VBX", "NN"]).flatten().tolist() == [2, 0, 1]
    torch.testing.assert_close(vector_of(part, "NN")[0], part.table.weight[1])


@pytest.mark.parametrize(
    ("part", "lexicon", "message"),
    [
        (Words(size=4), Lexicon(COUNTS, {}, VECTORS), "given.txt have size 3"),
        (Words(size=3, tuned=False), Lexicon(COUNTS, {}), "--data.vectors=FILE"),
        (Column("chunk"), Lexicon(COUNTS, COLUMNS), "no column 'chunk'.*its columns: pos"),
    ],
)
def test_what_does_not_fit_is_named(part, lexicon, message):
    with pytest.raises(ValueError, match=message):
        part.fit(lexicon)


@pytest.mark.parametrize("settings", [{"size": 0}, {"unknown_chance": 1.0}])
def test_impossible_settings(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Words(**settings)


def test_the_unknown_word_learns_as_fast_as_the_others():
    part = Words(size=3)
    part.fit(Lexicon(COUNTS, {}))
    numbers = part.index([next(iter(COUNTS)), "never seen"])
    part(numbers).sum().backward()
    assert part.unknown.grad.tolist() == [1, 1, 1]
    assert part.table.weight.grad[numbers[0, 0]].tolist() == [1, 1, 1]
    assert part.table.weight.grad[0].tolist() == [0, 0, 0]


def test_words_without_a_vector_are_looked_up_until_the_next_time():
    def vectors(**rows):
        return {word: np.array(row, np.float32) for word, row in rows.items()}

    part = Words(size=3, tuned=False, lower=True)
    part.fit(Lexicon(COUNTS, {}, VECTORS))
    before = vector_of(part, "bank", "the", "known", "new")
    part.look_up(vectors(BANK=[0, 0, 0], Newer=[4, 5, 6], newer=[7, 8, 9]))
    assert vector_of(part, "NEWER", "newer").tolist() == [[4, 5, 6], [4, 5, 6]]  # the first one
    assert torch.equal(vector_of(part, "bank")[0], before[0])  # has a vector already
    assert torch.equal(vector_of(part, "nowhere")[0], part.unknown)
    part.look_up(vectors(new=[1, 2, 3]))
    assert vector_of(part, "new").tolist() == [[1, 2, 3]]
    assert torch.equal(vector_of(part, "newer")[0], part.unknown)
    part.look_up({})
    assert torch.equal(vector_of(part, "bank", "the", "known", "new"), before)


def test_unseen_words_can_be_read_as_unknown():
    part = Words(size=3, tuned=False, unseen="unknown")
    part.fit(Lexicon(COUNTS, {}, VECTORS))
    assert part.index(["bank", "the", "known"]).flatten().tolist() == [1, 2, 0]
    assert vector_of(part, "bank", "the").tolist() == VALUES[:2].tolist()
    assert not part.looks_up
