"""Mixtures through the command line: their scores against the members' own predictions."""

import math
import re
import shutil

import pytest

from tests.configs import part, small_config, write_config
from tests.harness import REPOSITORY, all_runs, command, error_of, scores


def mixture(corpus, members, **more):
    return {
        "precision": "32-true",
        "run_name": "mixed",
        "trainer": {"max_epochs": 1, "limit_train_batches": 1},
        "data": part("LanguageModelData", corpus=str(corpus), batch_size=1, bptt=100),
        "model": part("MixtureLanguageModel", members=members, **more),
    }


@pytest.fixture
def members(corpus, project):
    """Two trained models, an LSTM and a GRU, and the folder of their runs."""
    for name, encoder in (("one", "LSTM"), ("two", "GRU")):
        changes = {"run_name": name, "model.init_args.encoder.class_path": encoder}
        config = write_config(project, small_config(corpus, **changes), f"{name}.yaml")
        assert command("fit", f"--config={config}") == 0
    return project


def predictions(capsys, run):
    """Words of the test text and their log-probabilities, from `unroll predict`."""
    capsys.readouterr()
    assert command("predict", f"--run={run}") == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    return [word for word, _ in lines], [float(score) for _, score in lines]


def test_the_mixture_of_what_the_members_predict(corpus, members, capsys):
    config = write_config(members, mixture(corpus, ["one", "two"]))
    assert command("train", f"--config={config}") == 0
    tested = scores(capsys.readouterr().out)
    words, mixed = predictions(capsys, "mixed")
    pairs = list(zip(predictions(capsys, "one")[1], predictions(capsys, "two")[1], strict=True))
    assert command("validate", "--run=mixed") == 0
    validated = scores(capsys.readouterr().out)
    weights = [validated["val/weight_0"], validated["val/weight_1"]]
    assert sum(weights) == pytest.approx(1)
    assert abs(weights[0] - weights[1]) > 0.01  # they are equal before any validation
    expected = [
        math.log(weights[0] * math.exp(one) + weights[1] * math.exp(two)) for one, two in pairs
    ]
    assert mixed == pytest.approx(expected, abs=2e-6)  # predictions have six places
    perplexity = math.exp(-sum(expected) / len(words))
    assert tested["test/perplexity"] == pytest.approx(perplexity, rel=1e-5)
    assert tested["test/tokens"] == len(words)


def test_its_file_alone_is_enough(corpus, members, capsys):
    config = write_config(members, mixture(corpus, ["one", "two"], cache="UnigramCache"))
    assert command("train", f"--config={config}") == 0
    tested = scores(capsys.readouterr().out)
    assert tested["test/perplexity_cache"] != tested["test/perplexity"]
    (file,) = [path for path in members.glob("outputs/*/checkpoints/best.ckpt") if _is_mixed(path)]
    moved = members / "moved.ckpt"
    shutil.move(file, moved)
    shutil.rmtree(members / "outputs")
    (members / "mlflow.db").unlink()
    assert command("generate", f"--checkpoint={moved}", "--num=1") == 0
    capsys.readouterr()
    assert command("test", f"--checkpoint={moved}") == 0
    again = scores(capsys.readouterr().out)
    for name, score in tested.items():
        assert again[name] == pytest.approx(score, rel=1e-5)


def test_the_shipped_configuration(corpus, members):
    file = REPOSITORY / "configs/lm/ptb-mixture.yaml"
    flags = [f"--data.corpus={corpus}", "--data.bptt=50", "--model.members=[one, two]"]
    assert command("train", f"--config={file}", *flags) == 0


def _is_mixed(path):
    return '"mixed"' in (path.parent.parent / "run.json").read_text(encoding="utf-8")


def test_members_with_other_vocabularies(corpus, members, tmp_path, capsys):
    """Of another corpus, and of an ARPA file; the checkpoint needs neither of them."""
    other = tmp_path / "corpora" / "other"
    shutil.copytree(corpus, other)
    text = (other / "train.txt").read_text(encoding="utf-8")
    (other / "train.txt").write_text(re.sub(r"\bdog\b", "cur", text), encoding="utf-8")
    model = part("NgramLanguageModel", order=3, smoothing=part("KneserNey"))
    settings = {**mixture(corpus, []), "model": model, "run_name": "counted"}
    assert command("fit", f"--config={write_config(members, settings)}") == 0
    assert command("export", "--run=counted", "--output=counted.arpa.gz") == 0
    config = write_config(members, mixture(other, ["one", "counted.arpa.gz"]))
    assert command("train", f"--config={config}") == 0
    done = capsys.readouterr()
    note = "has another vocabulary than the corpus: 1 words of it count as <unk>, and 1 words of"
    assert f"note: one {note}" in done.err
    assert f"note: counted.arpa.gz {note}" in done.err
    tested = scores(done.out)
    (file,) = [path for path in members.glob("outputs/*/checkpoints/best.ckpt") if _is_mixed(path)]
    (members / "counted.arpa.gz").unlink()
    assert command("test", f"--checkpoint={file}") == 0
    again = scores(capsys.readouterr().out)
    assert again["test/perplexity"] == pytest.approx(tested["test/perplexity"], rel=1e-6)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "members: a mixture needs at least one trained model; name its run"),
        (["nowhere"], "--model.members: nowhere is no checkpoint file, and no runs yet"),
    ],
)
def test_members_that_are_not_there(corpus, project, capsys, names, message):
    config = write_config(project, mixture(corpus, names))
    assert message in error_of(capsys, "fit", f"--config={config}")


def test_one_run(corpus, members):
    """The members' files are read; nothing is added to their runs."""
    before = {run.info.run_id: run.data.metrics for run in all_runs(members)}
    config = write_config(members, mixture(corpus, ["one"]))
    assert command("train", f"--config={config}") == 0
    after = {run.info.run_id: run for run in all_runs(members)}
    (new,) = after.keys() - before.keys()
    assert after[new].data.metrics["final/val_weight_0"] == 1
    assert after[new].info.status == "FINISHED"
    assert all(after[run].data.metrics == metrics for run, metrics in before.items())


def test_classes_by_vectors_need_the_vectors_in_training_only(corpus, project, capsys):
    vectors = project / "vectors.txt"
    words = ["the", "cats", "dogs", "old", "sleep", "see"]
    vectors.write_text("".join(f"{word} {i % 3} {i % 2} 1\n" for i, word in enumerate(words)))
    kmeans = part("pipeline.heads.KMeans", vectors=str(vectors), num=4)
    head = part("pipeline.heads.ClassSoftmax", classes=kmeans)
    changes = {"run_name": "classes", "model.init_args.head": head}
    config = write_config(project, small_config(corpus, **changes))
    assert command("train", f"--config={config}") == 0
    tested = scores(capsys.readouterr().out)["test/perplexity"]
    vectors.unlink()
    mixed = write_config(project, mixture(corpus, ["classes"]), "mixed.yaml")
    for words in (f"train --config={mixed}", "test --run=mixed", "test --run=classes"):
        assert command(*words.split()) == 0
        again = scores(capsys.readouterr().out)["test/perplexity"]
        assert again == pytest.approx(tested, rel=1e-5)
    assert command("generate", "--run=classes", "--num=1") == 0
