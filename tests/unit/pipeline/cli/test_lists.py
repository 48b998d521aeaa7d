"""`unroll configs` and `unroll parts`, and what must answer without importing torch."""

import re
import subprocess
import sys

import pytest

from pipeline.__main__ import ENTRY_POINT
from pipeline.preflight.parts import parts
from tests.harness import command, environment
from tests.unit.pipeline.preflight.slots import all_slots, load, ours


@pytest.fixture
def answer(capsys, tmp_path, monkeypatch):
    """Runs a verb in an empty folder and returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*arguments):
        code = command(*arguments)
        return code, *capsys.readouterr()

    return run


def test_configs_have_their_command_and_score(answer):
    code, output, _ = answer("configs", "lm/ptb-kn5")
    assert code == 0
    lines = output.splitlines()
    assert lines[:3] == [
        "Configurations:",
        "  lm/ptb-kn5",
        "      unroll train --config lm/ptb-kn5",
    ]
    assert re.match(r"      \w.* 141\.186", lines[3])
    assert "Overlays" not in output


def test_overlays_are_listed_after_configurations(answer):
    _, output, _ = answer("configs")
    runnable, overlays = output.split("Overlays, to be combined with another configuration:\n")
    assert "\n  probes/agreement\n      unroll probe --config probes/agreement\n" in runnable
    assert "\n  overlays/" not in runnable
    command = "unroll train --config lm/ptb-cells --config overlays/cells/gru"
    assert f"\n  overlays/cells/gru\n      {command}\n" in overlays


def test_patterns_of_configs(answer, tmp_path):
    _, output, _ = answer("configs", "tagging/*-crf")
    names = [line.strip() for line in output.splitlines() if line.startswith("  tagging")]
    assert "tagging/conll2003-bilstm-crf" in names
    assert all(name.endswith("-crf") for name in names)
    assert answer("configs", "ptb-kn6") == (
        2, "", "unroll: no configuration matches ptb-kn6; did you mean lm/ptb-kn5?\n"
    )  # fmt: skip
    (tmp_path / "configs/mine").mkdir(parents=True)
    (tmp_path / "configs/mine/first.yaml").write_text("# unroll train --config mine/first\n")
    assert "  mine/first\n      unroll train --config mine/first\n" in answer("configs", "mine")[1]


def test_parts_are_those_that_slots_take(answer):
    """The text of the sources gives the same lists as the imported classes."""
    load()
    listed = {p.base.node.name: {c.node.name for c in [*p.classes, *p.wrappers]}
              for p in parts(ENTRY_POINT.short_names)}  # fmt: skip
    wanted = {base.__name__: {kind.__name__ for kind in ours(base)}
              for slot in all_slots() for base in slot.bases}  # fmt: skip
    # Parts of parts, and a callback that tasks take as well.
    left_out = {"Cell", "LinearCell", "RecurrentLayer", "EncoderStart"}
    assert listed == {name: kinds for name, kinds in wanted.items() if name not in left_out}


def test_parts_have_one_line_each(answer):
    code, output, _ = answer("parts")
    assert code == 0
    lines = output.splitlines()
    assert lines[0] == "--model: LightningModule"
    assert any(line.startswith("  Tagger  ") for line in lines)
    encoders = lines[lines.index("--model.encoder: Encoder") :]
    assert any(re.match(r"  LSTM +\w.*Hochreiter", line) for line in encoders)
    assert any(line.startswith("  Built from other parts: Bidirectional,") for line in encoders)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["configs"], "unroll train --config lm/ptb-kn5"),
        (["parts"], "--model.encoder: Encoder"),
        (["--help"], "usage: unroll"),
        (["score", "--help"], "usage: unroll score"),
        (["score", "--run=x", "--input=no.txt"], "--input no.txt: there is no such file"),
        (["train", "--help"], "`unroll parts` lists the classes that fields take"),
        (["train", "--config", "lm/ptb-kn6"], "did you mean lm/ptb-kn5?"),
        (["train", "--config=overlays/cells/gru"], "is an overlay"),
        (
            ["train", "--config=sentiment/sst2-lstm", "--model.encoder_from=EncoderStarts"],
            "did you mean EncoderStart?",
        ),
        (["fit", "--config=lm/ptb-awd-lstm", "--model.dropout=Dropoutz"], "did you mean Dropouts?"),
        (
            ["crossvalidate", "--config=tagging/mpqa-dse", "--data.source=MPQUA"],
            "did you mean MPQA?",
        ),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, list) else "",
)
def test_answers_without_torch(arguments, expected, tmp_path):
    program = (
        "import sys\nfrom pipeline.__main__ import ENTRY_POINT, main\n"
        "try: main(sys.argv[1:], ENTRY_POINT)\n"
        "finally: print(sorted({'torch', 'lightning', 'mlflow', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    text = " ".join((done.stdout + done.stderr).split())
    assert expected in text
    assert done.stdout.splitlines()[-1] == "[]"
    assert not list(tmp_path.iterdir())
