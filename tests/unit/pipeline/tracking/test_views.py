"""Views of an experiment in the format of MLflow's menu "Views"."""

import json

import pytest

from pipeline.tracking.views import CHARTS, SEEDS, view_address, view_tags


@pytest.mark.parametrize("monitor", ["val/perplexity", "val/f1", ""])
def test_sections_and_charts(monitor):
    """MLflow 3.17 reads these fields; every chart is in a section, and a tag can have 5000."""
    tags = view_tags(monitor)
    assert [*tags] == [f"mlflow.sharedViewState.{key}" for key in (CHARTS, SEEDS)]
    for text in tags.values():
        assert len(text) < 5000
        view = json.loads(text)
        assert view["name"]
        assert view["createdAt"] == view["updatedAt"] > 1e12
        state = json.loads(view["state"])
        sections, charts = state["compareRunSections"], state["compareRunCharts"]
        assert [one["name"] for one in sections][:2] == ["val", "train"]
        assert state["isAccordionReordered"]
        assert {one["metricSectionId"] for one in charts} <= {one["uuid"] for one in sections}
        assert len({one["uuid"] for one in charts}) == len(charts)
        shown = [one for one in charts if not one["deleted"]]
        assert [one["type"] for one in shown] == (
            ["LINE", "SCATTER", "PARALLEL"] if monitor else []
        )


def test_the_score_of_the_task():
    state = json.loads(json.loads(view_tags("val/f1")[f"mlflow.sharedViewState.{CHARTS}"])["state"])
    line, scatter, parallel = (one for one in state["compareRunCharts"] if not one["deleted"])
    assert (line["metricKey"], line["metricSectionId"]) == ("val/f1", "unroll-val")
    assert (scatter["xaxis"]["key"], scatter["yaxis"]["key"]) == ("model/parameters", "test/f1")
    assert parallel["selectedMetrics"] == ["test/f1"]
    assert state["selectedColumns"][:2] == ["metrics.`test/f1`", "metrics.`best/val_f1`"]
    assert "groupBy" not in state


def test_seeds_are_grouped_by_the_tag():
    state = json.loads(json.loads(view_tags("val/f1")[f"mlflow.sharedViewState.{SEEDS}"])["state"])
    assert state["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "unroll.group"}]


def test_the_address_is_one_of_pages_for_training():
    address = view_address("7", CHARTS)
    assert address.startswith("#/experiments/7/runs?")
    assert "workflowType=machine_learning" in address
    assert "compareRunsMode=CHART" in address
    assert "compareRunsMode" not in view_address("7", SEEDS)
