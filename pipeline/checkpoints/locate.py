"""Finds the checkpoint of a trained model from what a person typed."""

from pathlib import Path

from pipeline.checkpoints.folder import RunFolder, find_local


def locate(run: str | None, checkpoint: Path | None) -> Path:
    """Finds the best checkpoint of a run, on this machine or among the run's artifacts.

    Args:
        run: id, beginning of an id, or name of a run.
        checkpoint: a file; wins over `run`.

    Raises:
        InputError: there is no such run or file, or the run has no checkpoint.
    """
    if checkpoint is not None:
        return checkpoint
    assert run is not None
    folder = find_local(run)
    if folder is not None:
        for path in (folder.best, folder.last):
            if path.is_file():
                return path
    return _download(run)


def _download(run: str) -> Path:
    from pipeline.tracking.lookup import download, find_run

    run_id = find_run(run)
    destination = RunFolder.of(run_id).checkpoints
    return download(run_id, "checkpoints/best.ckpt", destination)
