"""`unroll gradients` and GradientMonitor, on the built-in corpora."""

import csv
import json
import math
from pathlib import Path

import pytest

from tests.configs import part, small_config, small_tagger, write_config
from tests.harness import all_runs, client, command, error_of, history, only_run

FILES = {"gradients.png", "gradients.json", "gradients.csv", "gradients.txt"}


def artifacts(folder, run_id):
    found = client(folder).list_artifacts(run_id, "gradients")
    return {file.path.removeprefix("gradients/") for file in found}


def numbers(folder):
    return json.loads((folder / "gradients.json").read_text(encoding="utf-8"))


def test_a_run_is_watched_and_looked_at(project, corpus, capsys):
    lens = part("pipeline.callbacks.GradientMonitor", every_n_steps=5)
    config = small_config(corpus, **{"trainer.callbacks": [lens], "trainer.max_epochs": 1})
    assert command("train", f"--config={write_config(project, config)}", "--run_name=seen") == 0
    run = only_run(project)
    run_id = run.info.run_id
    folder = project / "outputs" / run_id / "gradients"
    assert artifacts(project, run_id) == FILES == {file.name for file in folder.iterdir()}
    steps = [step for step, _ in history(project, run_id, "gradients/layer_2/lag_10")]
    assert steps
    assert all(step % 5 == 0 for step in steps)
    watched = numbers(folder)
    assert watched["model"].startswith("seen, step ")
    assert len(watched["layers"][0]["rows"]) == 20  # bptt
    shares = dict(history(project, run_id, "train/clipped_share"))
    norms = dict(history(project, run_id, "train/grad_norm"))
    after = dict(history(project, run_id, "train/grad_norm_clipped"))
    for step in shares:
        clipped = [norms[each] > 1.0 for each in range(step - 4, step + 1)]
        assert shares[step] == pytest.approx(sum(clipped) / 5)
        assert after[step] == pytest.approx(min(norms[step], 1.0), rel=1e-4)

    capsys.readouterr()
    assert command("gradients", "--run=seen", "--lags=30", "--rows=3") == 0
    table = capsys.readouterr().out
    assert "layer 2: the gradient halves every " in table
    seen = numbers(folder)  # in place of what the callback wrote
    assert seen["model"] == "seen, small valid"
    assert [len(layer["gradients"]["state"]) for layer in seen["layers"]] == [31, 31]
    assert only_run(project).info.end_time == run.info.end_time
    kept = client(project).download_artifacts(run_id, "gradients/gradients.json", str(project))
    assert json.loads(Path(kept).read_text(encoding="utf-8")) == seen
    line = next(line for line in table.splitlines() if line.startswith("layer 1 "))
    state = seen["layers"][0]["gradients"]["state"]
    assert float(line.split()[3]) == pytest.approx(state[1] / state[0], rel=0.06)
    with (folder / "gradients.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["layer"] == "layer 1"]
    by_state = [float(row["value"]) for row in rows if row["quantity"] == "gradient by the state"]
    assert by_state == state

    checkpoint = project / "outputs" / run_id / "checkpoints" / "best.ckpt"
    arguments = [f"--checkpoint={checkpoint}", "--lags=30", "--rows=3", "--output=there"]
    assert command("gradients", *arguments) == 0
    assert numbers(project / "there")["layers"] == seen["layers"]


def test_a_configuration_untrained(project, opinions, capsys):
    """Twice the same numbers: the seed is the configuration's; and a flag changes the model."""
    config = write_config(project, small_tagger(opinions))
    assert command("gradients", f"--config={config}") == 0
    first = numbers(project / "gradients")
    assert [layer["name"] for layer in first["layers"]] == [
        f"layer {index}, {direction}"
        for index in (1, 2)
        for direction in ("left to right", "right to left")
    ]
    assert all(set(layer["gates"]) == {"input", "forget", "output"} for layer in first["layers"])
    assert command("gradients", f"--config={config}") == 0
    assert numbers(project / "gradients") == first
    flags = ["--model.encoder=Elman", "--model.encoder.nonlinearity=sigmoid", "--output=other"]
    assert command("gradients", f"--config={config}", *flags) == 0
    layer = numbers(project / "other")["layers"][0]
    assert layer["bound"] == pytest.approx(0.25)  # an orthogonal matrix, and the slope of a sigmoid
    assert layer["half_life"] < math.log(0.5) / math.log(0.25) * 1.01
    assert not (project / "mlflow.db").exists()


BAD = [
    ([], "which model? give --run RUN, --checkpoint FILE or --config FILE"),
    (["--config=C", "--rows=0"], "--rows must be at least 1, got 0"),
    (["--config=C", "--lags=-1"], "--lags must be at least 1, got -1"),
    (["--config=C", "--run=x"], "--config is for a model that is not trained yet; leave it out"),
    (["--config=C", "--output=C"], "--output C is a file; give a folder"),
    (["--config=C", "--model.encodr=GRU"], "did you mean"),
    (["--config=C", "--split=dev"], "--split"),
    (["--run=x", "--model.encoder=GRU"], "cannot change a model that is trained"),
    (["--config=C", "--model.encoder=Window"], "has no recurrent layer"),
    (["--checkpoint=none.ckpt"], "there is no checkpoint file none.ckpt"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_mistakes(project, opinions, capsys, arguments, message):
    write_config(project, small_tagger(opinions), "C")
    said = error_of(capsys, "gradients", *arguments)
    assert message in said
    assert said.count("\n") == 1


def test_a_model_that_cannot_be_looked_at_is_told_before_a_run_is_opened(project, corpus, capsys):
    changes = {
        "trainer.callbacks": [{"class_path": "pipeline.callbacks.GradientMonitor"}],
        "model.init_args.encoder.init_args.zoneout": 0.1,
    }
    config = write_config(project, small_config(corpus, **changes))
    error = error_of(capsys, "train", f"--config={config}")
    assert "GradientMonitor cannot record layers with zoneout" in error
    assert not (project / "outputs").exists()
    assert not all_runs(project)
