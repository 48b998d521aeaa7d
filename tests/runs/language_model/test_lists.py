"""What n-gram models and mixtures read: the same text, however its windows are cut."""

import math

import pytest

from tests.configs import part, write_config
from tests.harness import command, error_of, scores

DATA = part("LanguageModelData", corpus="colors", unit="character", batch_size=16)


def config(project, name, model):
    settings = {"run_name": name, "trainer": {"max_epochs": 1}, "data": DATA, "model": model}
    return write_config(project, settings, f"{name}.yaml")


def counted(smoothing):
    return part("NgramLanguageModel", order=3, smoothing=part(f"pipeline.ngrams.{smoothing}"))


def shown(capsys):
    return scores(capsys.readouterr().out)


def scored(capsys, project, run):
    """The sums of `unroll score` over the held-out items, read from the list's folder."""
    (items,) = project.glob("cache/items-*/test.txt")
    assert command("score", f"--run={run}", f"--input={items}") == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    return sum(float(line[0]) for line in lines), sum(int(line[1]) for line in lines)


def test_items_one_by_one(project, capsys):
    names = {"kn": "KneserNey", "add": "AddDelta"}
    for name, smoothing in names.items():
        assert command("train", f"--config={config(project, name, counted(smoothing))}") == 0
        found = shown(capsys)
        log_prob, num_tokens = scored(capsys, project, name)
        assert found["test/tokens"] == num_tokens
        assert found["test/nll"] == pytest.approx(-log_prob / num_tokens, rel=1e-5)
        assert found["test/bpc"] == pytest.approx(found["test/nll"] / math.log(2), rel=1e-5)
    mixture = part("MixtureLanguageModel", members=list(names))
    assert command("train", f"--config={config(project, 'mixed', mixture)}") == 0
    found = shown(capsys)
    log_prob, num_tokens = scored(capsys, project, "mixed")
    assert found["test/nll"] == pytest.approx(-log_prob / num_tokens, rel=1e-5)
    mixture["init_args"]["cache"] = "UnigramCache"
    error = error_of(capsys, "train", f"--config={config(project, 'cached', mixture)}")
    assert "the items of a list are independent" in error


def test_windows_that_read_again_are_counted_once(corpus, project, capsys):
    data = part("LanguageModelData", corpus=str(corpus), batch_size=4, bptt=20)
    settings = {"trainer": {"max_epochs": 1}, "data": data, "model": counted("KneserNey")}
    path = write_config(project, settings)
    found = []
    for flags in ([], ["--data.reread=3"], ["--data.bptt=7", "--data.reread=30"]):
        assert command("train", f"--config={path}", *flags) == 0
        found.append(shown(capsys)["test/perplexity"])
    assert found[0] == found[1] == found[2]
