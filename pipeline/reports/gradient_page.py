"""The figure of a gradient analysis."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from pipeline.analysis.gradients import GradientAnalysis, LayerGradients

# Okabe and Ito (2008, "Color Universal Design"): distinguishable with color blindness.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_FEW_ENTRIES = 5  # maximum size of a legend inside the axes
_FLOOR = -12.0  # lowest power of ten in the heat map


def draw_gradients(
    analysis: GradientAnalysis, name: str, verdicts: Mapping[str, str], path: Path
) -> None:
    """Draws gradients by lag, Jacobians with their bound, a heat map, and gates into a PNG file.

    `verdicts` maps the name of a layer to a description of its gradient in a few words.
    """
    gates = list(dict.fromkeys(gate for layer in analysis.layers for gate in layer.gates))
    heights = [3.6, 1.1 + 0.36 * len(analysis.layers)] + ([2.6] if gates else [])
    figure = Figure(figsize=(11.5, 1.2 + sum(heights)), layout="constrained")
    upper, *lower = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    curves, products = upper.subplots(1, 2)
    _curves(curves, analysis.layers, verdicts)
    _products(products, analysis.layers)
    _heat_map(lower[0], analysis.layers)
    if gates:
        row = lower[1].subplots(1, len(gates), squeeze=False)[0]
        for axes, gate in zip(row, gates, strict=True):
            _gate(axes, gate, analysis.layers)
        lower[1].suptitle(
            "Gates, colors as above: mean (line), fraction closed, below 0.1 (dotted), and open, "
            "above 0.9 (dash-dotted)",
            fontsize=10,
        )
    count = analysis.layers[0].rows[0]
    figure.suptitle(
        f"How far the gradient reaches back: {name}\n"
        f"{analysis.loss}, mean of {count} {'row' if count == 1 else 'rows'}, without dropout"
    )
    figure.savefig(path, dpi=110)


def _curves(axes: Axes, layers: Sequence[LayerGradients], verdicts: Mapping[str, str]) -> None:
    for layer, style in _styled(layers):
        label = f"{layer.name}: {verdicts[layer.name]}"
        _plot(axes, layer.gradients["state"], style, label)
        if "cell" in layer.gradients:
            is_last = layer is [other for other in layers if "cell" in other.gradients][-1]
            label = "pale: with respect to the cell" if is_last else "_"
            _plot(axes, layer.gradients["cell"], style, label, alpha=0.35)
    title = "Gradient of the loss with respect to earlier states"
    _log_axis(axes, "norm of the gradient [nats]", title)


def _products(axes: Axes, layers: Sequence[LayerGradients]) -> None:
    for layer, style in _styled(layers):
        measured = layer.jacobian_products
        if layer.bound is None or not measured:
            _plot(axes, measured, style, layer.name)
            continue
        _plot(axes, measured, style, rf"{layer.name}; $\beta_W \beta_h$ = {layer.bound:.3g}")
        label = r"dotted: the bound $(\beta_W \beta_h)^{lag}$" if layer is layers[-1] else "_"
        _plot(axes, layer.bounds(len(measured)), style | {"linestyle": ":"}, label)
    if any(layer.jacobian_products for layer in layers):
        has_cell = any("cell" in layer.gradients for layer in layers)
        what = "state and cell" if has_cell else "state"
        _log_axis(axes, "spectral norm", f"Jacobian of the {what}, by lag")
    else:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no Jacobians: one step, or layer too wide", ha="center")


def _heat_map(figure: SubFigure, layers: Sequence[LayerGradients]) -> None:
    axes = figure.subplots()
    depth = max(len(layer.rows) for layer in layers)
    table = np.full((len(layers), depth), np.nan)
    for row, layer in enumerate(reversed(layers)):  # the lowest layer at the bottom
        shares = [layer.share(lag) for lag in range(len(layer.rows))]
        table[row, : len(shares)] = [share or np.nan for share in shares]
    powers = np.log10(table).clip(min=_FLOOR)
    finite = powers[np.isfinite(powers)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
    image = axes.imshow(
        powers,
        cmap="viridis",
        aspect="auto",
        interpolation="nearest",
        vmin=min(low, -1.0),
        vmax=max(high, 0.0),
    )
    axes.set_facecolor("white")
    axes.set_yticks(range(len(layers)), [layer.name for layer in reversed(layers)])
    none = "" if np.isfinite(powers).all() else " (white: none)"
    _label(axes, f"Gradient as a fraction of that at lag 0{none}")
    figure.colorbar(image, ax=axes, label="log10 of the fraction", pad=0.01)


def _gate(axes: Axes, gate: str, layers: Sequence[LayerGradients]) -> None:
    for layer, style in _styled(layers):
        if gate in layer.gates:
            seen = layer.gates[gate]
            axes.plot(seen.mean, **style)
            axes.plot(seen.low, color=style["color"], linestyle=":")
            axes.plot(seen.high, color=style["color"], linestyle="-.")
    axes.set_ylim(-0.02, 1.02)
    _label(axes, f"{gate} gate")
    axes.grid(alpha=0.3)


def _label(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("lag [steps before the loss]")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _styled(layers: Sequence[LayerGradients]) -> list[tuple[LayerGradients, dict[str, Any]]]:
    """Assigns each layer a color and each direction a line style."""
    bases = [layer.name.partition(",")[0] for layer in layers]
    names = list(dict.fromkeys(bases))
    colors: Sequence[str] = _COLORS
    if len(names) > len(_COLORS):  # from dark to light, from the lowest up
        colors = [to_hex(color) for color in colormaps["viridis"](np.linspace(0, 0.9, len(names)))]
    lines = ["--" if layer.name.endswith("right to left") else "-" for layer in layers]
    return [
        (layer, {"color": colors[names.index(base)], "linestyle": line})
        for layer, base, line in zip(layers, bases, lines, strict=True)
    ]


def _plot(
    axes: Axes, values: Sequence[float], style: dict[str, Any], label: str, alpha: float = 1.0
) -> None:
    # Values that a logarithmic axis cannot show.
    shown = [value if 0 < value < np.inf else np.nan for value in values]
    marker = "o" if len(values) < 60 and style["linestyle"] != ":" else None
    axes.plot(shown, **style, label=label, alpha=alpha, marker=marker, markersize=2.5)


def _log_axis(axes: Axes, unit: str, title: str) -> None:
    axes.set_yscale("log")
    axes.set_ylabel(unit)
    _label(axes, title)
    low, high = axes.get_ylim()
    if low > high / 100:  # an almost constant curve must look constant
        middle = (low * high) ** 0.5
        axes.set_ylim(middle / 10, middle * 10)
    axes.grid(alpha=0.3, which="major")
    entries = axes.get_legend_handles_labels()[1]
    if len(entries) > _FEW_ENTRIES:
        axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    elif entries:
        axes.legend(fontsize=8, framealpha=0.8)
