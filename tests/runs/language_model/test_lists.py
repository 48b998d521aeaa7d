"""What n-gram models and mixtures read: the same text, however its windows are cut."""

import pytest

from pipeline.__main__ import ENTRY_POINT
from pipeline.cli.main import main
from tests.harness import write_config

DATA = {
    "class_path": "LanguageModelData",
    "init_args": {"corpus": "colors", "unit": "character", "batch_size": 16},
}


def config(project, name, model):
    settings = {"run_name": name, "trainer": {"max_epochs": 1}, "data": DATA, "model": model}
    return write_config(project, settings, f"{name}.yaml")


def counted(smoothing):
    parts = {"class_path": f"pipeline.ngrams.{smoothing}"}
    return {"class_path": "NgramLanguageModel", "init_args": {"order": 3, "smoothing": parts}}


def shown(capsys):
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    return {line[0]: float(line[1]) for line in lines if line[0].startswith("test/")}


def scored(capsys, project, run):
    """The sums of `unroll score` over the held-out items, read from the list's folder."""
    (items,) = project.glob("cache/items-*/test.txt")
    assert main(["score", f"--run={run}", f"--input={items}"], ENTRY_POINT) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    return sum(float(line[0]) for line in lines), sum(int(line[1]) for line in lines)


def test_items_one_by_one(project, capsys):
    names = {"kn": "KneserNey", "add": "AddDelta"}
    for name, smoothing in names.items():
        assert (
            main(["train", f"--config={config(project, name, counted(smoothing))}"], ENTRY_POINT)
            == 0
        )
        scores = shown(capsys)
        log_prob, num_tokens = scored(capsys, project, name)
        assert scores["test/tokens"] == num_tokens
        assert scores["test/nll"] == pytest.approx(-log_prob / num_tokens, rel=1e-5)
        assert scores["test/bpc"] == pytest.approx(
            scores["test/nll"] / 0.6931471805599453, rel=1e-5
        )
    mixture = {"class_path": "MixtureLanguageModel", "init_args": {"members": list(names)}}
    assert main(["train", f"--config={config(project, 'mixed', mixture)}"], ENTRY_POINT) == 0
    scores = shown(capsys)
    log_prob, num_tokens = scored(capsys, project, "mixed")
    assert scores["test/nll"] == pytest.approx(-log_prob / num_tokens, rel=1e-5)
    mixture["init_args"]["cache"] = "UnigramCache"
    assert main(["train", f"--config={config(project, 'cached', mixture)}"], ENTRY_POINT) == 2
    assert "the items of a list are independent" in capsys.readouterr().err


def test_windows_that_read_again_are_counted_once(corpus, project, capsys):
    data = {**DATA, "init_args": {"corpus": str(corpus), "batch_size": 4, "bptt": 20}}
    settings = {"trainer": {"max_epochs": 1}, "data": data, "model": counted("KneserNey")}
    path = write_config(project, settings)
    found = []
    for flags in ([], ["--data.reread=3"], ["--data.bptt=7", "--data.reread=30"]):
        assert main(["train", f"--config={path}", *flags], ENTRY_POINT) == 0
        found.append(shown(capsys)["test/perplexity"])
    assert found[0] == found[1] == found[2]
