"""Analyzes how far gradients reach back through the layers of a model, trained or not."""

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch import LightningModule

from pipeline.analysis.gradients import GradientAnalysis, analyze, sample
from pipeline.checkpoints.folder import RunFolder, find_local
from pipeline.checkpoints.locate import locate
from pipeline.checkpoints.read import read_checkpoint
from pipeline.console import print_note, print_result
from pipeline.errors import InputError
from pipeline.options import GradientRequest
from pipeline.reports import GradientReport
from pipeline.run.evaluate import rebuild, refuse_other_corpus
from pipeline.run.experiment import Experiment, build
from pipeline.tracking.lookup import find_run, upload
from pipeline.tracking.naming import run_name

_LEAD = 20  # tokens that a row of a stream reads before those looked at: its memory is not empty


def gradients(
    run: str | None, checkpoint: Path | None, fields: Sequence[str], request: GradientRequest
) -> int:
    """Writes what a look at a model shows, and prints a short table.

    Args:
        run: the run that trained it, **or**
        checkpoint: its file, **or**, where `request` says so, neither.
        fields: arguments of the configuration parser, for a trained model flags that change it.
        request: what to look at.

    Returns:
        The exit code, 0.

    Raises:
        InputError: there is no such model, it is of another corpus, or has no recurrent layer.
    """
    if request.is_initial:
        experiment = build(fields)
        name = f"{run_name(experiment.config)}, untrained"
    else:
        path = locate(run, checkpoint)
        experiment = _trained(path, fields)
        name = path.name if run is None else _run_name(run)
    seen = _look(experiment, request)
    run_id = None if run is None else _run_id(run)
    own = Path("gradients") if run_id is None else RunFolder.of(run_id).path / "gradients"
    report = GradientReport(seen, f"{name}, {experiment.corpus.name} {request.split}")
    files = report.write(request.output or own)
    print_result(report.table())
    print_note(f"see {files[0]} and the numbers beside it")
    if run_id is not None:
        _keep(run_id, files)
    return 0


def _trained(path: Path, fields: Sequence[str]) -> Experiment:
    experiment = rebuild(path, fields)
    refuse_other_corpus(experiment, path)
    experiment.model.load_state_dict(read_checkpoint(path)["state_dict"])
    return experiment


def _look(experiment: Experiment, request: GradientRequest) -> GradientAnalysis:
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
    except ValueError as error:  # of parts, that know no command line
        raise InputError(str(error)) from error


def _run_id(run: str) -> str:
    folder = find_local(run)
    return find_run(run) if folder is None else folder.run_id


def _run_name(run: str) -> str:
    folder = find_local(run)
    return (folder.name if folder is not None else "") or run


def _keep(run_id: str, files: Sequence[Path]) -> None:
    try:
        upload(run_id, files, "gradients")
    except InputError as error:
        print_note(f"not kept among the artifacts of run {run_id}: {error}")
