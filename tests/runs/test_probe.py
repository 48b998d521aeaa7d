"""`unroll probe`: variants are trained, measured and drawn; an interrupted comparison continues."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from datamodules.language_model.builtin import agreement_probe
from pipeline.analysis.probes.agreement import RANGES, AgreementRate, by_attractors, by_range, judge
from pipeline.analysis.probes.tables import ModelScores, draw_lines, means_over_seeds, write_table
from pipeline.analysis.probes.variants import read_variants
from pipeline.checkpoints.read import load_trained
from tests.configs import small_config, write_config
from tests.harness import all_runs, client, command, error_of, everything

GROUPS = {
    "encoder": {
        "elman": {"model": {"init_args": {"encoder": {"class_path": "Elman"}}}},
        "gru": {"model": {"init_args": {"encoder": {"class_path": "GRU"}}}},
    },
    "clipping": {
        "clip": {"trainer": {"gradient_clip_val": 1.0}},
        "no clip": {"trainer": {"gradient_clip_val": None}},
    },
}


def configuration(**groups):
    changes = {"trainer.max_epochs": 1, "data.init_args.batch_size": 50}
    config = small_config("builtin", **changes)
    config["trainer"] |= {"limit_train_batches": 3, "limit_val_batches": 1, "limit_test_batches": 1}
    return {**config, "variants": groups}


def test_each_setting_with_each(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(configuration(**GROUPS), sort_keys=False), encoding="utf-8")
    base, variants = read_variants(path)
    assert "variants" not in base
    assert {one.name for one in variants} == {
        "elman-clip",
        "elman-no-clip",
        "gru-clip",
        "gru-no-clip",
    }
    one = next(one for one in variants if one.name == "gru-no-clip")
    assert one.labels == {"encoder": "gru", "clipping": "no clip"}
    assert one.overlays == [GROUPS["encoder"]["gru"], GROUPS["clipping"]["no clip"]]


def line(seed, right, **labels):
    ranges = [AgreementRate("0", right, 10), AgreementRate("1-2", right - 1, 10)]
    return ModelScores(
        {**labels, "seed": seed}, f"run{seed}", ranges, [AgreementRate("0", 2 * right, 20)]
    )


def test_the_mean_over_seeds(tmp_path):
    lines = [line("s1", 4, encoder="gru"), line("s1", 9, encoder="lstm")]
    lines += [line("s2", 8, encoder="gru"), line("s2", 10, encoder="lstm")]
    gru, lstm = means_over_seeds(lines)
    assert gru.labels == {"encoder": "gru", "seed": "mean"}
    assert [share.accuracy for share in gru.ranges] == [0.6, 0.5]
    assert lstm.scores == {"distance_0": 0.95, "distance_1": 0.85, "attractors_0": 0.95}
    rows = [row.split("\t") for row in write_table(lines).splitlines()]
    assert rows[0][:3] == ["encoder", "seed", "run"]
    assert rows[5] == ["gru", "mean", "of 2", "0.6000", "0.5000", "0.6000"]
    assert rows[-1] == ["verbs", "", "", "10", "10", "20"]
    assert means_over_seeds(lines[:2]) == []
    draw_lines(lines, tmp_path / "drawn.png")
    draw_lines([line("s1", 4), line("s2", 5)], tmp_path / "seeds.png")


def test_variants_are_trained_measured_and_drawn(project, monkeypatch, capsys):
    groups = {"encoder": GROUPS["encoder"]}
    config = write_config(project, configuration(**groups))
    code = command("probe", "--config", config, "--verbs", "20", "--jobs", "2")
    shown = capsys.readouterr()
    assert code == 0, shown.err
    runs = {run.info.run_id: run for run in all_runs(project)}
    parent = next(run for run in runs.values() if "variants" in run.data.tags)
    below = [run for run in runs.values() if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in below} == {parent.info.run_id}
    assert all(run.info.status == "FINISHED" for run in runs.values())
    verbs = agreement_probe(RANGES, 20)
    for run in below:
        name = run.info.run_name.rpartition("-")[2]
        assert run.data.params["model.encoder"].endswith({"elman": "Elman", "gru": "GRU"}[name])
        folder = project / "outputs" / run.info.run_id
        judged = judge(load_trained(folder / "checkpoints" / "best.ckpt"), verbs)
        for share in by_range(judged):
            least = share.group.rstrip("+").split("-")[0]
            assert parent.data.metrics[f"{name}/distance_{least}"] == share.accuracy
        for share in by_attractors(judged):
            assert parent.data.metrics[f"{name}/attractors_{share.group}"] == share.accuracy
    folder = project / "outputs" / parent.info.run_id
    assert (folder / "agreement.png").stat().st_size > 5000
    table = (folder / "agreement.tsv").read_text(encoding="utf-8")
    assert table in shown.out
    note = parent.data.tags["mlflow.note.content"]
    assert note.startswith("**How often 2 models prefer the verb that agrees with its subject**")
    assert all(run.info.run_id[:8] in note for run in below)
    assert [row.split("\t")[0] for row in table.splitlines()] == [
        "encoder",
        "elman",
        "gru",
        "verbs",
    ]

    before = everything(project)
    assert command("probe", "--resume", parent.info.run_id) == 0
    assert "is finished: 2 variants; nothing is left to do" in capsys.readouterr().err
    assert everything(project) == before

    _assert_resumes_where_it_was_moved_to(project, monkeypatch, parent.info.run_id, below[0])

    capsys.readouterr()
    source = ["--run", below[0].info.run_id, "--verbs", "20", "--output", str(project / "drawn")]
    assert command("probe", *source) == 0
    row = capsys.readouterr().out.splitlines()[1].split("\t")[2:]
    name = below[0].info.run_name.rpartition("-")[2]
    assert row in [line.split("\t")[2:] for line in table.splitlines() if line.startswith(name)]
    assert (project / "drawn" / "agreement.png").is_file()


def _assert_resumes_where_it_was_moved_to(project, monkeypatch, parent, unfinished):
    """The files of a variant that must be trained again are found below the moved folder."""
    client(project).set_terminated(unfinished.info.run_id, "FAILED")
    (project / "outputs" / unfinished.info.run_id / "checkpoints" / "last.ckpt").unlink()
    shutil.move("outputs", "elsewhere")
    monkeypatch.setenv("UNROLL_OUTPUTS", str(project / "elsewhere"))
    commands = []
    with monkeypatch.context() as patch:
        patch.setattr(
            "pipeline.run.groups.children.run_jobs",
            lambda todo, *_: commands.extend(job.command for job in todo) or [],
        )
        assert command("probe", "--resume", parent) == 0
    [flags] = commands
    files = [Path(flag.partition("=")[2]) for flag in flags if flag.startswith("--config=")]
    assert len(files) == 2
    assert {file.parent for file in files} == {project / "elsewhere" / parent / "variants"}
    assert all(file.is_file() for file in files)
    assert str(project) not in (project / "elsewhere" / parent / "probe.json").read_text()


@pytest.mark.parametrize(
    ("variants", "words"),
    [
        ({}, "the key 'variants' is missing"),
        ({"encoder": "gru"}, "variants.encoder: expected a mapping of setting names"),
        ({"encoder": {"gru": "GRU"}}, "variants.encoder.gru: expected an overriding configuration"),
        ({"encoder": {"gru": {"model": {"encodr": "GRU"}}}}, "encodr"),
        ({"clipping": {"w/o": {}}}, "'_' and '-', got 'w/o'"),
        ({"clipping": {True: {}}}, "YAML needs quotes"),
        ({"clipping": {"a b": {}, "a-b": {}}}, "two variants have the same name"),
        (
            {"seed": {"mean": {"seed_everything": 1}}},
            "the name 'mean' is reserved for the mean over seeds",
        ),
    ],
)
def test_wrong_configurations(project, capsys, variants, words):
    config = write_config(project, configuration(**variants))
    assert words in error_of(capsys, "probe", "--config", config)
    assert not (project / "outputs").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "one of the arguments -c/--config --run --checkpoint --resume is required"),
        (["--run", "x", "--verbs", "0"], "--verbs must be at least 1, got 0"),
        (["--run", "x", "--jobs", "2"], "--jobs needs --config or --resume"),
        (["--resume", "x", "--verbs", "9"], "--verbs cannot change when a comparison is resumed"),
        (["--run", "x", "--trainer.max_epochs=1"], "--trainer.max_epochs=1 needs --config"),
        (["--resume", "nothing"], "no comparison 'nothing' in "),
    ],
)
def test_mistakes(project, capsys, arguments, words):
    assert words in error_of(capsys, "probe", *arguments)


def test_a_corpus_without_the_words_is_told_before_anything_is_trained(project, corpus, capsys):
    config = configuration(encoder=GROUPS["encoder"])
    config["data"]["init_args"]["corpus"] = str(corpus)
    path = project / "other.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(config))), encoding="utf-8")
    assert "the model lacks '" in error_of(capsys, "probe", "--config", path)
    assert not (project / "outputs").exists()
