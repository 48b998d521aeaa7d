"""The scripts of `examples/` work, are short, and print what their readers expect."""

import re

import pytest

from examples import custom_encoder, predict_from_python, train_language_model, train_tagger
from tests.configs import small_config, small_tagger, write_config
from tests.harness import REPOSITORY, command

EXAMPLES = sorted((REPOSITORY / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_at_most_60_lines(path):
    assert len(path.read_text().splitlines()) <= 60


def test_language_model(project, capsys):
    train_language_model.main(max_epochs=1)
    perplexity, right, wrong, *samples = capsys.readouterr().out.splitlines()[-6:]
    assert 20 < float(perplexity.removeprefix("test perplexity ")) < 40
    assert float(right.split()[0]) > float(wrong.split()[0])
    assert right.endswith("the boys laugh")
    assert all(text.startswith("the boys") for text in samples)


def test_tagger(project, capsys):
    train_tagger.main(max_epochs=2)
    f1, first, second = capsys.readouterr().out.splitlines()[-3:]
    assert float(f1.removeprefix("test F1 ")) > 0.8
    assert "sharply/B-DSE criticized/I-DSE" in first
    assert second == "They/O said/O nothing/O ./O"


def test_custom_encoder(project, capsys):
    custom_encoder.main(max_epochs=1)
    perplexity = capsys.readouterr().out.splitlines()[-1]
    assert 20 < float(perplexity.removeprefix("test perplexity ")) < 40


def test_predict_from_python(project, corpus, opinions, capsys):
    words = {"class_path": "pipeline.inputs.Words", "init_args": {"size": 16}}
    tagger = small_tagger(opinions, **{"run_name": "tagger", "model.init_args.inputs": [words]})
    for config in (small_config(corpus, run_name="lm"), tagger):
        assert command("fit", f"--config={write_config(project, config)}") == 0
    capsys.readouterr()
    predict_from_python.score("lm")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith(" ")][:3] == [
        "the",
        "boys",
        "laugh",
    ]
    predict_from_python.tag("tagger")
    assert capsys.readouterr().out.startswith("The minister sharply criticized the plan .\n")


def test_python_guide(project, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/python.md").read_text(), re.S)
    exec(compile("\n".join(blocks), "docs/python.md", "exec"), {"__name__": "guide"})
    perplexity = capsys.readouterr().out.splitlines()[-3]
    assert 20 < float(perplexity) < 60
