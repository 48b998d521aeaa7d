"""Which parts of a model may be recorded."""

import pytest
from torch import nn

from pipeline.cuda_graphs.recordable import allows_recording, is_recordable
from pipeline.encoders import LSTM, CoupledLSTM
from pipeline.encoders.cells.lstm_variants import CoupledLSTMCell
from pipeline.heads import AdaptiveSoftmax
from pipeline.text.vocabulary import EOS, UNK, Vocabulary
from tasks.language_model import LanguageModel


class Silent(nn.Linear):
    """A class of a user that says nothing."""


class Willing(nn.Linear):
    """A class of a user that allows it."""

    is_recordable = True


class Below(Willing):
    """A class of a user below one that allows it."""


class Refusing(CoupledLSTMCell):
    """A cell of a user that refuses."""

    is_recordable = False


class SilentCell(CoupledLSTMCell):
    """A cell of a user, which inherits our cell's permission for our cell only."""


class SilentTask(LanguageModel):
    """A task of a user."""


def test_parts_of_this_package_and_of_torch():
    assert is_recordable(LSTM(2, 3), None, nn.Linear(2, 2), CoupledLSTM(2, 3))
    assert allows_recording(object.__new__(LanguageModel))


def test_what_our_parts_say_themselves():
    cell = CoupledLSTMCell(2, 3)
    assert is_recordable(cell)
    cell.is_recordable = False
    assert not is_recordable(cell)
    for vocab_size, expected in ((50_000, True), (50_001, False)):
        tokens = [EOS, UNK, *map(str, range(vocab_size - 2))]
        words = Vocabulary(tokens, counts=[1] * vocab_size)
        assert is_recordable(AdaptiveSoftmax(4, words, cutoffs=[100])) == expected


@pytest.mark.parametrize(("kind", "expected"), [(Silent, False), (Willing, True), (Below, True)])
def test_parts_of_a_user(kind, expected):
    assert is_recordable(kind(2, 2)) == expected
    assert is_recordable(LSTM(2, 3), nn.Sequential(nn.Tanh(), kind(2, 2))) == expected


@pytest.mark.parametrize("kind", [Refusing, SilentCell])
def test_cells_of_a_user_do_not_inherit_permission(kind):
    assert not is_recordable(kind(2, 3))
    assert not allows_recording(object.__new__(SilentTask))
