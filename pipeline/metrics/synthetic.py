"""Scores of the synthetic problems."""

import torch
from torch import Tensor
from torchmetrics import Metric

_SOLVED_MSE = 0.01  # a sixteenth of the error of always answering 1
_TOLERANCE = 0.08
_SOLVED_ACCURACY = 0.99


class SumScores(Metric):
    """Scores of the adding problem over all sequences: `mse`, `accuracy` and `solved`.

    `accuracy` is the fraction of sequences with an error below 0.08. This is the criterion of
    Hochreiter and Schmidhuber (1997, section 5.4), who use 0.04 for half the sum. `solved` is 1 if
    `mse` is below 0.01 and 0 otherwise.

    Example:
        >>> metric = SumScores()
        >>> metric.update(torch.tensor([[[1.05]], [[0.8]]]), torch.tensor([[1.0], [1.0]]))
        >>> metric.compute()["accuracy"].item()
        0.5
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    squares: Tensor
    right: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("squares", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("right", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Adds answers of the model [row 1 1] and correct sums [row 1]."""
        errors = outputs.squeeze(-1).double() - targets.double()
        self.squares = self.squares + errors.square().sum()
        self.right += (errors.abs() < _TOLERANCE).sum()
        self.count += errors.numel()

    def compute(self) -> dict[str, Tensor]:
        """Returns the scores by name."""
        mse = self.squares / self.count
        return {
            "mse": mse,
            "accuracy": self.right.double() / self.count,
            "solved": (mse < _SOLVED_MSE).double(),
        }


class CopyScores(Metric):
    """Scores of the copying problem over all sequences: `nll`, `accuracy` and `solved`.

    `nll` is the mean over all steps in nats, `accuracy` the fraction of correct symbols, and
    `solved` is 1 if `accuracy` is at least 0.99 and 0 otherwise.

    Args:
        num_symbols: Number of symbols to copy, which are the targets of the last steps.

    Example:
        >>> metric = CopyScores(num_symbols=1)
        >>> metric.update(torch.tensor([[[0.0, 5.0], [5.0, 0.0]]]), torch.tensor([[1, 0]]))
        >>> metric.compute()["solved"].item()
        1.0
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    total: Tensor
    steps: Tensor
    right: Tensor
    symbols: Tensor

    def __init__(self, num_symbols: int) -> None:
        super().__init__()
        self._num_symbols = num_symbols
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        for name in ("steps", "right", "symbols"):
            self.add_state(name, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Adds logits [row time output] and symbol ids [row time]."""
        log_probs = outputs.double().log_softmax(dim=-1)
        self.total = self.total - log_probs.gather(-1, targets.unsqueeze(-1)).sum()
        self.steps += targets.numel()
        gold = targets[:, -self._num_symbols :]
        self.right += (outputs[:, -self._num_symbols :].argmax(dim=-1) == gold).sum()
        self.symbols += gold.numel()

    def compute(self) -> dict[str, Tensor]:
        """Returns the scores by name."""
        accuracy = self.right.double() / self.symbols
        return {
            "nll": self.total / self.steps,
            "accuracy": accuracy,
            "solved": (accuracy >= _SOLVED_ACCURACY).double(),
        }
