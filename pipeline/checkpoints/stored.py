"""Downloads the files of a run from the tracking store, to resume it on another machine."""

import contextlib
import json
import time

from pipeline.checkpoints.folder import RunFolder, write_atomically
from pipeline.errors import InputError

_SILENT = 120.0  # seconds without a value after which a run is taken to have been killed


def fetch_run(identifier: str, folder: RunFolder | None) -> RunFolder:
    """Downloads configuration and checkpoints of a run, and returns its folder.

    `folder` is the incomplete local folder of the run, if there is one. Raises `InputError` if the
    store has no `last.ckpt` of the run, or if the run is being trained on another machine.
    """
    from pipeline.tracking.lookup import NoArtifactError, download, find_run, last_sign, run_name_of
    from pipeline.tracking.registry import download_model, model_of_run

    try:
        run_id = find_run(folder.run_id if folder is not None else identifier)
    except InputError as error:
        raise _missing(identifier, folder, f"nor in the tracking store ({error})") from error
    found = RunFolder.for_download(run_id)
    sign = last_sign(run_id)
    if sign is not None and time.time() - sign < _SILENT:
        raise InputError(
            f"run {run_id} is being trained, its last value is {time.time() - sign:.0f} s old; "
            "wait until it has ended, or end it first"
        )
    try:
        download(run_id, "checkpoints/last.ckpt", found.checkpoints)
    except NoArtifactError as error:
        reason = "and the tracking store has no last.ckpt of it (it has one after --upload_last)"
        raise _missing(identifier, folder, reason) from error
    download(run_id, "config.yaml", found.path)
    with contextlib.suppress(InputError):  # a run without validation has none yet
        download_model(model_of_run(run_id), found.best)
    write_atomically(found.path / "run.json", json.dumps({"name": run_name_of(run_id)}))
    return found


def _missing(identifier: str, folder: RunFolder | None, where_else: str) -> InputError:
    if folder is not None and folder.config.is_file():
        return InputError(
            f"run {folder.run_id} has no checkpoint to continue from, {where_else}; start it again "
            f"with --config {folder.config}"
        )
    return InputError(
        f"no files of a run '{identifier}' are in this folder's outputs/, {where_else}; resume it "
        "where it was started, or set UNROLL_OUTPUTS (`unroll runs` lists the runs)"
    )
