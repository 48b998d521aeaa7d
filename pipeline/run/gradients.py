"""Analyzes how far gradients reach back through the layers of a model."""

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch import LightningModule

from pipeline.analysis.gradients import GradientAnalysis, analyze, sample
from pipeline.checkpoints.locate import folder_of, locate
from pipeline.checkpoints.read import load_trained
from pipeline.console import print_note, print_result
from pipeline.errors import InputError
from pipeline.options import GradientRequest
from pipeline.reports import GradientReport
from pipeline.run.experiment import Experiment, build, with_data
from pipeline.tracking.lookup import upload
from pipeline.tracking.naming import run_name

_LEAD = 20  # tokens read before the analyzed ones, so that the carry is not empty


def gradients(
    run: str | None, checkpoint: Path | None, fields: Sequence[str], request: GradientRequest
) -> int:
    """Writes a report of the gradients of a model, prints a short table, and returns the exit code.

    For an untrained model, `fields` are the arguments of the configuration parser; for a trained
    one, named by `run` or `checkpoint`, they are flags that change its configuration.
    """
    folder = None if run is None else folder_of(run)
    if request.is_initial:
        experiment = build(fields)
        name = f"{run_name(experiment.config)}, untrained"
    else:
        path = locate(run, checkpoint)
        experiment = with_data(load_trained(path), fields)
        name = path.name if folder is None else folder.name or str(run)
    seen = _analyze(experiment, request)
    own = Path("gradients") if folder is None else folder.path / "gradients"
    report = GradientReport(seen, f"{name}, {experiment.data.name} {request.split}")
    files = report.write(request.output or own)
    print_result(report.table())
    print_note(f"report: {files[0]} (numbers in the same folder)")
    if folder is not None:
        _keep(folder.run_id, files)
    return 0


def _analyze(experiment: Experiment, request: GradientRequest) -> GradientAnalysis:
    data = experiment.data
    loaders = {
        "train": data.train_dataloader,
        "valid": data.val_dataloader,
        "test": data.test_dataloader,
    }
    model: LightningModule = experiment.model
    try:
        batch = sample(loaders[request.split](), request.rows, _LEAD + request.lags + 1)
        return analyze(model, batch, request.lags)
    except ValueError as error:  # raised by parts, which do not know the command line
        raise InputError(str(error)) from error


def _keep(run_id: str, files: Sequence[Path]) -> None:
    try:
        upload(run_id, files, "gradients")
    except InputError as error:
        print_note(f"report not logged to run {run_id}: {error}")
