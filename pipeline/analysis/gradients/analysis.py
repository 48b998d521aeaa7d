"""One look at a model: what reaches earlier states, what the layers multiply by, what gates do."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
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


class NoLossError(ValueError):
    """No row of a batch has a loss."""


LOW, HIGH = 0.1, 0.9
"""A gate below or above is saturated."""


@dataclasses.dataclass(frozen=True)
class GateStatistics:
    """One gate by lag: the mean over rows and units, and the shares below 0.1 and above 0.9."""

    mean: list[float]
    low: list[float]
    high: list[float]


@dataclasses.dataclass(frozen=True)
class LayerGradients:
    """What was seen of one layer in one direction; lists are by lag, from 0.

    Attributes:
        name: as "layer 1".
        gradients: "state" (and "memory" of an LSTM) -> norm of the gradient of a row's loss, in
            nats, by the state so many steps before; means over rows.
        rows: rows that have a step at that lag, up to the last lag that half of them have.
        followed: "state"; "memory" of a layer that does not hand its state on. It says which
            gradient the next two are of.
        factor: what a step back multiplies the norm by, fitted over all lags.
        half_life: the steps after which half of it is left; None where it does not decay.
        jacobian_steps: norms of the Jacobians from step to step, the latest first; [] where none
            were measured.
        jacobian_products: norms of the products of so many of them; [] where none were measured.
        bound: beta_W * beta_h of an Elman layer.
        spectral_radius: of the recurrent matrix of each gate.
        gates: name -> what they do.
    """

    name: str
    gradients: dict[str, list[float]]
    rows: list[int]
    followed: str
    factor: float | None
    half_life: float | None
    jacobian_steps: list[float]
    jacobian_products: list[float]
    bound: float | None
    spectral_radius: dict[str, float]
    gates: dict[str, GateStatistics]

    def share(self, lag: int) -> float | None:
        """Gives the norm at a lag as a share of that at lag 0; None where there is none.

        A loss reads states, so that of a layer followed by its memory it is a share of lag 1.
        """
        norms = self.gradients[self.followed]
        first = next((norm for norm in norms[:2] if norm > 0), None)
        return norms[lag] / first if lag < len(norms) and first is not None else None

    def bounds(self, count: int) -> list[float]:
        """Gives (beta_W * beta_h)^lag for lags from 0, infinite where no number is as large."""
        assert self.bound is not None
        powers = torch.tensor(self.bound, dtype=torch.float64) ** torch.arange(count)
        bounds: list[float] = powers.tolist()
        return bounds


@dataclasses.dataclass(frozen=True)
class GradientAnalysis:
    """What was seen.

    Attributes:
        loss: what was differentiated, as "nll of a token".
        layers: from the lowest up.
    """

    loss: str
    layers: list[LayerGradients]

    def as_data(self) -> dict[str, Any]:
        """Gives plain data, for JSON."""
        return dataclasses.asdict(self)


def analyze(model: nn.Module, batch: Any, lags: int, deep: bool = True) -> GradientAnalysis:  # noqa: ANN401
    """Looks at a model, in evaluation mode (without dropout), and leaves it as it was.

    Neither weights nor their gradients, modes nor random numbers are changed.

    Args:
        model: a `Traceable` task.
        batch: a few rows; each begins with no memory.
        lags: the greatest lag.
        deep: also Jacobians and spectral radii, which cost more than all the rest.

    Raises:
        ValueError: the model cannot be looked at.
        NoLossError: no row has a loss.
    """
    if not isinstance(model, Traceable):
        raise ValueError(
            f"the gradients of a {type(model).__name__} cannot be followed from step to step; take "
            "a task with a recurrent encoder"
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
            "pipeline.encoders, through which gradients can be followed; take Elman, GRU, LSTM or "
            "another of docs/encoders.md (--model.encoder)"
        )
    return GradientAnalysis(loss, layers)


@contextlib.contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Computes in evaluation mode and in full precision, and puts everything back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    device = next(model.parameters()).device
    devices = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=devices),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
        # cuDNN differentiates recurrent layers in training mode only, where dropout would act.
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
        with record_steps(model.encoder) as traces:
            loss = model.loss_at(batch, from_right)
        traces = [trace for trace in traces if trace.from_right == from_right]
        if not traces:
            return loss.name, []
        if not bool((loss.steps >= 0).any()):
            raise NoLossError("no row of the batch has a loss to follow back; take more rows")
        found = gradient_norms(loss.total, loss.steps, traces, lags)
        pairs = zip(traces, found, strict=True)
        return loss.name, [_layer(*pair, loss.steps, lags, deep) for pair in pairs]


def _layer(
    trace: LayerRecord, flow: GradientNorms, steps: Tensor, lags: int, deep: bool
) -> LayerGradients:
    factor = factor_per_step(flow.norms[trace.followed])
    measured = jacobians(trace, steps, lags) if deep else None
    blocks = recurrent_blocks(trace.leaf) if deep else {}
    return LayerGradients(
        name=trace.name,
        gradients=flow.norms,
        rows=flow.rows,
        followed=trace.followed,
        factor=factor,
        half_life=half_life(factor),
        jacobian_steps=measured.steps if measured else [],
        jacobian_products=measured.products if measured else [],
        bound=bound(trace.leaf) if deep else None,
        spectral_radius={name: spectral_radius(block) for name, block in blocks.items()},
        gates=_gates(trace, steps, lags),
    )


@torch.no_grad()
def _gates(trace: LayerRecord, steps: Tensor, lags: int) -> dict[str, GateStatistics]:
    batch, time = trace.inputs.shape[:2]
    before = zip(*trace.carries[:-1], strict=True)
    carry = tuple(_flat(part) for part in before)
    values = trace.leaf.gate_values(trace.inputs.flatten(0, 1), carry)
    places = trace.places(steps)

    def means(value: Tensor) -> list[float]:
        return by_lag(value.float().view(batch, time, -1).mean(dim=2), places, lags)

    return {
        name: GateStatistics(means(value), means(value < LOW), means(value > HIGH))
        for name, value in values.items()
    }


def _flat(series: Sequence[Tensor]) -> Tensor:
    """Puts the steps of a part [batch ...] below each other, row by row."""
    return torch.stack(list(series), dim=1).flatten(0, 1)
