"""Logged models: sent once, linked to run and metrics, kept while the store does not respond."""

import json

import pytest
import yaml

from pipeline.errors import InputError
from pipeline.tracking import writer
from pipeline.tracking.models import CHALLENGER, requirements
from pipeline.tracking.registry import (
    Promoted,
    Source,
    check_name,
    download_model,
    find_model,
    model_of_run,
    promote,
)

TAGGER = {
    "kind": "tagger",
    "inputs": json.dumps([{"type": "string", "name": "text", "required": True}]),
    "outputs": json.dumps([{"type": "string", "name": "text", "required": True}]),
    "example": json.dumps({"columns": ["text"], "data": [["a"]]}),
}


@pytest.fixture
def checkpoint(project):
    path = project / "best.ckpt"
    path.write_text("weights")
    return path


def logged(store):
    ids = [each.experiment_id for each in store.search_experiments()]
    return [store.get_logged_model(m.model_id) for m in store.search_logged_models(ids)]


def test_a_model_is_logged_with_its_files_run_and_metrics(start, store, checkpoint):
    tracker = start()
    tracker.log_scores({"val/f1": 0.5, "best/val_f1": 0.5}, 3)
    tracker.log_scores({"test/f1": 0.25}, 4)
    tracker.log_model(checkpoint, TAGGER)
    checkpoint.write_text("other")  # a copy is sent
    tracker.finish("FINISHED")
    (model,) = logged(store)
    assert (model.status.value, model.model_type) == ("READY", "tagger")
    assert model.source_run_id == tracker.version
    found = {(metric.key, metric.value, metric.step) for metric in model.metrics}
    assert found == {("best/val_f1", 0.5, 3), ("test/f1", 0.25, 4)}
    run = store.get_run(tracker.version)
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    assert len(store.get_metric_history(tracker.version, "test/f1")) == 1
    source = Source(model.model_id, tracker.version)
    assert model_of_run(tracker.version) == source
    target = checkpoint.parent / "fetched" / "x.ckpt"
    assert download_model(source, target).read_text() == "weights"
    assert [path.name for path in target.parent.iterdir()] == ["x.ckpt"]
    files = store.list_logged_model_artifacts(model.model_id)
    names = ["MLmodel", "artifacts", "input_example.json", "python_env.yaml", "requirements.txt"]
    assert sorted(file.path for file in files) == [*names, "script.py"]
    assert not (checkpoint.parent / "outputs" / tracker.version / "unsent").exists()


def test_no_file_of_a_model_names_a_local_path(start, store, checkpoint):
    tracker = start()
    tracker.log_model(checkpoint, TAGGER)
    tracker.finish("FINISHED")
    (model,) = logged(store)
    folder = checkpoint.parent / "all"
    folder.mkdir()
    from mlflow.artifacts import download_artifacts

    path = download_artifacts(model.artifact_location, dst_path=str(folder))
    for file in folder.rglob("*"):
        if file.is_file():
            assert str(checkpoint.parent) not in file.read_text(), file
    spec = yaml.safe_load(next(folder.rglob("MLmodel")).read_text())
    assert path
    assert spec["flavors"]["python_function"]["model_code_path"] == "script.py"
    assert not list(folder.rglob("*.pkl"))
    assert all(name.count("==") == 1 and "/" not in name for name in requirements())


def test_the_same_checkpoint_is_one_model(start, store, checkpoint):
    tracker = start()
    tracker.log_model(checkpoint, TAGGER, "a")
    tracker.log_model(checkpoint, TAGGER, "a")
    tracker.finish("FINISHED")
    (model,) = logged(store)
    (version,) = store.search_model_versions("name = 'a'")
    assert version.source == f"models:/{model.model_id}"
    assert store.get_registered_model("a").aliases == {CHALLENGER: 1}


def test_a_model_waits_for_the_store(start, store, checkpoint, monkeypatch):
    for name, seconds in {"INTERVAL": 0.02, "FIRST_DELAY": 0.02, "LAST_DELAY": 0.05}.items():
        monkeypatch.setattr(writer, name, seconds)
    original = type(store).create_logged_model

    def fail(*given, **named):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(type(store), "create_logged_model", fail)
    tracker = start()
    tracker.log_model(checkpoint, TAGGER, "a")
    tracker.finish("KILLED")
    assert logged(store) == []
    assert store.get_run(tracker.version).info.status == "KILLED"
    monkeypatch.setattr(type(store), "create_logged_model", original)
    start(run_id=tracker.version).finish("FINISHED")
    assert find_model("models:/a@challenger") == model_of_run(tracker.version)


def test_promote(start, store, checkpoint):
    trackers = [start(), start()]
    for number, tracker in enumerate(trackers):
        checkpoint.write_text(f"weights {number}")
        tracker.log_model(checkpoint, TAGGER, "news.tagger")
        tracker.finish("FINISHED")
    ids = [tracker.version for tracker in trackers]
    assert promote("news.tagger", 1, None) == Promoted("1", ids[0], None)
    assert promote("news.tagger", None, None) == Promoted("2", ids[1], "1")
    assert find_model("models:/news.tagger@champion") == model_of_run(ids[1])
    assert find_model("models:/news.tagger/1") == model_of_run(ids[0])
    assert promote("other", None, ids[0]) == Promoted("1", ids[0], None)  # registered by this
    for ask, text in (
        (lambda: promote("news.tagger", 3, None), "has no version 3; its aliases: challenger"),
        (lambda: promote("news", None, None), "no registered model 'news'; the tracking store has"),
        (lambda: find_model("models:/news.tagger@best"), "has no alias best"),
        (lambda: find_model("models:/news tagger@best"), "is no address of a model"),
        (lambda: find_model("models:/news.tagger"), "is no address of a model"),
    ):
        with pytest.raises(InputError, match=text):
            ask()


@pytest.mark.parametrize("name", ["a/b", "a:b", "a@b", "", "..", "a b", "ä'", "a\n"])
def test_names_that_mlflow_or_addresses_cannot_have(name):
    with pytest.raises(InputError, match="cannot be the name of a registered model"):
        check_name("--register", name)


def test_a_run_without_a_model(start, store):
    tracker = start()
    with pytest.raises(InputError, match="is still being trained, so the tracking store has no"):
        model_of_run(tracker.version)
    tracker.finish("FAILED")
    with pytest.raises(InputError, match="has no model: it ended with status FAILED without a"):
        model_of_run(tracker.version)
