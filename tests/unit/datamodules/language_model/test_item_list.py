"""Lists of items: splits by distinct items, and batches of independent items."""

import pytest
import torch

from datamodules.language_model.datamodule import LanguageModelData
from datamodules.language_model.item_batches import ItemBatches
from datamodules.language_model.item_list import COLORS, items_folder
from pipeline.batches import IGNORE_INDEX, StreamWindow
from pipeline.encoders import LSTM
from pipeline.errors import InputError
from pipeline.text.vocabulary import Vocabulary
from tasks.language_model import LanguageModel
from tests.examples import refuses

NAMES = [f"{first}{last}" for first in "ABCDEFGHIJ" for last in ("na", "lo", "rik", "sson")]
SPLITS = ("train", "valid", "test")


@pytest.fixture
def names(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\n".join([*NAMES, "", " Ana ", "Ana", "Ana"]) + "\n")
    return path


def held(folder):
    return {split: (folder / f"{split}.txt").read_text().splitlines() for split in SPLITS}


def test_items_are_held_out_with_all_their_copies():
    items = [*NAMES, "Ana", "Ana", "Ana"]
    splits = held(items_folder(items, "names"))
    assert sorted(item for split in splits.values() for item in split) == sorted(items)
    distinct = {split: set(lines) for split, lines in splits.items()}
    assert [len(distinct[split]) for split in SPLITS] == [40 - 4 - 4, 4, 4]
    assert not distinct["train"] & (distinct["valid"] | distinct["test"])
    assert splits["train"] != [item for item in items if item in distinct["train"]]  # shuffled
    assert held(items_folder(items, "again")) == splits


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Anna\n", "1 distinct item"),
        ("A\n\n A\n", "1 distinct item"),
        ("a\nb\n", "2 distinct items"),
        ("\n", "0 distinct items"),
    ],
)
def test_a_list_that_is_too_short(tmp_path, text, count):
    path = tmp_path / "names.txt"
    path.write_text(text)
    with refuses(
        f"the list {path} has {count}; at least 3 are needed, one per line, to train, validate"
        " and test"
    ):
        _ = LanguageModelData(str(path)).vocabulary


def test_three_items_are_enough(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("Anna\nOtto\nHannah\n")
    data = LanguageModelData(str(path), unit="character")
    assert [s.lines for s in data.describe()] == [1, 1, 1]
    assert len(list(data.train_dataloader())) == 1


def test_a_list_that_is_text(tmp_path, monkeypatch):
    path = tmp_path / "all.txt"
    path.write_text("a b c\n" * 3)
    monkeypatch.setattr("datamodules.language_model.item_list._MAX_BYTES", 10)
    with pytest.raises(InputError, match=r"all.txt has 18 bytes; a single file is read as a list"):
        _ = LanguageModelData(str(path)).vocabulary


def test_where_lists_are_found_and_what_they_are_called(names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert LanguageModelData("names.txt", unit="character").name == "names-char"
    monkeypatch.setenv("UNROLL_DATA", str(tmp_path))
    monkeypatch.chdir("/")
    data = LanguageModelData("names.txt")
    assert data.name == "names"
    assert data.summary.startswith(
        "list of items (10% held out per split, seed 1): train 35, valid 4, test 4; tokens train"
    )
    assert LanguageModelData("colors").name == "colors"
    assert (
        len(set(COLORS))
        == len(COLORS)
        == sum(s.lines for s in LanguageModelData("colors").describe())
    )


@pytest.mark.parametrize("world_size", [1, 3])
def test_each_item_is_a_row_of_one_rank(names, world_size):
    data = LanguageModelData(str(names), unit="character", batch_size=8)
    ids, eos = data._corpus.ids["train"], data.vocabulary.eos_id
    ranks = [list(ItemBatches(ids, eos, 8, rank, world_size)) for rank in range(world_size)]
    found, sizes = [], []
    for windows in zip(*ranks, strict=True):
        total = 0
        for window in windows:
            assert window.reread_next == window.tokens.shape[1]
            for tokens, targets in zip(window.tokens, window.targets, strict=True):
                real = targets[targets != IGNORE_INDEX].tolist()
                assert targets[: len(real)].tolist() == real
                assert tokens[: len(real)].tolist() == [eos, *real[:-1]]
                found.append(real)
                total += len(real)
        assert {window.targets_per_rank for window in windows} == {total / world_size}
        sizes.append(sum(len(window.tokens) for window in windows))
    assert [token for item in found for token in item] == ids.tolist()
    assert set(sizes) == {7}  # 35 items in batches of 8 at most


def test_a_resumed_training_sees_the_rest(names):
    data = LanguageModelData(str(names), unit="character", batch_size=8)
    windows = iter(data.train_dataloader())
    next(windows), next(windows)
    other = LanguageModelData(str(names), unit="character", batch_size=8)
    other.load_state_dict(data.state_dict())
    rest = [w.targets.tolist() for w in other.train_dataloader()]
    assert rest == [w.targets.tolist() for w in windows]
    assert len(rest) == 3


@pytest.mark.parametrize(
    ("size", "world_size", "message"),
    [
        (0, 1, "batch_size must be at least 1, got 0"),
        (
            2,
            3,
            "a batch of 2 items of the list cannot be divided among 3 processes, one item at least"
            " for each; raise batch_size or use fewer devices",
        ),
    ],
)
def test_batches_that_cannot_be(size, world_size, message):
    with refuses(message):
        ItemBatches(torch.tensor([1, 0, 1, 0]).numpy(), 0, size, 0, world_size)


def test_no_item_knows_of_another():
    """The score of a list is the sum of the scores of its items, in any order."""
    torch.manual_seed(0)
    ids = torch.tensor([3, 4, 0, 5, 0, 4, 4, 3, 0, 5, 5, 0]).numpy()
    words = ["<eos>", "<unk>", "b", "c", "d", "e"]
    model = LanguageModel(LSTM(3, 4), vocabulary=Vocabulary(words), embedding_scale=2).eval()
    model.on_test_epoch_start()
    for index, window in enumerate(ItemBatches(ids, 0, 3)):
        model.test_step(window, index)
    total = 0.0
    for item in ([3, 4, 0], [5, 0], [4, 4, 3, 0], [5, 5, 0]):
        states, _ = model(torch.tensor([[0, *item[:-1]]]), None)
        total -= model.head.log_probs(states, torch.tensor([item])).sum().item()
    assert model.evaluation.every.count == 12
    assert model.evaluation.every.compute().item() == pytest.approx(total / 12, rel=1e-6)
    assert isinstance(window, StreamWindow)
