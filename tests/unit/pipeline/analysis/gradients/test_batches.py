"""The rows that are looked at: the longest ones, or consecutive pieces of a text."""

import pytest
import torch

from datamodules.language_model.streams import Streams
from pipeline.analysis.gradients import few_rows, sample
from pipeline.batches import IGNORE_INDEX, StreamWindow
from pipeline.encoders import Elman
from tests.examples import value_error
from tests.unit.pipeline.analysis.gradients.models import language_model, sentences, texts, window


def test_the_longest_rows():
    batch = sentences((2, 6, 4, 6))
    few = few_rows(batch, 3)
    assert few.rows.tolist() == [1, 3, 2]
    assert few.lengths.tolist() == [6, 6, 4]
    for name in ("words", "columns", "tags"):
        assert torch.equal(getattr(few, name), getattr(batch, name)[[1, 3, 2]])
    assert few_rows(batch, 9).rows.tolist() == [1, 3, 2, 0]
    ended = window(rows=2, time=3)
    ended.targets[0, 1:] = IGNORE_INDEX
    assert torch.equal(few_rows(ended, 1).tokens, ended.tokens[1:])


def test_of_several_batches_the_one_with_the_longest_rows():
    batches = [texts((3, 2, 2)), texts((6, 4, 1)), texts((5, 5, 1)), texts((9,))]
    assert sample(batches, 2, 99).lengths.tolist() == [5, 5]


@pytest.mark.parametrize("columns", [1, 3])
def test_pieces_of_a_stream_are_the_text_in_order(columns):
    ids = torch.arange(100) % 9
    loader = Streams(ids.numpy(), 0, columns, 7)
    found = sample(loader, 3, 8)
    assert found.tokens.shape == found.targets.shape == (3, 8)
    if columns == 1:
        assert found.tokens.flatten().tolist() == [0, *ids[:23].tolist()]
        assert found.targets.flatten().tolist() == ids[:24].tolist()
    for row in found.targets:  # no row jumps from one column to another
        assert (row[1:] - row[:-1]).remainder(9).tolist() == [1] * 7
    pairs = set(zip(found.tokens.flatten().tolist(), found.targets.flatten().tolist(), strict=True))
    assert pairs <= {(i, (i + 1) % 9) for i in range(9)} | {(0, 0)}


def test_a_short_text_gives_shorter_rows_or_an_error():
    found = sample(Streams(torch.arange(9).numpy(), 0, 1, 5), 3, 50)
    assert found.tokens.tolist() == [[0, 0, 1], [2, 3, 4], [5, 6, 7]]
    with value_error("the text has 9 tokens, too few for 5 rows of two; use fewer rows"):
        sample(Streams(torch.arange(9).numpy(), 0, 1, 5), 5, 50)
    with pytest.raises(ValueError, match=r"^there is nothing to analyze: the split has no ba"):
        sample([], 1, 1)


def test_a_loss_is_that_of_the_last_target_of_each_row():
    model = language_model(Elman(3, 4)).eval()
    batch = window(rows=3, time=4)
    targets = batch.targets.clone()
    targets[1, 2:] = IGNORE_INDEX
    targets[2] = IGNORE_INDEX
    reread = torch.cat([batch.tokens[:, :2], batch.tokens], dim=1)
    loss = model.loss_at(StreamWindow(reread, targets, 6.0, reread_next=2), False)
    assert loss.steps.tolist() == [5, 3, -1]
    total = 0.0
    for row, step in ((0, 3), (1, 1)):
        states, _ = model(reread[row : row + 1, : step + 3])
        total -= model.head.log_distribution(states)[0, -1, targets[row, step]].item()
    assert loss.total.item() == pytest.approx(total)
