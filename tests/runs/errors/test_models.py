"""Names of models that cannot be used, and exports that cannot be written: one sentence each."""

import os
import resource
import sys

import pytest

from tests.harness import command, error_of, fit

LIMITS = ("--trainer.max_epochs=1", "--trainer.limit_train_batches=2")
CONFIG = ("--config", "lm/builtin-lstm", *LIMITS, "--trainer.limit_val_batches=1")
NGRAMS = ("--config", "lm/builtin-kn5")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, empty_database):
    """A folder with a language model that is registered as `words`, and an n-gram model."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNROLL_CACHE", str(folder / "cache"))
        patch.setattr(
            "pipeline.tracking.store._create_sqlite",
            lambda path: path.write_bytes(empty_database.read_bytes()),
        )
        fit(folder, patch, *CONFIG, "--register", "words", "--run_name", "network")
        assert command("fit", *NGRAMS, "--run_name", "counts") == 0
    return folder


@pytest.fixture
def models(trained, project, monkeypatch):
    """The store of that folder, seen from an empty folder: files are downloaded again."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{trained}/mlflow.db")
    (project / "text.txt").write_text("the boys\n")
    return project


@pytest.fixture
def client(models):
    import mlflow

    return mlflow.MlflowClient(os.environ["MLFLOW_TRACKING_URI"])


ADDRESS = "is no address of a model; expected models:/NAME@ALIAS or models:/NAME/VERSION"
NAME = "cannot be the name of a registered model; use letters, digits, hyphens"
UNKNOWN = "no registered model 'word'; the tracking store has words; `unroll train --register NAME`"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("score", "--run", "models:/a b@champion"), f"'models:/a b@champion' {ADDRESS}"),
        (("score", "--run", "models:/ä'/1"), ADDRESS),
        (("score", "--run", "models:/../words@challenger"), ADDRESS),
        (("score", "--run", "models:/words"), ADDRESS),
        (
            ("score", "--run", "models:/words@champion"),
            "registered model words has no alias champi",
        ),
        (
            ("score", "--run", "models:/words/2"),
            "registered model words has no version 2; its alia",
        ),
        (("score", "--run", "models:/word@challenger"), UNKNOWN),
        (("promote", "word"), UNKNOWN),
        (("promote", "a/b"), f"model 'a/b' {NAME}"),
        (("promote", "ä'"), NAME),
        (
            ("promote", "words", "--version", "2"),
            "registered model words has no version 2; its ali",
        ),
        (("promote", "words", "--run", "nothing"), "no run 'nothing'; `unroll runs` lists all"),
        (("predict", "--run", "models:/words/1"), "but this command needs a tagger or text classi"),
        (("export", "--run", "counts", "--output", "x.onnx"), "but this format needs a tagger, a"),
        (("export", "--run", "models:/words/1", "--output", "x.arpa"), "but this command needs an"),
    ],
)
def test_names_of_models(arguments, text, models, capsys):
    given = () if arguments[0] in ("promote", "export") else ("--input", "text.txt")
    error = error_of(capsys, *arguments, *given)
    assert text in error
    assert error.startswith("unroll: ")
    assert error.count("\n") == 1
    assert {path.name for path in models.iterdir()} <= {"text.txt", "outputs"}


@pytest.mark.parametrize(
    "command_of",
    [
        lambda run: ("export", "--run", run, "--output", "x.onnx"),
        lambda run: ("score", "--run", run, "--input", "text.txt"),
        lambda run: ("promote", "words", "--run", run),
    ],
    ids=["export", "score", "promote"],
)
def test_runs_without_a_model(command_of, models, client, capsys):
    run = client.create_run("0").info.run_id
    try:
        arguments = command_of(run)
        assert f"run {run} is still being trained, so the" in error_of(capsys, *arguments)
        client.set_terminated(run, "KILLED")
        text = f"run {run} has no model: it ended with status KILLED without a checkpoint"
        assert text in error_of(capsys, *arguments)
    finally:
        client.delete_run(run)
    assert f"run {run} was deleted; restore it with" in error_of(capsys, *arguments)
    assert [path.name for path in models.iterdir()] == ["text.txt"]
    assert client.get_registered_model("words").aliases == {"challenger": 1}


def test_models_of_other_programs(models, client, capsys):
    run = client.create_run("0").info.run_id
    client.set_terminated(run)
    logged = client.create_logged_model("0", name="forest", source_run_id=run)
    client.log_model_artifact(logged.model_id, str(models / "text.txt"))
    client.finalize_logged_model(logged.model_id, "READY")
    client.create_registered_model("foreign")
    try:
        client.create_model_version("foreign", f"runs:/{run}/model", run_id=run)
        client.create_model_version("foreign", f"models:/{logged.model_id}", run_id=run)
        for number in (1, 2):
            text = f"unroll: models:/foreign/{number} was not logged by Unroll; name a model of"
            address = f"models:/foreign/{number}"
            for verb in (("score", "--input", "text.txt"), ("export", "--output", "x.safetensors")):
                assert error_of(capsys, *verb, "--run", address).startswith(text)
            assert error_of(capsys, "promote", "foreign", "--version", number).startswith(text)
        assert "has no model" in error_of(capsys, "promote", "new", "--run", run)
        client.delete_logged_model(logged.model_id)
        error = error_of(capsys, "score", "--input", "text.txt", "--run", "models:/foreign/2")
        assert f"logged model {logged.model_id} of models:/foreign/2 was deleted; name" in error
        assert [model.name for model in client.search_registered_models()] == ["foreign", "words"]
        assert client.get_registered_model("foreign").aliases == {}
    finally:
        client.delete_registered_model("foreign")
        client.delete_run(run)
    assert [path.name for path in models.iterdir()] == ["text.txt"]


@pytest.mark.parametrize(
    ("run", "ending"),
    [("network", "onnx"), ("network", "safetensors"), ("counts", "arpa"), ("counts", "arpa.gz")],
)
def test_a_full_disk(run, ending, trained, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(trained)
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)  # sizes are traced
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    output = tmp_path / f"model.{ending}"
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        error = error_of(capsys, "export", "--run", run, "--output", output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error == (
        f"unroll: --output {output}: File too large; free space there, or write to another disk\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "safetensors.torch"])
def test_export_without_its_packages(package, trained, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(trained)
    monkeypatch.setitem(sys.modules, package, None)
    output = tmp_path / ("x.safetensors" if "safe" in package else "x.onnx")
    error = error_of(capsys, "export", "--run", "network", "--output", output)
    name = package.partition(".")[0]
    assert f"needs the Python package {name}, which is not installed; install the extra" in error
    assert list(tmp_path.iterdir()) == []
