"""Finds the checkpoint that the options --run and --checkpoint name."""

from pathlib import Path

from pipeline.checkpoints.folder import RunFolder, find_local


def locate(run: str | None, checkpoint: Path | None) -> Path:
    """Returns the checkpoint of a model, downloaded if it is not on this machine.

    `run` is a run, whose best checkpoint is returned, or an address of a registered model,
    `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
    """
    if checkpoint is not None:
        return checkpoint
    assert run is not None
    if run.startswith("models:"):
        return _registered(run)
    folder = find_local(run)
    if folder is not None:
        for path in (folder.best, folder.last):
            if path.is_file():
                return path
    from pipeline.tracking.lookup import find_run
    from pipeline.tracking.registry import download_model, model_of_run

    run_id = find_run(run)
    return download_model(model_of_run(run_id), RunFolder.for_download(run_id).best)


def folder_of(run: str) -> RunFolder:
    """Returns the folder, whether or not it exists, of a run or of a registered model's run."""
    from pipeline.tracking.lookup import find_run
    from pipeline.tracking.registry import find_model

    if run.startswith("models:"):
        return RunFolder.of(find_model(run).run_id)
    return find_local(run) or RunFolder.of(find_run(run))


def _registered(address: str) -> Path:
    """Returns the checkpoint of a registered model; a logged model never changes."""
    from pipeline.tracking.registry import download_model, find_model

    source = find_model(address)
    path = RunFolder.for_download(source.run_id).checkpoints / f"{source.model_id}.ckpt"
    return path if path.is_file() else download_model(source, path)
