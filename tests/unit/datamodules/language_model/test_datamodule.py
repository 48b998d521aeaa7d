import re

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint

from datamodules.language_model.datamodule import LanguageModelData
from pipeline.batches import IGNORE_INDEX
from pipeline.errors import InputError
from tests.examples import quiet_trainer, refuses

WORDS = "a b c d e f g h i j k l m n o p".split()  # noqa: SIM905


@pytest.fixture
def folder(write_corpus):
    lines = [" ".join(WORDS[i % 16] for i in range(start, start + 6)) for start in range(40)]
    text = "\n".join(lines)
    return write_corpus(text, "a b x\n" * 7, "c d\n\ne\n", name="mine")


def test_another_text_is_split_as_the_corpus_is(write_corpus, tmp_path):
    state = data(write_corpus("a b c\n" * 9, "a\n" * 9, "b\n" * 9)).state_dict()
    (tmp_path / "text").write_text("<s> a\u00a0b b </s>\nc\ra\n")
    read = data(tmp_path / "corpus").other(str(tmp_path / "text"), state)
    other = read.module
    (window,) = other.test_dataloader()
    words = [other.vocabulary.words[token] for token in window.targets[0]]
    assert words == ["<unk>", "b", "<eos>", "c", "a", "<eos>"]
    assert read.notes[0] == "<s> and </s> around 1 line are left out"
    assert read.notes[1].startswith("carriage returns (CR) inside of lines (1) are read as spaces")
    (tmp_path / "text").write_text("a\nb <s> c\n")
    with pytest.raises(InputError, match=r"^line 2 of .*text has <s> inside"):
        data(tmp_path / "corpus").other(str(tmp_path / "text"), state)


def test_unk_in_other_splits_only_is_noted(write_corpus):
    note = "note: the training text has no <unk>, so that its probability cannot be estimated"
    folder = write_corpus("a b c\n" * 9, "a b\n" * 9, "a x\n" * 9)
    assert note in data(folder).summary
    assert note not in data(folder, max_vocab_size=4).summary
    write_corpus("a b c\n" * 9, "a b\n" * 9, "a c\n" * 9)
    assert note not in data(folder).summary


def test_marks_and_returns_are_noted(write_corpus):
    folder = write_corpus("<s> a b </s>\na\rc\n" * 20, "a\n" * 9, "a </s>\n" * 9)
    notes = data(folder).summary
    assert "note: <s> and </s> around 29 lines are left out\n" in notes
    assert "note: carriage returns (CR) inside of lines (20) are read as spaces; " in notes


def test_without_bptt_windows_are_as_long_as_the_columns(write_corpus, monkeypatch):
    folder = write_corpus("a b c\n" * 9, "a b\n", "a\n")  # 36 tokens
    with pytest.raises(InputError, match=r"--data.bptt=null"):
        data(folder, batch_size=1, bptt=37).train_dataloader()
    for batch_size, shape in ((1, (1, 36)), (5, (5, 7))):
        (first, *rest) = data(folder, batch_size, bptt=None).train_dataloader()
        assert first.targets.shape == shape
        assert all(window.targets.shape[1] == 1 for window in rest)  # of the longer columns
    monkeypatch.setattr("datamodules.language_model.datamodule._LONG", 10)
    widths = [w.targets.shape[1] for w in data(folder, 1, bptt=None).train_dataloader()]
    assert widths == [10, 10, 10, 6]


def data(folder, batch_size=4, bptt=9, **more):
    return LanguageModelData(str(folder), batch_size=batch_size, bptt=bptt, **more)


