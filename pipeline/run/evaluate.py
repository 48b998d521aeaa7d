"""Scores, or writes the predictions of, a trained model on a split of its corpus."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from lightning.pytorch import Callback, LightningModule, Trainer

from pipeline.checkpoints.locate import folder_of, locate
from pipeline.checkpoints.read import load_trained
from pipeline.checkpoints.write import AtomicCheckpointIO
from pipeline.console import open_output, print_note, print_result
from pipeline.contracts import Corpus
from pipeline.errors import InputError
from pipeline.float32 import tf32
from pipeline.inference.dynamic_evaluation import dynamic_perplexity, refuse_unlearnable
from pipeline.options import Dynamics
from pipeline.run.description import headline_tags
from pipeline.run.devices import ends_determinism, explain_nondeterminism
from pipeline.run.experiment import Experiment, build, load_data, with_data
from pipeline.run.page import EXPECTED_TAG, headline
from pipeline.run.trainer import make_trainer
from pipeline.tracking.lookup import add_values
from pipeline.tracking.run import run_state


@tf32(False)
@ends_determinism()
@explain_nondeterminism()
def evaluate(
    verb: str,
    run: str | None,
    checkpoint: Path | None,
    fields: Sequence[str],
    dynamics: Dynamics | None = None,
) -> int:
    """Prints the scores of a trained model."""
    trained = load_trained(locate(run, checkpoint))
    experiment = with_data(trained, fields)
    if dynamics is not None:
        refuse_unlearnable(experiment.model)
    trainer = evaluation_trainer(experiment.trainer, [])
    score = trainer.test if verb == "test" else trainer.validate
    score(experiment.model, experiment.data, verbose=False)
    for name, value in sorted(trainer.callback_metrics.items()):
        print_result(f"{name} {float(value):.10g}")
    if verb == "test" and run is not None and not fields:
        _record(run, experiment, trainer)
    if dynamics is not None:
        cuts = [f"--data.eval_bptt={dynamics.steps}", "--data.reread=0"]
        data, _, _ = load_data(trained, [*fields, *cuts])
        stage = "val" if verb == "validate" else "test"
        found = dynamic_perplexity(experiment.model, data, stage, dynamics)
        print_result(f"{stage}/perplexity_dynamic {found:.10g}")
        if not found < float(trainer.callback_metrics[f"{stage}/perplexity"]):
            print_note(
                "note: dynamic evaluation did not improve the score; try a lower --dynamic with "
                "`unroll validate`"
            )
    return 0


def _record(run: str, experiment: Experiment, trainer: Trainer) -> None:
    """Adds the scores of a test to a run that was not tested, and to its description."""
    scores = {
        name: float(value)
        for name, value in trainer.callback_metrics.items()
        if name.startswith("test/")
    }
    try:
        run_id = folder_of(run).run_id
        state = run_state(run_id)
        if state.status == "RUNNING" or scores.keys() <= state.metrics.keys():
            return
        line = headline(
            state.status,
            experiment.model.monitor,
            {**state.metrics, **scores},
            state.tags.get(EXPECTED_TAG, ""),
        )
        add_values(run_id, scores, headline_tags(state.tags, line))
    except InputError as error:
        print_note(f"the scores are not added to the run: {error}")


@tf32(False)
@ends_determinism()
@explain_nondeterminism()
def test_scores(path: Path) -> dict[str, float]:
    """Returns the scores `test/*` of a checkpoint."""
    experiment = with_data(load_trained(path), [])
    trainer = evaluation_trainer(experiment.trainer, [])
    trainer.test(experiment.model, experiment.data, verbose=False)
    found = trainer.callback_metrics
    return {name: float(value) for name, value in found.items() if name.startswith("test/")}


@tf32(False)
@ends_determinism()
@explain_nondeterminism()
def validation_metrics(experiment: Experiment) -> list[str]:
    """Returns the names of the scores `val/*` that a task computes, from one batch."""
    trainer = evaluation_trainer({**experiment.trainer, "limit_val_batches": 1}, [])
    trainer.validate(experiment.model, experiment.data, verbose=False)
    return sorted(name for name in trainer.callback_metrics if name.startswith("val/"))


@tf32(False)
@ends_determinism()
@explain_nondeterminism()
def predict(
    run: str | None, checkpoint: Path | None, fields: Sequence[str], output: Path | None
) -> int:
    """Writes the predictions for the test split, one line per token or text."""
    path = locate(run, checkpoint)
    with open_output(output) as file:
        experiment = with_data(load_trained(path), fields)
        trainer = evaluation_trainer(experiment.trainer, [_LineWriter(file, experiment.data)])
        trainer.predict(experiment.model, experiment.data, return_predictions=False)
    return 0


class _LineWriter(Callback):
    """Writes the predictions of each batch at once, so that only one batch is in memory."""

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


def load_or_build(
    run: str | None, checkpoint: Path | None, arguments: Sequence[str]
) -> LightningModule:
    """Returns the model of a run or checkpoint, or builds one from the arguments of the parser."""
    if arguments:
        return build(arguments).model
    return load_trained(locate(run, checkpoint)).model


def evaluation_trainer(settings: Mapping[str, Any], callbacks: list[Callback]) -> Trainer:
    """Makes a trainer that scores a model in float32 and records nothing."""
    arguments = {**settings, "precision": None, "logger": False, "callbacks": callbacks}
    arguments.update(enable_checkpointing=False, enable_model_summary=False)
    arguments["plugins"] = [AtomicCheckpointIO()]
    arguments["enable_progress_bar"] = sys.stderr.isatty()
    return make_trainer(arguments)
