"""After a test: the files that tell what a model gets wrong."""

from collections.abc import Callable
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from pipeline.contracts import Reporting
from pipeline.tracking.logger import RunTracker


class TestReport(Callback):
    """Has a task write its report of a test, and keeps it with the run, if there is one.

    Args:
        folder: where the files go, made if need be.
        on_written: is told the files.
    """

    def __init__(
        self, folder: Path, on_written: Callable[[list[Path]], None] | None = None
    ) -> None:
        self.folder = folder
        self.on_written = on_written

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        if not trainer.is_global_zero or not isinstance(pl_module, Reporting):
            return
        files = pl_module.write_report(self.folder)
        if isinstance(trainer.logger, RunTracker):
            for file in files:
                trainer.logger.log_artifact(file, "report")
        if self.on_written is not None:
            self.on_written(files)
