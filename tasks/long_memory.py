"""Synthetic problems with long dependencies: the answer depends on much earlier inputs."""

from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from pipeline.analysis.gradients import LossAt
from pipeline.batches import Series
from pipeline.encoders import Encoder
from pipeline.metrics.score_log import log_scores
from pipeline.optimization import optimization, refuse_impossible
from pipeline.synthetic import Problem


class LongMemory(LightningModule):
    """A causal encoder and a linear output layer that solve a synthetic problem.

    Args:
        encoder: Causal encoder; its `input_size` is that of the problem.
        problem: Problem with its losses and scores (the command line takes it from the data).
        optimizer: Function that builds the optimizer from the parameters.
        lr_scheduler: Function that builds the learning rate schedule from the optimizer; the
            schedule takes one step per epoch, after validation.

    Raises:
        ValueError: If the encoder is not causal, or its `input_size` is not that of the problem.

    Example:
        >>> from pipeline.encoders import GRU
        >>> from pipeline.synthetic import Adding
        >>> model = LongMemory(GRU(input_size=2, hidden_size=8), Adding(length=50))
        >>> model(torch.zeros(3, 50, 2)).shape
        torch.Size([3, 1, 1])
    """

    experiment: ClassVar[str] = "memory"
    from_data: ClassVar[dict[str, Any]] = {
        "problem": lambda data: Problem.from_state(data["problem"])
    }

    def __init__(
        self,
        encoder: Encoder,
        problem: Problem,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        super().__init__()
        if not encoder.is_causal:
            raise ValueError(
                "a synthetic problem needs a causal encoder, which reads the past only, but this "
                f"{type(encoder).__name__} is not (set model.encoder.bidirectional to false)"
            )
        if encoder.input_size != problem.input_size:
            raise ValueError(
                f"a step of {problem.name} has {problem.input_size} numbers, but the encoder has "
                f"input_size {encoder.input_size}; set model.encoder.input_size to "
                f"{problem.input_size}"
            )
        self.encoder, self.problem = encoder, problem
        self.head = nn.Linear(encoder.output_size, problem.output_size)
        self.monitor, self.monitor_mode = problem.monitor, problem.monitor_mode
        self.make_optimizer, self.make_lr_scheduler = optimizer, lr_scheduler
        refuse_impossible(self, optimizer, lr_scheduler)
        self.scores = problem.scores()

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns the answers [batch answer output] to sequences [batch time input]."""
        states = self.encoder(inputs).states[:, -self.problem.num_answers :]
        answers: Tensor = self.head(states)
        return answers

    def training_step(self, series: Series, batch_idx: int) -> Tensor:
        """Returns the loss; its average over ranks is the mean over all sequences."""
        losses = self.problem.losses(self(series.inputs), series.targets)
        return losses.sum() / series.targets_per_rank

    def loss_at(self, batch: Series, from_right: bool) -> LossAt:
        """See `Traceable`; the loss is that of the last answer, at the last step."""
        answers = self(batch.inputs)
        last = self.problem.losses(answers[:, -1:], batch.targets[:, -1:])
        steps = torch.full((len(last),), batch.inputs.shape[1] - 1, device=last.device)
        return LossAt(last.sum(), steps, "loss of the last answer")

    def on_validation_epoch_start(self) -> None:
        """Resets the scores."""
        self.scores.reset()

    on_test_epoch_start = on_validation_epoch_start

    def validation_step(self, series: Series, batch_idx: int) -> None:
        """Adds the batch to the scores."""
        self.scores.update(self._answers(series), series.targets)

    test_step = validation_step

    def predict_step(self, series: Series, batch_idx: int) -> Tensor:
        """Returns answers, in the shape of the targets."""
        return self.problem.chosen(self._answers(series))

    def on_validation_epoch_end(self) -> None:
        """Logs `val/mse` and the other scores."""
        log_scores(self, "val", self.scores.compute())

    def on_test_epoch_end(self) -> None:
        """Logs `test/mse` and the other scores."""
        log_scores(self, "test", self.scores.compute())

    def configure_optimizers(self) -> Any:  # noqa: ANN401 (Lightning's own union of nine types)
        """See `LightningModule.configure_optimizers`."""
        return optimization(self, self.make_optimizer, self.make_lr_scheduler, self.monitor)

    def _answers(self, series: Series) -> Tensor:
        # bf16 has three digits, too few for errors of a thousandth.
        with torch.autocast(self.device.type, enabled=False):
            answers: Tensor = self(series.inputs)
        return answers
