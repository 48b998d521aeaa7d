"""Views of an experiment in the MLflow UI, in the format of its menu "Views"."""

import json
import time
from typing import Any

from pipeline.tracking.naming import GROUP_TAG

CHARTS, SEEDS = "unroll-charts", "unroll-seeds"
"""Keys of the views."""
_TAG = "mlflow.sharedViewState."
# MLflow sorts sections by name, with these two at the end: best, model, perf, test, train, val.
_SECTIONS = (
    "val",
    "train",
    "size and score",
    "test",
    "best",
    "model",
    "perf",
    "Model metrics",
    "System metrics",
)
# Counts of the validation set, the same in each epoch.
_CONSTANTS = ("val/tokens", "val/unk", "val/sentences", "val/texts")
_SETTINGS = ("model.encoder", "model.encoder.hidden_size", "model.optimizer.lr")


def view_tags(monitor: str) -> dict[str, str]:
    """Returns tags of an experiment that put two views into its menu "Views".

    "Charts" has the curves of `val/*` and `train/*` first, then the test score against the number
    of parameters. "Means over seeds" groups runs that differ only in the seed. Both have columns
    for the scores in the list of runs.

    Args:
        monitor: Validation metric that selects the best checkpoint, such as "val/f1"; "" in an
            experiment of several tasks.
    """
    columns = [f"metrics.`{name}`" for name in _scores(monitor)]
    columns += ["params.`config`", "params.`seed_everything`", "tags.`encoder`"]
    common = {
        "selectedColumns": columns,
        "compareRunSections": [_section(name) for name in _SECTIONS],
        "compareRunCharts": _charts(monitor),
        "isAccordionReordered": True,  # otherwise MLflow sorts the sections
    }
    grouping = {
        "groupByKeys": [{"mode": "tag", "groupByData": GROUP_TAG}],
        "aggregateFunction": "average",
    }
    return {
        _TAG + CHARTS: _saved("Charts", common),
        _TAG + SEEDS: _saved("Means over seeds", {**common, "groupBy": grouping}),
    }


def view_address(experiment_id: str, key: str) -> str:
    """Returns the address of a view, relative to that of the server: `CHARTS` as charts."""
    place = f"#/experiments/{experiment_id}/runs?viewStateShareKey={key}"
    mode = "&compareRunsMode=CHART" if key == CHARTS else ""
    return f"{place}{mode}&workflowType=machine_learning"


def _scores(monitor: str) -> list[str]:
    stage, _, score = monitor.partition("/")
    of_task = [f"test/{score}", f"best/{stage}_{score}"] if monitor else []
    return [*of_task, "model/parameters", "perf/seconds_per_epoch"]


def _section(name: str) -> dict[str, Any]:
    # A section that was "reordered" keeps the order of its charts, with the score first.
    columns = 2 if name == "size and score" else 3
    section = {"uuid": f"unroll-{name}", "name": name, "display": True, "columns": columns}
    return {**section, "isReordered": name == "val"}


def _charts(monitor: str) -> list[dict[str, Any]]:
    hidden = [_line(f"{number}", metric, deleted=True) for number, metric in enumerate(_CONSTANTS)]
    if not monitor:
        return hidden
    test = "test/" + monitor.partition("/")[2]
    axes = {"xaxis": _axis("model/parameters"), "yaxis": _axis(test)}
    settings = {"selectedParams": _SETTINGS, "selectedMetrics": [test]}
    return [
        *hidden,
        _line("score", monitor),
        _chart("scatter", "SCATTER", "size and score", **axes, runsCountToCompare=100),
        _chart("parallel", "PARALLEL", "size and score", **settings, showAllRuns=False),
    ]


def _line(key: str, metric: str, deleted: bool = False) -> dict[str, Any]:
    """Returns the chart that MLflow would make of a metric, as its first or as a deleted one."""
    section, _, name = metric.partition("/")
    return _chart(
        key,
        "LINE",
        section,
        isGenerated=True,
        deleted=deleted,
        metricKey=metric,
        displayName=name,
        lineSmoothness=0,
        xAxisKey="step",
        xAxisScaleType="linear",
        yAxisKey="metric",
        scaleType="linear",
        range={},
        useGlobalXaxisKey=True,
        useGlobalLineSmoothing=True,
    )


def _axis(metric: str) -> dict[str, str]:
    return {"key": metric, "type": "METRIC"}


def _chart(key: str, kind: str, section: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "uuid": f"unroll-{key}",
        "type": kind,
        "metricSectionId": f"unroll-{section}",
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": 10,
        **more,
    }


def _saved(name: str, state: dict[str, Any]) -> str:
    now = int(time.time() * 1000)
    return json.dumps(
        {"name": name, "createdAt": now, "updatedAt": now, "state": json.dumps(state)}
    )
