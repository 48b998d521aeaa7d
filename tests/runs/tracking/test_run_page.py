"""What a person finds on the page of a run: its description, parameters, metrics and tags."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.run.page import headline, with_headline
from pipeline.tracking.provenance import command_line
from pipeline.tracking.views import CHARTS, SEEDS, view_address
from tests.configs import small_config, write_config
from tests.harness import (
    all_runs,
    client,
    command,
    fit,
    history,
    only_run,
)

NOTE = "mlflow.note.content"


@pytest.fixture
def config(project, corpus):
    """A configuration of two epochs whose comment states scores."""
    file = write_config(project, small_config(corpus))
    text = file.read_text()
    file.write_text(f"# unroll train --config C\n# Published test perplexity 12.5.\n{text}")
    return file


def test_the_description(project, config, monkeypatch):
    """Result and published score in the first line; then size, corpus, command and use."""
    monkeypatch.setattr(sys, "argv", ["/bin/unroll", "train", "--config", "C"])
    assert command("train", "--config", config) == 0
    run = only_run(project)
    note, metrics = run.data.tags[NOTE], run.data.metrics
    first = note.splitlines()[0]
    assert first == (
        f"**test/perplexity {metrics['test/perplexity']:.5g}** "
        f"({metrics['test/perplexity_known']:.5g} without 1 unknown token), "
        f"best val/perplexity {metrics['best/val_perplexity']:.5g}. "
        "The unchanged configuration: Published test perplexity 12.5."
    )
    assert f"{metrics['model/parameters']:,.0f} parameters" in note
    assert "vocabulary" in note
    assert f"```\n{command_line()}\n```" in note
    assert f"unroll generate --run {run.info.run_id}" in note
    experiment = client(project).get_experiment(run.info.experiment_id)
    first, _, rest = experiment.tags[NOTE].partition("\n")
    assert first.startswith("Task lm, corpus small: compare `test/perplexity` (lower is better).")
    for key in (CHARTS, SEEDS):
        assert f"({view_address(run.info.experiment_id, key)})" in first
        assert f"mlflow.sharedViewState.{key}" in experiment.tags
    assert rest.startswith("\n```\ntokens train")


def test_a_resume_keeps_the_first_command(project, config, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/bin/unroll", "train", "--config", "C"])
    assert command("train", "--config", config) == 0
    first, begun = only_run(project), command_line()
    monkeypatch.setattr(sys, "argv", ["/bin/unroll", "train", "--resume", "R"])
    assert command("train", "--resume", first.info.run_id, "--trainer.max_epochs=3") == 0
    run = only_run(project)
    kept = ("unroll.command", "unroll.expected", "mlflow.source.name")
    assert {name: run.data.tags[name] for name in kept} == {
        "unroll.command": begun,
        "unroll.expected": "Published test perplexity 12.5.",
        "mlflow.source.name": begun,
    }
    assert run.data.tags["unroll.resumed"] == command_line()
    assert f"```\n{begun}\n{command_line()}\n```" in run.data.tags[NOTE]
    path = client(project).download_artifacts(run.info.run_id, "command.txt", str(project))
    assert Path(path).read_text() == f"{begun}\n"
    score = run.data.metrics["test/perplexity"]
    assert run.data.tags[NOTE].startswith(f"**test/perplexity {score:.5g}**")
    assert history(project, run.info.run_id, "test/perplexity")[-1][0] == 0


def test_a_description_of_the_user_is_kept(project, config, monkeypatch):
    """A later test changes its first line only, and adds the scores to the run."""
    run_id = fit(project, monkeypatch, "--config", config)
    run = only_run(project)
    assert "test/perplexity" not in run.data.metrics
    assert run.data.tags[NOTE].startswith("best val/perplexity ")
    text = run.data.tags[NOTE] + "\nMy own remark.\n"
    client(project).set_tag(run_id, NOTE, text)
    assert command("test", "--run", run_id) == 0
    tested = only_run(project)
    score = tested.data.metrics["test/perplexity"]
    assert tested.data.tags[NOTE].startswith(f"**test/perplexity {score:.5g}** (")
    assert tested.data.tags[NOTE].partition("\n")[2] == text.partition("\n")[2]
    assert command("test", "--run", run_id, "--data.eval_bptt=3") == 0  # not the run's own test
    assert len(history(project, run_id, "test/perplexity")) == 1
    assert command("train", "--resume", run_id, "--trainer.max_epochs=3") == 0
    assert only_run(project).data.tags[NOTE] == tested.data.tags[NOTE]


def test_unknown_tokens_are_in_the_headline():
    scores = {"test/perplexity": 99.76, "test/perplexity_known": 72.1534, "test/unk": 216.0}
    line = "**test/perplexity 99.76** (72.153 without 216 unknown tokens). "
    assert headline("FINISHED", "val/perplexity", scores, "") == line.strip()
    known = "**test/perplexity_known 72.153**."
    assert headline("FINISHED", "val/perplexity_known", scores, "") == known
    without = {**scores, "test/unk": 0.0}
    assert headline("FINISHED", "val/perplexity", without, "") == "**test/perplexity 99.76**."


def test_a_text_without_our_headline_is_kept_below_it():
    assert with_headline("Mine.\nAnd more.", "**test/f1 0.9**") == (
        "**test/f1 0.9**\n\nMine.\nAnd more."
    )
    assert with_headline("**test/f1 0.8**. Old.\n\nRest.", "New.") == "New.\n\nRest."


def test_parameters_are_few_and_the_same_however_a_run_is_started(project, config):
    """Flags that differ from defaults; the complete configuration gives the same ones."""
    assert command("train", "--config", config, "--trainer.max_epochs=1") == 0
    run = only_run(project)
    folder = project / "outputs" / run.info.run_id
    full = yaml.safe_load((folder / "config.yaml").read_text())
    assert full["model"]["init_args"]["embedding_scale"] == 0.1
    params = run.data.params
    assert {"model.embedding_scale", "trainer.strategy", "run_name"}.isdisjoint(params)
    assert params["model.encoder.hidden_size"] == "12"
    assert params["config"] == str(config)
    assert len(params) < 30
    assert command("train", "--config", folder / "config.yaml") == 0
    [again] = [one for one in all_runs(project) if one.info.run_id != run.info.run_id]
    ignored = {"config"}
    assert {k: v for k, v in again.data.params.items() if k not in ignored} == {
        k: v for k, v in params.items() if k not in ignored
    }
    assert again.data.tags["unroll.group"] == run.data.tags["unroll.group"]


def test_single_values_and_sizes_of_ngrams(project, corpus):
    """An n-gram model has one value of each score, none beside curves, and a size."""
    config = small_config(corpus)
    smoothing = {"class_path": "pipeline.ngrams.AddDelta", "init_args": {"delta": 0.5}}
    init_args = {"order": 2, "smoothing": smoothing}
    config["model"] = {"class_path": "NgramLanguageModel", "init_args": init_args}
    config["trainer"] = {"max_epochs": 1}
    assert command("train", "--config", write_config(project, config)) == 0
    run = only_run(project)
    for name in ("final/val_nll", "test/perplexity", "best/val_perplexity", "model/parameters"):
        assert {step for step, _ in history(project, run.info.run_id, name)} == {0}, name
    assert run.data.metrics["model/parameters"] > 100
    assert not any(name.startswith("val/") for name in run.data.metrics)


def test_names_of_experiments_and_runs(project, config, monkeypatch):
    """MLFLOW_EXPERIMENT_NAME, and the name that a user gave to `mlflow run`."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    fit(project, monkeypatch, "--config", config, "--trainer.max_steps=2")
    store, run = client(project), only_run(project)
    experiment = store.get_experiment(run.info.experiment_id)
    assert experiment.name == "mine"
    for given, expected in (("my run", "my run"), ("rogue-panda-62", run.info.run_name)):
        made = store.create_run(experiment.experiment_id, run_name=given)
        monkeypatch.setenv("MLFLOW_RUN_ID", made.info.run_id)
        assert command("fit", "--config", config, "--trainer.max_steps=2") == 0
        found = store.get_run(made.info.run_id)
        assert (found.info.run_name, found.info.status) == (expected, "FINISHED")
        assert "config" not in found.data.params  # `mlflow run` logs it


def test_tables_are_those_of_mlflow(store, start):
    """The artifact is what MLflow's `log_table` writes, and is listed as a table."""
    tracker = start()
    tracker.log_table(["word", "loss"], [["cat", 1.5], ["Käse", 2.0]], "tables/words.json")
    tracker.finish("FINISHED")
    made = store.create_run("0").info.run_id
    store.log_table(made, {"word": ["cat", "Käse"], "loss": [1.5, 2.0]}, "tables/words.json")
    ours, theirs = (
        json.loads(Path(store.download_artifacts(run, "tables/words.json")).read_text())
        for run in (tracker.version, made)
    )
    assert ours == theirs
    ours, theirs = (
        json.loads(store.get_run(run).data.tags["mlflow.loggedArtifacts"])
        for run in (tracker.version, made)
    )
    assert ours == theirs
