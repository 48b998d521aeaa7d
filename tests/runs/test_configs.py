"""Every shipped configuration is valid, and its first line is the command that runs it."""

import re
from pathlib import Path

import pytest
import yaml

from pipeline import encoders
from pipeline.__main__ import ENTRY_POINT
from pipeline.cli.main import make_parser
from pipeline.cli.probe import checked_variants
from pipeline.cli.sweep import checked_space
from pipeline.heads import ClassSoftmax, FrequencyBins
from pipeline.options import TOP_LEVEL
from pipeline.preflight import check
from pipeline.preflight.configurations import is_overlay
from tests.examples import vocabulary
from tests.harness import REPOSITORY, command
from tests.unit.datamodules.shards import write_shards

SHIPPED = sorted((REPOSITORY / "configs").rglob("*.yaml"))
# Variants, which `unroll probe` takes (tests/runs/test_probe.py), are below.
COMPARISON = REPOSITORY / "configs" / "probes" / "agreement.yaml"
# Search spaces are below, too.
SPACES = [path for path in SHIPPED if path.parent.name == "sweeps"]
CONFIGS = [path for path in SHIPPED if path != COMPARISON and path not in SPACES]
# `tests/unit/tasks/test_irsoy.py` builds the ten networks that are laid over another configuration.
# The class table needs 8,000 words, and a mixture trained models
# (tests/runs/language_model/test_mixtures.py).
EXPERIMENTS = [
    path for path in CONFIGS if "overlays" not in path.parts and path.stem != "ptb-mixture"
]


def identity(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def configurations(path: Path) -> list[str]:
    """The configurations that the first line says to lay over each other."""
    first = path.read_text(encoding="utf-8").splitlines()[0]
    return [f"--config={name}" for name in re.findall(r"--config (\S+)", first)]


@pytest.mark.parametrize("path", CONFIGS, ids=identity)
def test_flags_are_known_and_the_first_line_is_the_command(path):
    check([f"--config={path}"], TOP_LEVEL, ENTRY_POINT.short_names)
    first = path.read_text(encoding="utf-8").splitlines()[0]
    name = path.relative_to(REPOSITORY / "configs").with_suffix("")
    assert re.match(rf"# unroll train (--config \S+ )?--config {name}( |$)", first)
    assert ("overlays" in path.parts) == is_overlay(path)


def test_variants_of_the_comparison():
    options = make_parser()[0].parse_args(["probe", f"--config={COMPARISON}"])
    found = checked_variants(options, [], ENTRY_POINT)
    assert found is not None
    assert len({one.name for one in found[1]}) == len(found[1]) == 42
    first = COMPARISON.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# unroll probe --config probes/agreement"


@pytest.mark.parametrize("path", SPACES, ids=identity)
def test_search_spaces_fit_the_configuration_in_their_first_line(path):
    words = path.read_text(encoding="utf-8").splitlines()[0].split()
    assert words[:4] == ["#", "unroll", "sweep", "--config"]
    options, fields = make_parser()[0].parse_known_args(words[2:])
    assert options.space == f"sweeps/{path.stem}"
    assert checked_space(options, fields, ENTRY_POINT)


def test_rows_of_the_class_table_differ_in_their_classes_only():
    rows = [path for path in CONFIGS if path.parent.name == "classes"]
    assert len(rows) == 10
    texts = set()
    for path in rows:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        bins = settings["model"]["init_args"]["head"]["init_args"]["classes"]["init_args"]
        num = bins.pop("num")
        assert path.stem == str(num)
        layer = ClassSoftmax(3, vocabulary(10_000), FrequencyBins(num))
        assert layer.partition.sizes.sum() == 10_000
        texts.add(yaml.safe_dump(settings))
    assert len(texts) == 1


def test_the_table_of_cells_has_one_budget_of_parameters():
    folder = REPOSITORY / "configs" / "lm"
    cells = REPOSITORY / "configs" / "overlays" / "cells"
    paths = [folder / "ptb-cells.yaml", *cells.glob("*.yaml")]
    assert len(paths) == 12
    for path in paths:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))["model"]["init_args"]["encoder"]
        kind = getattr(encoders, settings["class_path"].rpartition(".")[2])
        encoder = kind(**settings["init_args"])
        size = encoder.output_size
        words, classes = 10_000 * size + 10_000 * (size + 1), 100 * (size + 1)
        total = sum(p.numel() for p in encoder.parameters()) + words + classes
        assert abs(total - 4_653_200) < 10_000, path  # Zaremba's small LSTM


@pytest.fixture
def flags(corpus, opinions, trees, tmp_path):
    """Flags that put small corpora in place of the real ones: task -> flags."""
    vectors = tmp_path / "vectors.txt"
    numbers = " ".join(["0.1"] * 300)
    vectors.write_text("".join(f"{word} {numbers}\n" for word in ("the", "good", "minister")))
    tagging = ["--data.source=Columns", f"--data.source.corpus={opinions}"]
    tagging += ["--data.source.features={pos: 1}"]
    short = ["--data.num_test=20", "--data.num_valid=20"]
    return {
        "probes": short,
        "lm": [f"--data.corpus={corpus}"],
        "tagging": tagging,
        "sentiment": ["--data.source=Treebank", f"--data.source.corpus={trees}"],
        "vectors": [f"--data.vectors={vectors}"],
        "shards": [
            f"--data.corpus={write_shards(tmp_path / 'shards')}",
            "--model.encoder.hidden_size=32",
            "--data.batch_size=8",
        ],
    }


@pytest.mark.parametrize("path", EXPERIMENTS, ids=identity)
def test_two_steps_of_each(path, project, flags, capsys):
    """Built and trained for two steps, on a small corpus in place of the real one."""
    task = path.relative_to(REPOSITORY / "configs").parts[0]
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    steps = ["--trainer.max_steps=2", "--trainer.limit_val_batches=1"]
    steps += ["--trainer.limit_test_batches=1", "--precision=32-true"]
    if task == "lm":
        sizes = settings["data"]["init_args"]
        steps.append(f"--data.bptt={min(sizes.get('bptt') or 35, 10)}")
        steps.append(f"--data.batch_size={min(sizes.get('batch_size', 20), 4)}")
    if "files" in settings["data"]["init_args"]:
        steps += flags["shards"]
    if "vectors" in settings["data"]["init_args"]:
        steps += flags["vectors"]
    code = command("train", *configurations(path), *flags[task], *steps)
    assert code == 0, capsys.readouterr().err
