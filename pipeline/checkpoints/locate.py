"""Finds the checkpoint that the options --run and --checkpoint name."""

from pathlib import Path

from pipeline.checkpoints.folder import RunFolder, find_local


def locate(run: str | None, checkpoint: Path | None) -> Path:
    """Returns the best checkpoint of a run: a local file, or the downloaded artifact."""
    if checkpoint is not None:
        return checkpoint
    assert run is not None
    folder = find_local(run)
    if folder is not None:
        for path in (folder.best, folder.last):
            if path.is_file():
                return path
    from pipeline.tracking.lookup import download, find_run

    run_id = find_run(run)
    return download(run_id, "checkpoints/best.ckpt", RunFolder.of(run_id).checkpoints)
