"""Counting is a run as any other: scores, tracking, checkpoints, resuming, export, mistakes."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer

from datamodules.language_model.datamodule import LanguageModelData
from pipeline.callbacks import PeriodicCheckpoint
from pipeline.checkpoints.locate import locate
from pipeline.checkpoints.read import load_trained
from pipeline.checkpoints.write import AtomicCheckpointIO
from pipeline.errors import InputError
from pipeline.inference.generate import generate_texts
from pipeline.ngrams import KneserNey, NgramModel, count, read_arpa, write_arpa
from pipeline.options import Sampling
from pipeline.run.experiment import build
from tasks.ngram import NgramLanguageModel
from tests.configs import part, write_config
from tests.examples import quiet_trainer
from tests.harness import command, error_of, only_run, scores, unroll


def config(corpus: Path, smoothing: str = "KneserNey") -> dict:
    return {
        "trainer": {"max_epochs": 3},  # it ends after the first by itself
        "data": part("LanguageModelData", corpus=str(corpus), batch_size=7, bptt=30, eval_bptt=11),
        "model": part("NgramLanguageModel", order=3, smoothing=part(smoothing)),
    }


def counted(data: LanguageModelData, order: int) -> NgramModel:
    words = data.vocabulary
    counts = count(data._corpus.ids["train"], words.eos_id, len(words), order)
    return KneserNey().estimate(counts).model


def perplexity(model: NgramModel, ids) -> float:
    return float(np.exp(-model.log_probs(ids).mean()))


def trainer(folder: Path, *callbacks, **settings) -> Trainer:
    """A Trainer as ours, without the tracking."""
    plugins = [AtomicCheckpointIO()]
    return quiet_trainer(
        default_root_dir=folder, callbacks=list(callbacks), plugins=plugins, **settings
    )


def test_a_run_and_what_its_checkpoint_is_good_for(corpus, project, capsys):
    assert command("train", f"--config={write_config(project, config(corpus))}") == 0
    run, data = only_run(project), LanguageModelData(corpus=str(corpus))
    ids, found = data._corpus.ids, run.data.metrics
    for order in (1, 2):
        expected = perplexity(counted(data, order), ids["valid"])
        assert found[f"final/val_perplexity_order_{order}"] == pytest.approx(expected, rel=1e-12)
    whole = perplexity(counted(data, 3), ids["test"])
    assert found["test/perplexity"] == pytest.approx(whole, rel=1e-12)
    best = perplexity(counted(data, 3), ids["valid"])
    assert found["best/val_perplexity"] == pytest.approx(best, rel=1e-12)
    assert (found["test/tokens"], found["epoch"]) == (len(ids["test"]), 1)
    assert not any(name.startswith("train/") for name in found)
    assert run.info.run_name.startswith("kneserney-3-")
    assert run.data.tags["encoder"] == "KneserNey"

    path = locate(run.info.run_id, None)
    assert "read" not in torch.load(path)  # the text is not in it
    trained = load_trained(path)
    texts = generate_texts(trained, "the", Sampling(3, 20, 1, 1.0, None, None, 1, allow_unk=False))
    assert len(texts) == 3
    assert all(text.startswith("the ") for text in texts)

    capsys.readouterr()
    assert command("test", f"--checkpoint={path}", "--data.eval_bptt=3") == 0
    printed = scores(capsys.readouterr().out)
    assert printed["test/perplexity"] == pytest.approx(whole, rel=1e-9)
    assert command("predict", f"--checkpoint={path}", "--output=scored.tsv") == 0
    rows = [line.split("\t") for line in Path("scored.tsv").read_text().splitlines()]
    mean = sum(float(value) for _, value in rows) / len(rows)
    assert math.exp(-mean) == pytest.approx(whole, rel=1e-5)

    assert command("export", f"--checkpoint={path}", "--output=model.arpa.gz") == 0
    model, vocabulary = read_arpa(Path("model.arpa.gz"))
    again = np.array(vocabulary.encode(data.vocabulary.decode(ids["test"])))
    assert perplexity(model, again) == pytest.approx(whole, rel=1e-8)


def test_a_killed_run_goes_on_within_the_text(corpus, project):
    def parts():
        data = LanguageModelData(corpus=str(corpus), batch_size=7, bptt=30)
        return NgramLanguageModel(data.vocabulary, 3, KneserNey()), data

    last = project / "last.ckpt"
    task, data = parts()
    trainer(project, PeriodicCheckpoint(last, 1), max_steps=5).fit(task, data)
    assert perplexity(task.head.model, data._corpus.ids["valid"]) != perplexity(
        counted(data, 3), data._corpus.ids["valid"]
    )
    task, data = parts()
    resumed = trainer(project, max_epochs=1)
    resumed.fit(task, data, ckpt_path=last)
    found = float(resumed.callback_metrics["val/perplexity"])
    assert found == pytest.approx(
        perplexity(counted(data, 3), data._corpus.ids["valid"]), rel=1e-12
    )


def test_a_validation_within_the_epoch_sees_what_was_read(corpus, project):
    data = LanguageModelData(corpus=str(corpus), batch_size=1, bptt=100)
    task, found = NgramLanguageModel(data.vocabulary, 2, KneserNey()), []
    task.on_validation_end = lambda: found.append(task.head.model)
    trainer(project, max_epochs=1, val_check_interval=4, num_sanity_val_steps=0).fit(task, data)
    words, ids = data.vocabulary, data._corpus.ids
    for index, model in enumerate(found[:-1], start=1):
        read = count(ids["train"][: 400 * index], words.eos_id, len(words), 2)
        expected = KneserNey().estimate(read).model
        np.testing.assert_array_equal(model.probs[1], expected.probs[1])
    assert len(found) > 3


def test_an_arpa_file_is_a_model(corpus, project):
    data = LanguageModelData(corpus=str(corpus))
    model = counted(data, 2)
    write_arpa(project / "two.arpa", model, data.vocabulary)
    task = NgramLanguageModel(data.vocabulary, arpa="two.arpa")
    whole = trainer(project, max_epochs=1)
    whole.fit(task, data)
    found = float(whole.callback_metrics["val/perplexity"])
    assert found == pytest.approx(perplexity(model, data._corpus.ids["valid"]), rel=1e-8)
    (project / "two.arpa").unlink()
    alone = NgramLanguageModel(data.vocabulary, arpa="two.arpa")
    alone.load_state_dict(task.state_dict())
    assert alone.head.model.order == 2
    with pytest.raises(InputError, match=r"ARPA file two.arpa does not exist"):
        trainer(project, max_epochs=1).fit(alone, data)


def test_smoothings_by_their_short_names(corpus, project):
    file = f"--config={write_config(project, config(corpus))}"
    for name in ("MaximumLikelihood", "AddDelta", "StupidBackoff", "Katz"):
        experiment = build([file, f"--model.smoothing={name}"])
        assert type(experiment.model.encoder).__name__ == name


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--model.order=0"], "order must be from 1 to 9, got 0"),
        (["--model.order=10"], "1 to 9, got 10"),
        (["--model.smoothing=AddDelta", "--model.smoothing.delta=0"], "above 0, got 0.0"),
        (["--model.smoothing.min_counts=[1,3,2]"], "min_counts must not decrease"),
        (["--model.smoothing.min_counts=[1,1,1,2]"], "4 entries, but the model has order 3"),
        (["--model.arpa=none.arpa"], "give one of model.smoothing and model.arpa"),
        (
            ["--model.smoothing=null", "--model.arpa=none.arpa"],
            "ARPA file none.arpa does not exist",
        ),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(corpus, project, capsys, flags, expected):
    file = write_config(project, config(corpus))
    (line,) = error_of(capsys, "train", f"--config={file}", *flags).splitlines()
    assert line.startswith("unroll: ")
    assert expected in line
    assert not (project / "mlflow.db").exists()  # told before a run is opened


def test_a_text_with_few_ngrams(tmp_path, project, capsys):
    folder = tmp_path / "short"
    folder.mkdir()
    for split in ("train", "valid", "test"):
        (folder / f"{split}.txt").write_text("a b\nb\n" * 20)
    data = LanguageModelData(corpus=str(folder), bptt=5)
    words = data.vocabulary
    with pytest.raises(InputError, match=r"--model.order: the text has no n-gram of order 5"):
        trainer(project, max_epochs=1).fit(NgramLanguageModel(words, 6, KneserNey()), data)
    trainer(project, max_epochs=1).fit(NgramLanguageModel(words, 4, KneserNey()), data)
    said = capsys.readouterr().err
    assert said.count("note: the discounts of order 3 cannot be estimated") == 1


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--checkpoint=x.ckpt"], "required: --output"),
        (["--output=a.arpa"], "which model?"),
        (["--output=a.txt", "--checkpoint=x.ckpt"], "a name that ends in .onnx"),
        (["--output=none/a.arpa", "--checkpoint=x.ckpt"], "there is no folder none"),
        (["--output=a.arpa", "--checkpoint=x.ckpt", "--data.unit=word"], "unknown argument"),
    ],
)
def test_export_refuses(project, capsys, flags, expected):
    Path("x.ckpt").touch()
    assert expected in error_of(capsys, "export", *flags)


@pytest.mark.slow
def test_two_processes_count_the_same(corpus, project):
    flags = ["--trainer.devices=2", "--trainer.accelerator=cpu", "--trainer.strategy=ddp"]
    done = unroll("train", f"--config={write_config(project, config(corpus))}", *flags)
    assert done.returncode == 0, done.stderr
    data = LanguageModelData(corpus=str(corpus))
    expected = perplexity(counted(data, 3), data._corpus.ids["test"])
    assert only_run(project).data.metrics["test/perplexity"] == pytest.approx(expected, rel=1e-12)
