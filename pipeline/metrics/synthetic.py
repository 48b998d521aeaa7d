"""Scores of the problems of memory."""

import torch
from torch import Tensor
from torchmetrics import Metric

_SOLVED_MSE = 0.01  # a sixteenth of what always answering 1 has
_TOLERANCE = 0.08
_SOLVED_SHARE = 0.99


class SumScores(Metric):
    """Scores of the adding problem: float64 sums and counts over all sequences, divided once.

    `mse`; `accuracy`, the share of sequences whose error is below 0.08, which is the criterion of
    Hochreiter and Schmidhuber (1997, section 5.4), 0.04 where the target is half the sum; and
    `solved`, 1 if `mse` is below 0.01 and else 0.
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
        """Adds sequences: answers [row 1 1] and sums [row 1]."""
        errors = outputs.squeeze(-1).double() - targets.double()
        self.squares = self.squares + errors.square().sum()
        self.right += (errors.abs() < _TOLERANCE).sum()
        self.count += errors.numel()

    def compute(self) -> dict[str, Tensor]:
        """Gives the scores by name."""
        mse = self.squares / self.count
        return {
            "mse": mse,
            "accuracy": self.right.double() / self.count,
            "solved": (mse < _SOLVED_MSE).double(),
        }


class CopyScores(Metric):
    """Scores of the copying problem: sums and counts over all sequences, divided once.

    `nll`, the mean over all steps; `accuracy`, the share of the symbols that are right; `solved`, 1
    if that is 0.99 or more and else 0.

    Args:
        num_symbols: the last steps, at which symbols are written.
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
        """Adds sequences: logits [row time output] and ids [row time]."""
        log_probs = outputs.double().log_softmax(dim=-1)
        self.total = self.total - log_probs.gather(-1, targets.unsqueeze(-1)).sum()
        self.steps += targets.numel()
        gold = targets[:, -self._num_symbols :]
        self.right += (outputs[:, -self._num_symbols :].argmax(dim=-1) == gold).sum()
        self.symbols += gold.numel()

    def compute(self) -> dict[str, Tensor]:
        """Gives the scores by name."""
        accuracy = self.right.double() / self.symbols
        return {
            "nll": self.total / self.steps,
            "accuracy": accuracy,
            "solved": (accuracy >= _SOLVED_SHARE).double(),
        }
