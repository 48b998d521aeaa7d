"""`validate`, `test` and `predict`: a trained model on the splits of a corpus."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer

from pipeline.building import Experiment, build
from pipeline.checkpoint import data_state, read_checkpoint
from pipeline.console import show
from pipeline.contracts import Corpus
from pipeline.errors import InputError
from pipeline.locate import locate
from pipeline.outputs import write_atomically
from pipeline.trainers import make_trainer


def evaluate(verb: str, run: str | None, checkpoint: Path | None, fields: Sequence[str]) -> int:
    """Prints the scores of a trained model.

    Args:
        verb: "validate" or "test".
        run: the run that trained it, **or**
        checkpoint: its file.
        fields: flags that change the model's own configuration, as `--data.eval_bptt=1`.

    Returns:
        The exit code, 0.
    """
    path = locate(run, checkpoint)
    experiment = _rebuild(path, fields)
    _refuse_other_corpus(experiment, path)
    trainer = _trainer(experiment, [])
    score = trainer.test if verb == "test" else trainer.validate
    score(experiment.model, experiment.data, ckpt_path=path, verbose=False)
    for name, value in sorted(trainer.callback_metrics.items()):
        show(f"{name} {float(value):.10g}")
    return 0


def predict(
    run: str | None, checkpoint: Path | None, fields: Sequence[str], output: Path | None
) -> int:
    """Writes each token of the test split with its log-probability in nats, TAB between them."""
    if output is not None and not output.parent.is_dir():
        raise InputError(f"--output {output}: there is no folder {output.parent}; make it first")
    path = locate(run, checkpoint)
    experiment = _rebuild(path, fields)
    _refuse_other_corpus(experiment, path)
    if output is None:
        _predict(experiment, path, sys.stdout)
        return 0
    temporary = output.with_name(f".{output.name}.part")
    with temporary.open("w", encoding="utf-8") as file:
        _predict(experiment, path, file)
    temporary.replace(output)
    return 0


def _refuse_other_corpus(experiment: Experiment, path: Path) -> None:
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


def _rebuild(path: Path, fields: Sequence[str]) -> Experiment:
    # Its trainer section says how it was trained, perhaps on another machine.
    config = {**read_checkpoint(path)["config"], "trainer": {"devices": 1}}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        write_atomically(file, yaml.safe_dump(config, sort_keys=False))
        return build([f"--config={file}", *fields])


def _trainer(experiment: Experiment, callbacks: list[Callback]) -> Trainer:
    arguments = {**experiment.trainer, "precision": None, "logger": False, "callbacks": callbacks}
    arguments.update(enable_checkpointing=False, enable_model_summary=False)
    arguments["enable_progress_bar"] = sys.stderr.isatty()
    return make_trainer(arguments)
