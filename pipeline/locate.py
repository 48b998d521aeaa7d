"""Finds the checkpoint of a trained model from what a person typed."""

from pathlib import Path
from typing import NamedTuple

from pipeline.outputs import RunFolder, find_local


class Located(NamedTuple):
    """A trained model's checkpoint.

    Attributes:
        path: the file.
        run_id: the run that wrote it, where it was named by its run.
    """

    path: Path
    run_id: str | None


def locate(run: str | None, checkpoint: Path | None) -> Located:
    """Finds the best checkpoint of a run, on this machine or among the run's artifacts.

    Args:
        run: id, beginning of an id, or name of a run.
        checkpoint: a file; wins over `run`.

    Raises:
        InputError: there is no such run or file, or the run has no checkpoint.
    """
    if checkpoint is not None:
        return Located(checkpoint, None)
    assert run is not None
    folder = find_local(run)
    if folder is not None:
        for path in (folder.best, folder.last):
            if path.is_file():
                return Located(path, folder.run_id)
    return _download(run)


def _download(run: str) -> Located:
    from pipeline.tracking.table import download, find_run

    run_id = find_run(run)
    destination = RunFolder.of(run_id).checkpoints
    return Located(download(run_id, "checkpoints/best.ckpt", destination), run_id)
