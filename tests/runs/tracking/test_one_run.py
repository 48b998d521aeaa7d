"""One MLflow run per training, however it is started, with the right status and exit code."""

import json
import os
import re
import signal
import sys

import pytest

from tests.configs import part, small_config, write_config
from tests.harness import (
    DDP,
    REPOSITORY,
    all_runs,
    client,
    command,
    environment,
    execute,
    history,
    only_run,
    start,
    unroll,
    wait_for,
    wait_for_checkpoint,
)


def train(project, corpus, *flags, launcher=(), **changes):
    config = write_config(project, small_config(corpus, **changes))
    return unroll("train", "--config", str(config), *flags, launcher=launcher)


def test_plain_command(project, corpus):
    done = train(project, corpus, launcher=(sys.executable,))
    assert done.returncode == 0, done.stderr
    run = only_run(project)
    assert run.info.status == "FINISHED"
    experiment = client(project).get_experiment(run.info.experiment_id)
    assert experiment.name == "lm/small"
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    steps = [step for step, _ in history(project, run.info.run_id, "train/loss")]
    assert steps == list(range(1, steps[-1] + 1))
    assert [s for s, _ in history(project, run.info.run_id, "val/perplexity")] == [
        steps[-1] // 2,
        steps[-1],
    ]
    for key in run.data.metrics:  # each step once, at the steps of RunLog, not of Lightning
        points = [step for step, _ in history(project, run.info.run_id, key)]
        assert len(points) == len(set(points)), key
        if key.startswith("test/"):
            assert points == [0], key
        elif key.startswith("val/"):
            assert points == [steps[-1] // 2, steps[-1]], key
    assert [s for s, _ in history(project, run.info.run_id, "epoch")] == steps
    assert {"train/grad_norm", "tokens_seen", "perf/tokens_per_second"} <= run.data.metrics.keys()
    assert run.data.params["model.encoder.hidden_size"] == "12"
    assert run.data.tags["encoder"] == "LSTM"
    assert run.info.run_name == f"{run.data.tags['unroll.group']}-s3"
    assert run.data.tags["unroll.group"].startswith("lstm-2x12-")
    names = {item.path for item in client(project).list_artifacts(run.info.run_id)}
    assert {"config.yaml", "vocabulary.txt"} <= names
    assert "checkpoints" not in names  # the checkpoint is in the logged model
    assert "epoch 2/2" in done.stderr  # short log outside terminals
    assert "Warning" not in done.stderr
    assert f"test/tokens {count_tokens(corpus)}" in done.stdout


def count_tokens(corpus):
    lines = (corpus / "test.txt").read_text().splitlines()
    return sum(len(line.split()) + 1 for line in lines)


def test_a_parameter_pasted_back_is_a_flag(project, corpus):
    """The parameters of a run, passed as flags, give the same configuration."""
    config = write_config(project, small_config(corpus, **{"trainer.max_epochs": 1}))
    assert command("train", "--config", config) == 0
    params = only_run(project).data.params
    flags = [f"--{name}={value}" for name, value in params.items() if value != "null"]
    config = write_config(project, small_config(corpus, seed_everything=99))
    assert command("train", "--config", config, *flags) == 0
    first, second = (run.data for run in all_runs(project))
    assert first.params == second.params
    assert first.metrics["test/perplexity"] == second.metrics["test/perplexity"]


def test_mlflow_run(project, corpus):
    """`mlflow run . -P ...` trains in the run created by MLflow; any field is a parameter."""
    config = write_config(project, small_config(corpus))
    parameters = [f"config={config}", "model.encoder.hidden_size=6", "trainer.max_epochs=1"]
    words = ["mlflow", "run", str(REPOSITORY), "--env-manager=local", "--experiment-name=lm/small"]
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{project}/mlflow.db"}
    done = execute(
        [*words, *(f"-P{parameter}" for parameter in parameters)],
        env=environment(**store, UNROLL_OUTPUTS=str(project / "outputs")),
    )
    assert done.returncode == 0, done.stderr
    run = only_run(project)
    assert run.info.status == "FINISHED"
    assert run.data.params["model.encoder.hidden_size"] == "6"
    assert run.info.run_name.startswith("lstm-2x6-")
    assert "test/perplexity" in run.data.metrics


@pytest.mark.parametrize(
    "launcher",
    [(sys.executable,), (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2")],
    ids=["ddp", "torchrun"],
)
def test_two_processes(project, corpus, launcher):
    done = train(project, corpus, *DDP, "--trainer.max_epochs=1", launcher=launcher)
    assert done.returncode == 0, done.stderr
    run = only_run(project)
    assert run.info.status == "FINISHED"
    steps = [step for step, _ in history(project, run.info.run_id, "train/loss")]
    assert steps == list(range(1, len(steps) + 1))
    assert run.data.metrics["test/tokens"] == count_tokens(corpus)
    assert run.data.tags["world_size"] == "2"
    assert len(os.listdir(project / "outputs")) == 1


@pytest.mark.parametrize("flags", [(), DDP], ids=["one", "two"])
def test_a_loss_that_is_not_finite(project, corpus, flags):
    encoder = part("Elman", input_size=8, hidden_size=12, nonlinearity="relu")
    changes = {
        "model.init_args.optimizer": part("torch.optim.SGD", lr=1e30),
        "model.init_args.encoder": encoder,
        "trainer.gradient_clip_val": None,
        "trainer.max_epochs": 1,
        "checkpoint_every": 1,
    }
    done = train(project, corpus, *flags, **changes)
    assert done.returncode == 1
    assert re.search(r"training stopped: .* step \d+ \(epoch 1\); ", done.stderr)
    assert "learning rate" in done.stderr
    assert "Traceback" not in done.stderr
    run = only_run(project)
    assert run.info.status == "FAILED"


@pytest.mark.parametrize(
    ("flags", "sent", "code"),
    [
        pytest.param((), signal.SIGTERM, 143, id="one-SIGTERM"),
        pytest.param(DDP, signal.SIGINT, 130, id="two-SIGINT"),
        pytest.param((), signal.SIGINT, 130, id="one-SIGINT", marks=pytest.mark.slow),
        pytest.param(DDP, signal.SIGTERM, 143, id="two-SIGTERM", marks=pytest.mark.slow),
    ],
)
def test_stopped(project, corpus, flags, sent, code):
    config = write_config(project, small_config(corpus, **{"trainer.max_epochs": 1000}))
    process = start("train", "--config", str(config), *flags)
    wait_for_checkpoint(process, project)
    os.killpg(process.pid, sent) if sent == signal.SIGINT else process.send_signal(sent)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    assert only_run(project).info.status == "KILLED"
    with pytest.raises(ProcessLookupError):  # no process remains
        wait_for(lambda: os.killpg(process.pid, 0), seconds=20)


def test_the_death_of_another_process(project, corpus):
    """The run ends with status FAILED when a process of the job is killed."""
    (project / "dying.py").write_text(
        "import os\n"
        "from lightning.pytorch import Callback\n"
        "class Dies(Callback):\n"
        "    def on_train_batch_end(self, trainer, *rest):\n"
        "        if trainer.global_rank == 1 and trainer.global_step == 5:\n"
        "            os._exit(3)\n"
    )
    path = os.pathsep.join([str(project), str(REPOSITORY)])
    config = small_config(corpus, **{"trainer.callbacks": [{"class_path": "dying.Dies"}]})
    done = unroll("train", "--config", str(write_config(project, config)), *DDP, PYTHONPATH=path)
    assert done.returncode == 1, done.stderr
    assert only_run(project).info.status == "FAILED"


def test_runs_in_json(project, corpus):
    assert train(project, corpus, "--trainer.max_epochs=1").returncode == 0
    done = unroll("runs", "--json")
    (row,) = json.loads(done.stdout)
    run = only_run(project)
    assert row["run_id"] == run.info.run_id
    assert row["test"] == run.data.metrics["test/perplexity"]
    assert row["metrics"] == run.data.metrics
