"""Parameter counts agree with the formulas of the textbooks; shared parameters count once."""

import json
import re

import pytest
import torch

from pipeline.analysis.parameters import count_parameters
from pipeline.encoders import GRU, LSTM, QRNN, SRU, CoupledLSTM, Elman, MinGRU, MogrifierLSTM
from pipeline.pooling import Attention
from pipeline.text.lexicon import Labels, Lexicon
from tasks.language_model import LanguageModel
from tasks.sentiment import SentenceClassifier
from tests.configs import small_config, write_config
from tests.examples import vocabulary
from tests.harness import REPOSITORY, command, error_of, only_run


def textbook(gates, d, h):
    """gates (hd + hh), and two biases a gate, by counting one number at a time."""
    matrices = sum(1 for _ in range(gates) for _ in range(h) for _ in range(d + h))
    return matrices + sum(1 for _ in range(gates) for _ in range(h) for _ in range(2))


@pytest.mark.parametrize(
    ("kind", "settings", "symbols"),
    [
        (Elman, {}, "hd + hh + 2h"),
        (GRU, {}, "3(hd + hh) + 6h"),
        (CoupledLSTM, {}, "3(hd + hh) + 6h"),
        (MogrifierLSTM, {"rounds": 3}, "4(hd + hh) + 8h + 3hd"),
        (MogrifierLSTM, {"rounds": 2, "rank": 2}, "4(hd + hh) + 8h + others"),
        (MinGRU, {}, "2(hd) + 2h"),
        (QRNN, {"window": 2}, "3(2hd) + 3h"),
        (SRU, {}, "4(hd) + 4h"),
    ],
)
def test_formulas_give_the_counts(kind, settings, symbols):
    (part,) = [
        part
        for part in count_parameters(LanguageModel(kind(5, 7, **settings), vocabulary(11)))
        if part.name == "encoder 1"
    ]
    left, right = part.formula.split(" = ")
    assert left == symbols
    numbers = re.sub(r"(\d)\(", r"\1*(", right.replace("·", "*"))
    assert eval(numbers) == part.num_parameters
    assert part.num_parameters == sum(p.numel() for p in kind(5, 7, **settings).parameters())
    assert part.kind == kind.__name__


@pytest.mark.parametrize(("kind", "gates"), [(Elman, 1), (GRU, 3), (LSTM, 4)])
def test_layers_are_the_formulas_of_the_lectures(kind, gates):
    model = LanguageModel(kind(5, 7, num_layers=2), vocabulary(11))
    parts = {part.name: part for part in count_parameters(model)}
    assert list(parts) == ["embedding", "encoder 1", "encoder 2", "head"]
    assert parts["embedding"].num_parameters == 11 * 5
    assert parts["encoder 1"].num_parameters == textbook(gates, 5, 7)
    assert parts["encoder 2"].num_parameters == textbook(gates, 7, 7)
    assert parts["encoder 1"].num_biases == 2 * gates * 7
    assert parts["head"].num_parameters == 7 * 11 + 11
    times = "" if gates == 1 else gates
    formula = parts["encoder 2"].formula.replace("·", "*")
    symbols, numbers = formula.split(" = ")
    assert symbols.startswith(f"{times}(hd + hh)" if times else "hd + hh")
    assert eval(numbers.replace(f"{times}(", f"{times}*(")) == parts["encoder 2"].num_parameters
    assert parts["head"].formula == "hN + N = 11·7 + 11"


@pytest.mark.parametrize("settings", [{"reset": "before"}, {}])
def test_a_gru_has_three_gates_however_it_is_computed(settings):
    model = LanguageModel(GRU(5, 7, **settings), vocabulary(11))
    part = count_parameters(model)[1]
    assert part.num_parameters == textbook(3, 5, 7)
    assert part.formula.startswith("3(hd + hh) + 6h = 3(7·5 + 7·7) + 6·7")


def test_both_directions_and_all_that_is_learned():
    lexicon = Lexicon({"a": 2, "b": 1}, {})
    encoder = LSTM(4, 3, num_layers=2, bidirectional=True)
    labels = Labels(("x", "y"), (1, 1))
    model = SentenceClassifier(encoder, lexicon, labels, pooling=Attention(5), hidden_sizes=[6])
    parts = count_parameters(model)
    counts = {part.name: part.num_parameters for part in parts}
    assert sum(counts.values()) == sum(p.numel() for p in model.parameters())
    for direction in ("left_to_right", "right_to_left"):
        assert counts[f"encoder 1 {direction}"] == textbook(4, 4, 3)
        assert counts[f"encoder 2 {direction}"] == textbook(4, 6, 3)
    assert len(counts) == len(parts)


def test_tied_weights_count_once():
    model = LanguageModel(LSTM(5, 5), vocabulary(11), tie_weights=True)
    model.encoder.requires_grad_(False)
    parts = {part.name: part for part in count_parameters(model)}
    assert sum(part.num_parameters for part in parts.values()) == sum(
        p.numel() for p in model.parameters()
    )
    assert parts["head"].num_parameters == 11
    assert parts["head"].shared == "embedding"
    assert parts["head"].formula == "N = 11"
    assert not parts["encoder 1"].is_learned
    assert parts["head"].is_learned


def test_of_a_configuration_a_run_and_a_checkpoint(project, corpus, capsys):
    config = write_config(project, small_config(corpus, **{"trainer.max_epochs": 1}))
    assert command("parameters", "--config", config, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    parts = {part["name"]: part["num_parameters"] for part in found["parts"]}
    assert parts["encoder 1"] == textbook(4, 8, 12)
    assert parts["encoder 2"] == textbook(4, 12, 12)
    assert found["total"] == found["learned"] == sum(parts.values())
    assert not (project / "outputs").exists()
    flags = ["--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1"]
    assert command("fit", "--config", config, *flags) == 0
    run_id = only_run(project).info.run_id
    checkpoint = project / "outputs" / run_id / "checkpoints" / "best.ckpt"
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert sum(tensor.numel() for tensor in state.values()) == found["total"]
    tables = []
    for source in (["--config", str(config)], ["--run", run_id], ["--checkpoint", str(checkpoint)]):
        capsys.readouterr()
        assert command("parameters", *source) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1] == tables[2]
    assert f"{found['total']:,}" in tables[0]
    assert "textbooks count one" in tables[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "one of the arguments -c/--config --run --checkpoint is required"),
        (["--run", "x", "--model.encoder=GRU"], "--model.encoder=GRU cannot change a model"),
        (["--config", "no.yaml"], "no.yaml"),
        (["--checkpoint", "no.ckpt"], "there is no checkpoint file no.ckpt"),
    ],
)
def test_mistakes(project, capsys, arguments, words):
    assert words in error_of(capsys, "parameters", *arguments)


def test_counts_of_words_are_no_parameters(project, capsys):
    config = REPOSITORY / "configs" / "lm" / "builtin-kn5.yaml"
    error = error_of(capsys, "parameters", f"--config={config}")
    assert "an n-gram model has counts and no parameters" in error
