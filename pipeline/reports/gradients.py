"""Report of a gradient analysis: figure, numbers and table."""

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path

from pipeline.analysis.gradients import GradientAnalysis, LayerGradients
from pipeline.console import UNLIMITED, Justify, format_table
from pipeline.reports.gradient_page import draw_gradients

_LAGS = (1, 2, 5, 10, 20, 50)
_LONG = 100  # half-life in steps from which on a gradient counts as constant
_GONE = 0.01  # fraction below which a gradient counts as vanished


class GradientReport:
    """Writes the result of a gradient analysis.

    Args:
        analysis: Result of `analyze`.
        name: Name of the model, for the titles.
    """

    def __init__(self, analysis: GradientAnalysis, name: str) -> None:
        self._analysis, self._name = analysis, name

    def write(self, folder: Path) -> list[Path]:
        """Writes the report into a folder, which is created if missing, and returns the files.

        They are the figure `gradients.png`, its numbers in `gradients.json` and `gradients.csv`,
        and the table `gradients.txt`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        names = ("gradients.png", "gradients.json", "gradients.csv", "gradients.txt")
        page, data, lines, table = (folder / name for name in names)
        verdicts = {layer.name: verdict(layer) for layer in self._analysis.layers}
        draw_gradients(self._analysis, self._name, verdicts, page)
        numbers = {"model": self._name, **self._analysis.as_data()}
        data.write_text(json.dumps(_finite(numbers), indent=1) + "\n", encoding="utf-8")
        with lines.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([("layer", "quantity", "lag", "value"), *self._lines()])
        table.write_text(self.table() + "\n", encoding="utf-8")
        return [page, data, lines, table]

    def table(self) -> str:
        """Returns a short table with a sentence about each layer."""
        layers = self._analysis.layers
        names = ("lag 0", *(f"lag {lag}" for lag in _LAGS), "half-life", "spectral radius")
        columns: dict[str, Justify] = {"": "left", **dict.fromkeys(names, "right")}
        rows = [
            (
                layer.name,
                f"{layer.gradients['state'][0]:.2e}",
                *(_number(layer.share(lag)) for lag in _LAGS),
                _number(layer.half_life),
                _number(layer.spectral_radius.get("candidate")),
            )
            for layer in layers
        ]
        return (
            f"Gradient of the {self._analysis.loss} with respect to earlier states, mean of "
            f"{layers[0].rows[0]} rows;\nlag 0: norm; other lags: fraction of that; spectral "
            "radius: of the recurrent matrix (with gates: of the candidate)\n"
            + format_table(columns, rows, width=UNLIMITED)
            + "\n".join(f"{each.name}: {explained(each)}" for each in layers)
        )

    def _lines(self) -> Iterator[tuple[str, str, int, float]]:
        for layer in self._analysis.layers:
            series = {f"gradient by the {name}": part for name, part in layer.gradients.items()}
            series["norm of a product of Jacobians"] = layer.jacobian_products
            if layer.bound is not None:
                series["bound of that norm"] = layer.bounds(len(layer.rows))
            for gate, seen in layer.gates.items():
                series[f"mean of the {gate} gate"] = seen.mean
                series[f"share of the {gate} gate below 0.1"] = seen.low
                series[f"share of the {gate} gate above 0.9"] = seen.high
            for quantity, values in series.items():
                yield from ((layer.name, quantity, lag, value) for lag, value in enumerate(values))
            # The Jacobian of the step to lag 0 comes from lag 1.
            for lag, value in enumerate(layer.jacobian_steps, start=1):
                yield layer.name, "norm of the Jacobian of a step", lag, value


def verdict(layer: LayerGradients) -> str:
    """Describes in a few words whether the gradient vanishes or explodes."""
    if layer.factor is None:
        return "no gradient reaches earlier states"
    if layer.factor > 2 ** (1 / _LONG):
        if layer.jacobian_products and layer.jacobian_products[-1] <= 1:
            # Earlier states have more paths through a stack; the recurrence does not explode.
            return "grows through the layers above"
        return f"explodes: doubles every {_steps(math.log(2) / math.log(layer.factor))} on average"
    if layer.half_life is None or layer.half_life > _LONG:
        return "neither vanishes nor explodes"
    return f"halves every {_steps(layer.half_life)} on average"


def explained(layer: LayerGradients) -> str:
    """Describes the gradient in a sentence, and the lag at which it has vanished."""
    found, last = verdict(layer), len(layer.rows) - 1
    if layer.factor is None:
        return f"{found}: all of it stays at the step of the loss"
    arriving = [lag for lag in range(last + 1) if (layer.share(lag) or 0.0) >= _GONE]
    if arriving and arriving[-1] < last:
        return f"the gradient {found}; {arriving[-1] + 1} steps back less than 1 % of it is left"
    share = layer.share(last)
    if share is not None and share > 1:
        found += " and not through time" if "layers above" in found else ""
        return f"the gradient {found}; {last} steps back it is {_number(share)} times as large"
    return f"the gradient {found}; {last} steps back {_number(share)} of it is left"


def _steps(count: float) -> str:
    written = f"{count:.2g}"
    return "step" if written == "1" else f"{written} steps"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if 100 <= value < 1e5 else f"{value:.2g}"


def _finite(data: object) -> object:
    """Replaces inf and nan, which JSON lacks, by None."""
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
