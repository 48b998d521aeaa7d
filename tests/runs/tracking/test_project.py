"""`mlflow run`: entry points, and runs in which nothing is trained."""

import shlex
from types import SimpleNamespace

import pytest
import yaml

from pipeline.cli.main import make_parser
from pipeline.errors import TrainingError
from pipeline.tracking import project
from tasks.language_model import LanguageModel
from tests.configs import small_config, write_config
from tests.harness import (
    REPOSITORY,
    all_runs,
    command,
    environment,
    error_of,
    execute,
    fit,
    only_run,
    wait_for,
)

ENTRIES = yaml.safe_load((REPOSITORY / "MLproject").read_text(encoding="utf-8"))["entry_points"]
ALIASES = {"main": "train", "resume": "train"}
NEEDED = {"probe": ["--run", "a"]}  # one of several flags, which -P adds


@pytest.fixture
def config(tmp_path, corpus):
    return write_config(tmp_path, small_config(corpus, **{"trainer.max_steps": 2}))


@pytest.fixture
def made(store, monkeypatch):
    """Creates the run of the next command, as `mlflow run` does, and returns its id.

    What would be deleted by a process of its own is deleted at once.
    """

    def made() -> str:
        run = store.create_run("0", tags={"mlflow.project.entryPoint": "any"})
        monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
        return run.info.run_id

    def delete(words, **settings):
        assert words[-3:-1] == ["-m", "pipeline.tracking.project"]
        assert settings["start_new_session"]
        project.delete_when_ended(words[-1], patience=0)

    monkeypatch.setattr(project, "subprocess", SimpleNamespace(Popen=delete, DEVNULL=None))
    return made


def test_every_verb_is_an_entry_point():
    assert {*make_parser()[1]} == {ALIASES.get(name, name) for name in ENTRIES}


@pytest.mark.parametrize("name", ENTRIES)
def test_parameters_of_entry_points_are_arguments(name):
    """The command line that MLflow makes of an entry point has no unknown flag."""
    parameters, line = ENTRIES[name].get("parameters", {}), ENTRIES[name]["command"]
    assert "\n" not in line
    assert line.startswith(f"python -m pipeline {ALIASES.get(name, name)}")
    assert all(f"{{{key}}}" in line for key in parameters)
    values = dict.fromkeys(parameters, "a value") | {"config": "lm/builtin-lstm"}
    words = shlex.split(line.format(**{key: shlex.quote(value) for key, value in values.items()}))
    words += NEEDED.get(name, [])
    parser, verbs = make_parser()
    options, unknown = parser.parse_known_args(words[3:])
    assert unknown == []
    assert {word for word in words if word.startswith("--")} <= {*verbs[options.verb].flags()}


def test_a_refused_training_leaves_no_run(config, store, made, monkeypatch, capsys):
    """As without `mlflow run`; a training that began and failed keeps its run."""
    for arguments in (
        ["train", "--config", config, "--trainer.max_epoch=1"],
        ["train", "--config", config, "--checkpoint_every=0"],
        ["train", "--config", "nothing"],
        ["crossvalidate", "--config", config],
        ["runs", "--limit", "many"],
    ):
        run_id = made()
        error_of(capsys, *arguments)
        run = store.get_run(run_id)
        assert (run.info.lifecycle_stage, run.data.params) == ("deleted", {}), arguments
    run_id = made()

    def fail(*given):
        raise TrainingError("the loss is not finite")

    monkeypatch.setattr(LanguageModel, "training_step", fail)
    assert command("train", "--config", config) == 1
    run = store.get_run(run_id)
    assert (run.info.lifecycle_stage, run.info.status) == ("active", "FAILED")


def test_only_runs_with_a_training_are_kept(config, store, made, monkeypatch, capsys, tmp_path):
    run_id = fit(tmp_path, monkeypatch, "--config", config)
    for arguments, code in (
        (("test", "--run", run_id), 0),
        (("test", "--run", "none"), 2),
        (("fit", "--resume", run_id, "--trainer.max_steps=3"), 0),
        (("fit", "--resume", run_id), 0),
        (("runs", "--json", "true"), 0),
    ):
        empty = made()
        assert command(*arguments) == code
        assert store.get_run(empty).info.lifecycle_stage == "deleted", arguments
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)  # inherited by mistake: not made for this command
    assert "no run 'none'" in error_of(capsys, "test", "--run", "none")
    taken = made()
    assert command("fit", "--resume", run_id, "--fork", "true", "--trainer.max_steps=4") == 0
    assert {run.info.run_id for run in all_runs(tmp_path)} == {run_id, taken}


def test_a_store_that_fails_at_the_end_changes_no_exit_code(store, made, monkeypatch, capsys):
    run_id = made()

    def fail(*given):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(type(store), "get_run", fail)
    assert command("parts") == 0
    assert f"the empty run {run_id} was not deleted: cannot use" in capsys.readouterr().err


def test_the_run_is_deleted_after_it_has_its_status(store, made, monkeypatch):
    """`mlflow run` sets the status last, and cannot set that of a deleted run."""
    run_id = made()
    monkeypatch.setattr(project.time, "sleep", lambda _: store.set_terminated(run_id, "FAILED"))
    project.delete_when_ended(run_id)
    info = store.get_run(run_id).info
    assert (info.lifecycle_stage, info.status) == ("deleted", "FAILED")


@pytest.mark.slow
def test_mlflow_run_leaves_no_empty_run(tmp_path, store, config, monkeypatch):
    run_id = fit(tmp_path, monkeypatch, "--config", config)
    words = ["mlflow", "run", str(REPOSITORY), "--env-manager=local", "--experiment-name=lm/small"]
    settings = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "UNROLL_OUTPUTS": str(tmp_path / "outputs"),
    }
    for more, code in ((["-e", "test", f"-Prun={run_id}"], 0), (["-Ptrainer.max_epoch=1"], 1)):
        done = execute([*words, *more], env=environment(**settings))
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        wait_for(lambda: len(all_runs(tmp_path)) == 1)
    assert "did you mean 'max_epochs'" in done.stderr
    run = only_run(tmp_path)
    assert run.info.status == "FINISHED"
    assert "test/perplexity" in run.data.metrics
