"""Analyzes a model on one batch: gradient norms, Jacobians and gate activations by lag."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.analysis.gradients.backward import (
    GradientNorms,
    by_lag,
    factor_per_step,
    gradient_norms,
    half_life,
)
from pipeline.analysis.gradients.jacobians import (
    bound,
    jacobians,
    recurrent_blocks,
    spectral_radius,
)
from pipeline.analysis.gradients.loss import Traceable
from pipeline.analysis.gradients.recording import LayerRecord, record_steps
from pipeline.protocols import implements


class NoLossError(ValueError):
    """Raised if no row of a batch has a loss."""


LOW, HIGH = 0.1, 0.9
"""A gate below the first or above the second value is saturated."""


@dataclasses.dataclass(frozen=True)
class GateStatistics:
    """Activations of a gate by lag: mean, and fractions below 0.1 and above 0.9."""

    mean: list[float]
    low: list[float]
    high: list[float]


@dataclasses.dataclass(frozen=True)
class LayerGradients:
    """The analysis of one layer in one direction; lists are by lag, from 0.

    `gradients` maps "state" (and "cell" of an LSTM) to the norm of the gradient of a row's loss in
    nats with respect to it, mean over rows. `followed` is the one that `factor` and `half_life`
    describe: "cell" for a layer whose carry does not contain the state.
    """

    name: str  # such as "layer 1"
    gradients: dict[str, list[float]]
    rows: list[int]  # number of rows with a step at each lag, up to the last that half of them have
    followed: str
    factor: float | None  # factor of the norm per step back, fitted over all lags
    half_life: float | None  # number of steps after which half of it is left; None without decay
    jacobian_steps: list[float]  # norms for single steps, the last first; [] if not computed
    jacobian_products: list[float]  # norms of the products by lag; [] if not computed
    bound: float | None  # beta_W * beta_h of an Elman layer
    spectral_radius: dict[str, float]  # gate name -> that of its recurrent matrix
    gates: dict[str, GateStatistics]

    def share(self, lag: int) -> float | None:
        """Returns the norm at a lag divided by that at lag 0; None if there is none.

        For a layer whose cell is followed it is divided by that at lag 1, because the loss depends
        on states.
        """
        norms = self.gradients[self.followed]
        first = next((norm for norm in norms[:2] if norm > 0), None)
        return norms[lag] / first if lag < len(norms) and first is not None else None

    def bounds(self, count: int) -> list[float]:
        """Returns (beta_W * beta_h)^lag for lags from 0; inf on overflow."""
        assert self.bound is not None
        powers = torch.tensor(self.bound, dtype=torch.float64) ** torch.arange(count)
        bounds: list[float] = powers.tolist()
        return bounds


@dataclasses.dataclass(frozen=True)
class GradientAnalysis:
    """The result of `analyze`."""

    loss: str  # name of the loss, such as "nll of a token"
    layers: list[LayerGradients]  # from the lowest up

    def as_data(self) -> dict[str, Any]:
        """Returns plain data, for JSON."""
        return dataclasses.asdict(self)


def analyze(model: nn.Module, batch: Any, lags: int, deep: bool = True) -> GradientAnalysis:  # noqa: ANN401
    """Analyzes the gradients of a model in evaluation mode (without dropout).

    Weights, gradients, modes and random states of the model stay unchanged.

    Args:
        model: Task that implements `Traceable`.
        batch: A few rows, each of which starts with the initial carry.
        lags: Largest lag.
        deep: Whether Jacobians and spectral radii are computed, which takes most of the time.

    Raises:
        ValueError: If the model is not `Traceable` or has no recurrent layer, or has zoneout.
        NoLossError: If no row has a loss.
    """
    if not implements(model, Traceable):
        raise ValueError(
            f"the gradients of a {type(model).__name__} cannot be analyzed; use a task with a "
            "recurrent encoder"
        )
    loss, left = _one_side(model, batch, False, lags, deep)
    sides = [left]
    if any(part.endswith("right_to_left") for part, _ in model.encoder.named_modules()):
        sides.append(_one_side(model, batch, True, lags, deep)[1])
    pairs = itertools.zip_longest(*sides)  # a layer's directions one after the other
    layers = [layer for pair in pairs for layer in pair if layer is not None]
    if not layers:
        raise ValueError(
            f"this {type(model.encoder).__name__} has no recurrent layer (`RecurrentLayer`) of "
            "pipeline.encoders to analyze; use Elman, GRU, LSTM or another encoder of "
            "docs/encoders.md (--model.encoder)"
        )
    return GradientAnalysis(loss, layers)


@contextlib.contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Context with evaluation mode and full precision; restores modes and random states."""
    modes = [(module, module.training) for module in model.modules()]
    device = next(model.parameters()).device
    devices = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=devices),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
        # cuDNN differentiates recurrent layers in training mode only, which would enable dropout.
        torch.backends.cudnn.flags(enabled=False),
    ):
        model.eval()
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode


def _one_side(
    model: Traceable,
    batch: Any,  # noqa: ANN401 (the task's own)
    from_right: bool,
    lags: int,
    deep: bool,
) -> tuple[str, list[LayerGradients]]:
    assert isinstance(model, nn.Module)
    with undisturbed(model):
        with record_steps(model.encoder) as records:
            loss = model.loss_at(batch, from_right)
        records = [record for record in records if record.from_right == from_right]
        if not records:
            return loss.name, []
        if not bool((loss.steps >= 0).any()):
            raise NoLossError("no row of the batch has a loss to differentiate; use more rows")
        found = gradient_norms(loss.total, loss.steps, records, lags)
        pairs = zip(records, found, strict=True)
        return loss.name, [_layer(*pair, loss.steps, lags, deep) for pair in pairs]


def _layer(
    record: LayerRecord, flow: GradientNorms, steps: Tensor, lags: int, deep: bool
) -> LayerGradients:
    factor = factor_per_step(flow.norms[record.followed])
    measured = jacobians(record, steps, lags) if deep else None
    blocks = recurrent_blocks(record.layer) if deep else {}
    return LayerGradients(
        name=record.name,
        gradients=flow.norms,
        rows=flow.rows,
        followed=record.followed,
        factor=factor,
        half_life=half_life(factor),
        jacobian_steps=measured.steps if measured else [],
        jacobian_products=measured.products if measured else [],
        bound=bound(record.layer) if deep else None,
        spectral_radius={name: spectral_radius(block) for name, block in blocks.items()},
        gates=_gates(record, steps, lags),
    )


@torch.no_grad()
def _gates(record: LayerRecord, steps: Tensor, lags: int) -> dict[str, GateStatistics]:
    batch, time = record.inputs.shape[:2]
    before = zip(*record.carries[:-1], strict=True)
    carry = tuple(torch.stack(part, dim=1).flatten(0, 1) for part in before)  # [batch*time ...]
    values = record.layer.gate_values(record.inputs.flatten(0, 1), carry)
    positions = record.positions(steps)

    def means(value: Tensor) -> list[float]:
        return by_lag(value.float().view(batch, time, -1).mean(dim=2), positions, lags)

    return {
        name: GateStatistics(means(value), means(value < LOW), means(value > HIGH))
        for name, value in values.items()
    }
