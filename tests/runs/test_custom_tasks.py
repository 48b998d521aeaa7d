"""Tasks in a file outside of the project work with every command whose protocol they implement."""

import json
import re

import pytest

from tests.configs import small_config, small_tagger, write_config
from tests.harness import REPOSITORY, command, error_of, only_run, scores

GUIDE = REPOSITORY / "docs" / "your_own_task.md"
[BIGRAM] = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
SUBCLASSES = '''
from tasks.language_model import LanguageModel
from tasks.tagging import Tagger


class LouderLanguageModel(LanguageModel):
    """A subclass of a task of ours."""


class LouderTagger(Tagger):
    """A subclass of another task of ours."""
'''


@pytest.fixture
def folder(project, monkeypatch):
    (project / "my_tasks.py").write_text(BIGRAM + SUBCLASSES, encoding="utf-8")
    monkeypatch.syspath_prepend(str(project))
    return project


def run(capsys, *arguments):
    capsys.readouterr()
    is_loading = any(argument.startswith(("--run=", "--resume=")) for argument in arguments)
    code = command(*arguments, *(["--trust=my_tasks"] if is_loading else []))
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


@pytest.mark.parametrize("name", ["LouderLanguageModel", "Bigram"])
def test_a_language_model(corpus, folder, capsys, name):
    config = small_config(
        corpus, **{"trainer.max_epochs": 1, "model.class_path": f"my_tasks.{name}"}
    )
    if name == "Bigram":
        config["model"]["init_args"] = {"size": 6}
    file = write_config(folder, config)
    trained = scores(run(capsys, "train", f"--config={file}"))
    first = only_run(folder)
    assert first.data.tags["task"] == "lm"
    resumed = run(capsys, "train", f"--resume={first.info.run_id}", "--trainer.max_epochs=3")
    again = scores(resumed)
    assert only_run(folder).info.status == "FINISHED"
    assert only_run(folder).data.metrics["epoch"] == 3
    assert again["test/perplexity"] <= trained["test/perplexity"]
    tested = scores(run(capsys, "test", f"--run={first.info.run_id}"))
    assert tested["test/perplexity"] == pytest.approx(again["test/perplexity"], rel=1e-5)
    predicted = run(capsys, "predict", f"--run={first.info.run_id}").splitlines()
    assert len(predicted) == tested["test/tokens"]
    mean = -sum(float(line.split("\t")[1]) for line in predicted) / len(predicted)
    assert mean == pytest.approx(tested["test/nll"], rel=1e-5)
    assert len(run(capsys, "generate", f"--run={first.info.run_id}", "--num=2").splitlines()) == 2
    (folder / "text.txt").write_text("the boys who see her run\n", encoding="utf-8")
    scored = run(capsys, "score", f"--run={first.info.run_id}", "--input=text.txt")
    assert float(scored.split("\t")[0]) < 0
    assert "total" in run(capsys, "parameters", f"--run={first.info.run_id}")


def test_a_tagger(opinions, folder, capsys):
    changes = {"trainer.max_epochs": 1, "model.class_path": "my_tasks.LouderTagger"}
    config = small_tagger(opinions, **changes)
    config["model"]["init_args"]["inputs"] = config["model"]["init_args"]["inputs"][:1]
    config["model"]["init_args"]["encoder"]["init_args"]["input_size"] = 12
    run(capsys, "train", f"--config={write_config(folder, config)}")
    (folder / "text.txt").write_text("The plan was a disaster .\n", encoding="utf-8")
    line = run(capsys, "predict", f"--run={only_run(folder).info.run_id}", "--input=text.txt")
    assert json.loads(line)["text"].startswith("The plan")


def test_a_task_that_lacks_something_is_told_what(corpus, folder, capsys):
    text = BIGRAM.replace('monitor: ClassVar[str] = "val/perplexity"', "pass")
    (folder / "their_tasks.py").write_text(text, encoding="utf-8")
    config = small_config(corpus, **{"model.class_path": "their_tasks.Bigram"})
    config["model"]["init_args"] = {}
    error = error_of(capsys, "fit", f"--config={write_config(folder, config)}")
    assert "--model: Bigram has no monitor; pipeline.contracts.Task" in error


def test_a_command_that_needs_another_task(opinions, folder, capsys):
    config = small_tagger(opinions, **{"trainer.max_epochs": 1})
    run(capsys, "fit", f"--config={write_config(folder, config)}")
    error = error_of(capsys, "generate", f"--run={only_run(folder).info.run_id}")
    assert "contains a Tagger, but this command needs a language model" in error
