"""Scores, or writes the predictions of, a trained model on a split of its corpus."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer

from pipeline.checkpoints.folder import write_atomically
from pipeline.checkpoints.locate import locate
from pipeline.checkpoints.read import (
    LANGUAGE_MODELS,
    assemble,
    data_state,
    portable_model,
    read_checkpoint,
)
from pipeline.checkpoints.write import AtomicCheckpointIO
from pipeline.console import open_output, print_note, print_result
from pipeline.contracts import Corpus
from pipeline.heads import StoredClasses
from pipeline.inference.dynamic_evaluation import dynamic_perplexity, refuse_unlearnable
from pipeline.options import Dynamics
from pipeline.run.experiment import Experiment, build
from pipeline.run.trainer import make_trainer

_ALONE = (*LANGUAGE_MODELS, "Tagger", "SentenceClassifier")  # built from the file alone


def evaluate(
    verb: str,
    run: str | None,
    checkpoint: Path | None,
    fields: Sequence[str],
    dynamics: Dynamics | None = None,
) -> int:
    """Prints the scores of a trained model.

    Args:
        verb: "validate" or "test".
        run: the run that trained it, **or**
        checkpoint: its file.
        fields: flags that change the model's own configuration, as `--data.eval_bptt=1`.
        dynamics: how it learns from the text as it is scored once more.

    Returns:
        The exit code, 0.

    Raises:
        InputError: there is no such model, it is of another corpus, or cannot learn.
    """
    path = locate(run, checkpoint)
    experiment = rebuild(path, fields)
    if dynamics is not None:
        refuse_unlearnable(experiment.model)
    refuse_other_corpus(experiment, path)
    trainer = _trainer(experiment, [])
    score = trainer.test if verb == "test" else trainer.validate
    score(experiment.model, experiment.data, ckpt_path=path, verbose=False)
    for name, value in sorted(trainer.callback_metrics.items()):
        print_result(f"{name} {float(value):.10g}")
    if dynamics is not None:
        cuts = [f"--data.eval_bptt={dynamics.steps}", "--data.reread=0"]
        data = rebuild(path, [*fields, *cuts]).data
        stage = "val" if verb == "validate" else "test"
        found = dynamic_perplexity(experiment.model, data, stage, dynamics)
        print_result(f"{stage}/perplexity_dynamic {found:.10g}")
        if not found < float(trainer.callback_metrics[f"{stage}/perplexity"]):
            print_note(
                "note: what was learned made it no better; try a lower --dynamic on `validate`"
            )
    return 0


def predict(
    run: str | None, checkpoint: Path | None, fields: Sequence[str], output: Path | None
) -> int:
    """Writes each token of the test split with its log-probability in nats, TAB between them."""
    path = locate(run, checkpoint)
    with open_output(output) as file:
        experiment = rebuild(path, fields)
        refuse_other_corpus(experiment, path)
        _predict(experiment, path, file)
    return 0


def refuse_other_corpus(experiment: Experiment, path: Path) -> None:
    """Raises an `InputError` where a checkpoint's model is of another corpus than that given."""
    # A datamodule refuses to go on with the state of another corpus; nothing else is wanted here.
    experiment.data.load_state_dict(data_state(read_checkpoint(path)))


def _predict(experiment: Experiment, path: Path, file: TextIO) -> None:
    trainer = _trainer(experiment, [_LineWriter(file, experiment.corpus)])
    trainer.predict(experiment.model, experiment.data, ckpt_path=path, return_predictions=False)


class _LineWriter(Callback):
    """Writes predictions as they come: a corpus of any length in the memory of a batch."""

    def __init__(self, file: TextIO, corpus: Corpus) -> None:
        self.file = file
        self.corpus = corpus

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401 (the task's own)
        batch: Any,  # noqa: ANN401 (the datamodule's own)
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """See `Callback`."""
        for line in self.corpus.lines(batch, outputs):
            self.file.write(line + "\n")


def rebuild(path: Path, fields: Sequence[str]) -> Experiment:
    """Builds what a checkpoint was trained as, with fresh weights.

    Args:
        path: the checkpoint.
        fields: flags that change its configuration.

    Raises:
        InputError: it cannot be read, or a flag does not fit.
    """
    # Its trainer section says how it was trained, perhaps on another machine.
    checkpoint = read_checkpoint(path)
    config = {**checkpoint["config"], "trainer": {"devices": 1}}
    config["model"] = portable_model(path, checkpoint)
    classes = config["model"]["init_args"].get("head", {}).get("init_args", {}).get("classes")
    if isinstance(classes, StoredClasses):  # an instance cannot be written into a YAML file
        config["model"]["init_args"]["head"]["init_args"]["classes"] = {
            "class_path": "pipeline.heads.StoredClasses",
            "init_args": {"class_of": torch.as_tensor(classes.class_of).tolist()},
        }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        write_atomically(file, yaml.safe_dump(config, sort_keys=False))
        return build([f"--config={file}", *fields])


def untrained(
    run: str | None, checkpoint: Path | None, arguments: Sequence[str]
) -> LightningModule:
    """Builds the model of a run, of a checkpoint or of the arguments of the configuration parser.

    Raises:
        InputError: If something in the checkpoint, the configuration or the data is wrong.
    """
    if arguments:
        return build(arguments).model
    path = locate(run, checkpoint)
    held = read_checkpoint(path)
    is_alone = held["config"]["model"]["class_path"].rpartition(".")[2] in _ALONE
    return assemble(path, held, *_ALONE).model if is_alone else rebuild(path, ()).model


def _trainer(experiment: Experiment, callbacks: list[Callback]) -> Trainer:
    arguments = {**experiment.trainer, "precision": None, "logger": False, "callbacks": callbacks}
    arguments.update(enable_checkpointing=False, enable_model_summary=False)
    arguments["plugins"] = [AtomicCheckpointIO()]
    arguments["enable_progress_bar"] = sys.stderr.isatty()
    return make_trainer(arguments)
