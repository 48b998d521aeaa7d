"""Carries as values: cut, selected, gathered."""

import itertools

import pytest
import torch

from pipeline.encoders import GRU, LSTM, concatenate_rows, detach_carry, select_rows


def nested():
    return ((torch.arange(6.0).view(3, 2), torch.arange(3.0)), (), torch.arange(3))


def test_rows_by_slice_and_by_index():
    (pairs, singles), nothing, integers = select_rows(nested(), slice(1, None))
    assert pairs.tolist() == [[2, 3], [4, 5]]
    assert singles.tolist() == [1, 2]
    assert nothing == ()
    assert integers.tolist() == [1, 2]
    (pairs, _), _, integers = select_rows(nested(), torch.tensor([2, 2, 0]))
    assert pairs.tolist() == [[4, 5], [4, 5], [0, 1]]
    assert integers.tolist() == [2, 2, 0]


@pytest.mark.parametrize("cuts", [[0, 3], [0, 1, 3], [0, 1, 2, 3], [0, 0, 3]])
def test_concatenation_undoes_slices(cuts):
    parts = [select_rows(nested(), slice(left, right)) for left, right in itertools.pairwise(cuts)]
    torch.testing.assert_close(concatenate_rows(parts), nested())
    assert concatenate_rows([(), ()]) == ()


def test_columns_of_ranks_are_columns_of_one_process():
    torch.manual_seed(1)
    encoder, windows = LSTM(3, 4, 2).double(), torch.randn(5, 6, 3, dtype=torch.float64)
    whole = encoder(windows).carry
    ranks = [encoder(windows[rows]).carry for rows in (slice(0, 2), slice(2, 5))]
    torch.testing.assert_close(concatenate_rows(ranks), whole)


def test_detached_carry_is_equal_and_has_no_gradient():
    carry = LSTM(3, 4, 2)(torch.randn(2, 5, 3)).carry
    detached = detach_carry(carry)
    torch.testing.assert_close(detached, carry)
    assert [[part.requires_grad for part in layer] for layer in carry] == [[True] * 2] * 2
    assert [[part.requires_grad for part in layer] for layer in detached] == [[False] * 2] * 2


def test_none_and_different_structures_are_refused():
    with pytest.raises(ValueError, match=r"^concatenate_rows needs at least one carry, got none$"):
        concatenate_rows([])
    message = (
        r"^concatenate_rows needs carries of one structure, got \(\(tensor\)\) and "
        r"\(\(tensor, tensor\)\)$"
    )
    with pytest.raises(ValueError, match=message):
        concatenate_rows([LSTM(3, 4).initial_carry(2), GRU(3, 4).initial_carry(2)])