class Recorder(LightningModule):
    """Records the targets of each step."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen = []

    def training_step(self, batch):
        self.seen.append((self.current_epoch, batch.targets.tolist()))
        return self.layer(torch.zeros(1, 1)).sum()

    def validation_step(self, batch):
        pass

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), 0.1)
        steps = self.trainer.estimated_stepping_batches  # makes Lightning request the loader early
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, steps)]


def fit(folder, tmp_path, checkpoint=None, callbacks=(), model=None, **options):
    model = model or Recorder()
    options |= {"callbacks": list(callbacks), "enable_checkpointing": bool(callbacks)}
    trainer = quiet_trainer(max_epochs=2, default_root_dir=tmp_path, **options)
    trainer.fit(model, datamodule=data(folder), ckpt_path=checkpoint)
    return model.seen


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("limit", [1.0, 5])
def test_a_resumed_training_sees_the_rest(folder, tmp_path, limit):
    saves = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1)
    options = {"limit_train_batches": limit, "val_check_interval": 2}
    whole = fit(folder, tmp_path, callbacks=[saves], **options)
    windows = 5 if limit == 5 else len(data(folder).train_dataloader())
    assert len(whole) == 2 * windows
    assert [seen for _, seen in whole[:windows]] == [seen for _, seen in whole[windows:]]
    for step in (1, 3, windows - 1, windows, windows + 2):
        rest = fit(folder, tmp_path, checkpoint=tmp_path / f"step={step}.ckpt", **options)
        assert rest == whole[step:], step


def test_evaluation_is_one_column_over_the_whole_file(folder):
    module = data(folder, eval_bptt=4)
    for loader, split in (
        (module.val_dataloader(), "valid"),
        (module.test_dataloader(), "test"),
        (module.predict_dataloader(), "test"),
    ):
        windows = list(loader)
        targets = torch.cat([w.targets for w in windows], dim=1)
        assert targets.tolist() == [module._corpus.ids[split].tolist()]
        assert {w.targets.size(1) for w in windows[:-1]} <= {4}
        assert not (targets == IGNORE_INDEX).any()
    assert len(list(data(folder).test_dataloader())) == 1  # eval_bptt exceeds the text


def test_the_vocabulary_is_there_before_setup(folder):
    module = data(folder)
    assert (module.vocab_size, module.name, module.unit) == (18, "mine", "word")
    assert module.vocabulary.words[0] == "<eos>"
    assert [(s.split, s.tokens, s.unknown) for s in module.describe()] == [
        ("train", 280, 0),
        ("valid", 28, 7),
        ("test", 6, 0),
    ]
    assert data(folder, unit="character").name == "mine-char"
    assert data(f"{folder}/../mine/").name == "mine"


def test_the_builtin_corpus():
    module = LanguageModelData()
    assert (module.vocab_size, module.name) == (368, "builtin")
    assert module.describe()[0].tokens == 172_168
    assert LanguageModelData(unit="character").name == "builtin-char"


def test_the_state_is_plain_and_goes_through_a_file(folder, tmp_path):
    module = data(folder)
    windows = iter(module.train_dataloader())
    next(windows), next(windows)
    torch.save(module.state_dict(), tmp_path / "state")
    state = torch.load(tmp_path / "state", weights_only=True)
    assert state == {
        "position": 2,
        "settings": {"batch_size": 4, "bptt": 9, "reread": 0, "random_bptt": False, "seed": None},
        "unit": "word",
        "is_list": False,
        "vocabulary": module.vocabulary.words,
        "counts": module.vocabulary.counts,
    }
    other = data(folder)
    other.load_state_dict(state)
    rest = list(other.train_dataloader())
    assert [w.targets.tolist() for w in rest] == [w.targets.tolist() for w in windows]
    assert len(list(other.train_dataloader())) == len(rest) + 2  # a second call starts a new epoch


def test_a_state_that_is_read_after_the_loader_was_asked_for(folder):
    module = data(folder)
    streams = module.train_dataloader()
    whole = [w.targets.tolist() for w in streams]
    module.load_state_dict({**module.state_dict(), "position": 3})
    assert [w.targets.tolist() for w in streams] == whole[3:]
    streams.position = 4
    module.load_state_dict({**module.state_dict(), "position": 0})
    assert [w.targets.tolist() for w in streams] == whole


def test_a_state_of_another_corpus(folder, write_corpus):
    state = data(folder).state_dict()
    other = data(write_corpus("a b\n" * 40, name="other"))
    with refuses(
        "the vocabulary of the checkpoint (18 words) differs from that of other (4 words); use the"
        " corpus and the vocabulary limits of the checkpoint, or score other text with"
        " `unroll test --on PATH`"
    ):
        other.load_state_dict(state)
    with pytest.raises(InputError, match=r"differs from that of mine-char \(19 characters\)"):
        data(folder, unit="character").load_state_dict(state)


def test_windows_may_change_between_epochs_only(folder):
    module = data(folder)
    windows = iter(module.train_dataloader())
    next(windows)
    other = data(folder, bptt=8)
    other.load_state_dict(module.state_dict())
    with refuses(
        "the checkpoint was saved in the middle of an epoch with bptt=9 (now 8); resume with the"
        " saved settings, or from a checkpoint saved at the end of an epoch"
    ):
        other.train_dataloader()
    other = data(folder, batch_size=5)
    other.load_state_dict(module.state_dict())
    list(other.test_dataloader())
    with pytest.raises(InputError, match=r"with batch_size=4 \(now 5\); "):
        other.train_dataloader()
    list(windows)
    other = data(folder, bptt=8)
    other.load_state_dict(module.state_dict())
    assert len(list(other.train_dataloader())) == len(other.train_dataloader())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 300}, "{train} has 280 tokens, fewer than batch_size=300 columns;"),
        (
            {"bptt": 71},
            "a window of bptt=71 steps is longer than the columns: {train} has 280 tokens, in"
            " batch_size=4 columns 70 each;",
        ),
        ({"bptt": 0}, "bptt must be at least 1, got 0"),
        ({"eval_bptt": 0}, "eval_bptt must be at least 1, got 0"),
        ({"max_vocab_size": 3}, "the vocabulary of {train} has 1 words besides"),
        ({"files": {"valid": "no"}}, "--data.files.valid: no file {folder}/no; expected the"),
    ],
)
def test_bad_input_is_told_when_the_vocabulary_is_first_asked_for(folder, options, message):
    module = data(folder, **options)
    expected = message.format(train=folder / "train.txt", folder=folder)
    with pytest.raises(InputError, match="^" + re.escape(expected)):
        _ = module.vocab_size


def test_a_missing_corpus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNROLL_DATA", raising=False)
    for ask in (lambda m: m.vocab_size, lambda m: m.name):
        with pytest.raises(InputError, match=r"^the corpus ptb is not in data/ptb; run `unroll"):
            ask(LanguageModelData("ptb"))
