"""Decides what is left to do when a run is resumed, and records how far a training came."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.checkpoints.folder import RunFolder
from pipeline.console import print_note
from pipeline.errors import InputError, shortened
from pipeline.tracking.logger import RunTracker
from pipeline.tracking.outbox import waiting
from pipeline.tracking.run import RunState

EPOCHS_TAG, STEPS_TAG = "unroll.epochs", "unroll.steps"
"""Tags with the numbers of epochs and updates of a training that has ended."""


class Progress(NamedTuple):
    """Number of complete epochs and of updates."""

    epochs: int
    steps: int

    def tags(self) -> dict[str, str]:
        """Returns the tags that record the progress."""
        return {EPOCHS_TAG: str(self.epochs), STEPS_TAG: str(self.steps)}

    def reaches(self, trainer: Mapping[str, Any]) -> bool:
        """Returns whether training with these settings of the Trainer would end here."""
        epochs, steps = trainer.get("max_epochs"), trainer.get("max_steps")
        enough_epochs = epochs is not None and 0 <= epochs <= self.epochs
        return enough_epochs or (steps is not None and 0 <= steps <= self.steps)


def what_is_complete(
    state: RunState, old: Mapping[str, Any], new: Mapping[str, Any], and_test: bool
) -> str:
    """Returns what a run has completed if resuming it would change nothing, else "".

    Args:
        state: The run in the tracking store.
        old: Configuration with which the run ended.
        new: Configuration with which it would be resumed.
        and_test: Whether its best checkpoint would be tested, too.

    Example:
        >>> tags = {"unroll.epochs": "8", "unroll.steps": "400"}
        >>> state = RunState("lm/ptb", "FINISHED", tags, {"test/perplexity": 112.0})
        >>> old, new = {"trainer": {"max_epochs": 8}}, {"trainer": {"max_epochs": 5}}
        >>> what_is_complete(state, old, new, and_test=True)
        '8 epochs, 400 updates and a test'
    """
    is_tested = any(name.startswith("test/") for name in state.metrics)
    if state.status != "FINISHED" or (and_test and not is_tested):
        return ""
    try:
        done = Progress(int(state.tags[EPOCHS_TAG]), int(state.tags[STEPS_TAG]))
    except (KeyError, ValueError):
        return ""
    if not done.reaches(new["trainer"]) and _training(old) != _training(new):
        return ""
    test = " and a test" if is_tested else ""
    epochs = "1 epoch" if done.epochs == 1 else f"{done.epochs} epochs"
    return f"{epochs}{',' if test else ' and'} {done.steps} updates{test}"


def send_rest(folder: RunFolder) -> None:
    """Sends what an outage of the store had left of a finished run, and keeps its status."""
    if any(waiting(folder.path)):
        tracker = RunTracker.start(
            experiment="of-the-run",
            run_name=folder.name,
            run_id=folder.run_id,
            outputs=folder.path.parent,
        )
        tracker.release()
        if not any(waiting(folder.path)):
            print_note(f"sent what run {folder.run_id} had left after an outage of the store")


def refuse_too_little(checkpoint: Mapping[str, Any], trainer: Mapping[str, Any]) -> None:
    """Raises `InputError` if a training would have to end before the checkpoint it starts from."""
    places = [checkpoint.get(name) for name in ("epoch", "global_step")]
    if any(type(place) is not int or place < 0 for place in places):
        raise InputError(
            f"the checkpoint to resume from is in epoch {shortened(places[0], 30)} and update "
            f"{shortened(places[1], 30)}; expected a file written by `unroll train`"
        )
    epoch, step = checkpoint["epoch"] + 1, checkpoint["global_step"]
    max_epochs, max_steps = trainer.get("max_epochs"), trainer.get("max_steps")
    if max_epochs is not None and 0 <= max_epochs < epoch:
        raise InputError(
            f"--trainer.max_epochs={max_epochs}: the run is in epoch {epoch} already; give {epoch} "
            "or more, or start a new run"
        )
    if max_steps is not None and 0 <= max_steps < step:
        raise InputError(
            f"--trainer.max_steps={max_steps}: the run has made {step} updates already; give "
            f"{step} or more, or start a new run"
        )


def _training(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that determine when a training ends."""
    return {"trainer": config.get("trainer"), "precision": config.get("precision")}
