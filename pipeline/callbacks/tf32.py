"""Training with TensorFloat-32."""

from lightning.pytorch import Callback, LightningModule, Trainer

from pipeline.float32 import set_tf32


class TF32Training(Callback):
    """Allows TensorFloat-32 while a model is trained, but not while it is evaluated.

    The Trainer must be used within the context `pipeline.float32.tf32(False)`.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Allows TensorFloat-32."""
        set_tf32(True)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forbids TensorFloat-32."""
        set_tf32(False)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Allows TensorFloat-32 for the training that follows."""
        set_tf32(trainer.state.fn == "fit")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forbids TensorFloat-32."""
        set_tf32(False)
