"""Samples of a language model after each epoch."""

from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from pipeline.checkpoints.read import Trained
from pipeline.contracts import Generator
from pipeline.inference.generate import generate_texts
from pipeline.options import Sampling
from pipeline.protocols import implements
from pipeline.tracking.logger import RunTracker

_SAMPLING = Sampling(num=3, length=30)


class SampleLog(Callback):
    """Logs three samples after each epoch of a language model on a CPU, as `tables/samples.json`.

    The samples have a generator of random numbers of their own, so that training does not change.

    Attributes:
        rows: Epoch and sample, for all epochs.
    """

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []

    def state_dict(self) -> dict[str, Any]:
        """See `Callback`."""
        return {"rows": [list(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See `Callback`."""
        if not self.rows:  # a test reads an earlier checkpoint, whose samples are fewer
            self.rows = [list(row) for row in state_dict["rows"]]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `Callback`."""
        if trainer.state.fn != "fit" or trainer.sanity_checking or not trainer.is_global_zero:
            return
        if pl_module.device.type != "cpu" or not implements(pl_module, Generator):
            return
        data = trainer.datamodule.state_dict()  # type: ignore[attr-defined]
        epoch = trainer.current_epoch + 1
        trained = Trained(cast(LightningModule, pl_module), data, {})
        texts = generate_texts(trained, "", _SAMPLING._replace(seed=epoch))
        self.rows = [row for row in self.rows if row[0] != epoch]
        self.rows += [[epoch, text] for text in texts]
        if isinstance(trainer.logger, RunTracker):
            trainer.logger.log_table(["epoch", "sample"], self.rows, "tables/samples.json")

    def latest(self) -> list[str]:
        """Returns the samples of the last epoch."""
        return [text for epoch, text in self.rows if epoch == self.rows[-1][0]]
