"""The README and the guides name only files, functions, configurations and flags that exist."""

import re
import shlex
from pathlib import Path

import pytest
import torch

from datamodules.batching.sentences import Sentence
from pipeline.__main__ import ENTRY_POINT
from pipeline.cli.common import configuration_arguments
from pipeline.cli.main import _parse
from pipeline.text.vocabulary import Vocabulary

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
TRAININGS = ("train", "fit", "crossvalidate", "sweep", "parameters", "gradients")


def commands(text):
    for block in re.findall(r"```\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", "").splitlines():
            if (command := line.removeprefix("$ ")).startswith("unroll "):
                yield shlex.split(command, comments=True)[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_exist(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    missing = [x for x in links if "://" not in x and not (page.parent / x).exists()]
    paths = re.findall(
        r"`((?:pipeline|tasks|datamodules|tests|benchmarks)/[\w/]+(?:\.py|/))`", text
    )
    assert [*missing, *(path for path in paths if not (ROOT / path).exists())] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_are_in_the_files_beside_them(page):
    text = page.read_text(encoding="utf-8")
    pairs = re.findall(r"`([\w.]+)`\s+(?:in\s+|\()`([\w/]+\.py)`", text)
    missing = [
        (name, path)
        for name, path in pairs
        if not all(part in (ROOT / path).read_text(encoding="utf-8") for part in name.split("."))
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_accepted(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for words in commands(page.read_text(encoding="utf-8")):
        options, fields = _parse([*words])
        is_ours = not any("my_" in field for field in fields)
        if words[0] in TRAININGS and getattr(options, "config", None) and is_ours:
            configuration_arguments(options, fields, ENTRY_POINT)


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def examples_of(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    names = {"__name__": "guide"}
    exec("\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)), names)
    return names


def test_example_parts():
    names = examples_of("your_own_part.md")
    head = names["CosineSoftmax"](3, Vocabulary(["<eos>", "<unk>", "a"]))
    states, targets = torch.randn(2, 3), torch.tensor([2, -100])
    log_probs = head.log_distribution(states)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2))
    assert head.log_probs(states, targets).tolist() == [log_probs[0, 2].item(), 0]
    lengths = names["WordLength"](size=4)
    assert lengths.index(["a", "the"]).tolist() == [[1], [3]]
    assert lengths(lengths.index(["a", "the"])).shape == (2, 4)
    assert names["Sum"]()(torch.ones(1, 3, 2), torch.tensor([2])).tolist() == [[2, 2]]


def test_example_reader(tmp_path):
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text("Mr./B-PER a/b/I-PER\n", encoding="utf-8")
    corpus = examples_of("your_own_corpus.md")["SlashTagged"](str(tmp_path)).read()
    assert corpus.splits["test"] == [Sentence(("Mr.", "a/b"), ("B-PER", "I-PER"))]
