"""Search spaces: what is read, and how it is refused."""

import pytest

from pipeline.errors import InputError
from pipeline.run.sweep.space import (
    Choices,
    Range,
    assignments,
    flags_of,
    grid_of,
    parse_space,
    plain,
    read_space,
)

TEXT = """
model.encoder: [LSTM, GRU]
model.hidden_sizes: [[8], [8, 8]]
model.dropout: {low: 0.0, high: 0.4, step: 0.2}
model.encoder.hidden_size: {low: 4, high: 6}
model.optimizer.lr: {low: 1e-3, high: 1e-1, log: true}
"""


def write(folder, text):
    path = folder / "space.yaml"
    path.write_text(text)
    return path


def test_lists_and_ranges(tmp_path):
    space = read_space(write(tmp_path, TEXT))
    assert space == {
        "model.encoder": Choices(("LSTM", "GRU")),
        "model.hidden_sizes": Choices(("[8]", "[8, 8]")),
        "model.dropout": Range(0.0, 0.4, 0.2, False),
        "model.encoder.hidden_size": Range(4, 6, None, False),
        "model.optimizer.lr": Range(0.001, 0.1, None, True),
    }
    assert parse_space(tmp_path, plain(space)) == space
    assert [name for name, one in space.items() if isinstance(one, Range) and one.is_integer] == [
        "model.encoder.hidden_size"
    ]


def test_checked_flags_contain_each_value(tmp_path):
    space = read_space(write(tmp_path, TEXT))
    found = {flag for flags in assignments(space) for flag in flags}
    assert {"--model.encoder=GRU", "--model.hidden_sizes=[8, 8]", "--model.dropout=0.4"} < found
    assert all(len(flags) == 5 for flags in assignments(space))
    assert flags_of({"a": None, "b": True, "c": 1e-05}) == ["--a=null", "--b=true", "--c=1e-05"]


def test_values_of_a_grid():
    space = {
        "a": Choices((1, "x")),
        "b": Range(0.0, 0.3, 0.1, False),
        "c": Range(2, 4, None, False),
    }
    grid = grid_of(space)
    assert grid["a"] == [1, "x"]
    assert grid["b"] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert grid["c"] == [2, 3, 4]
    with pytest.raises(InputError, match="give it a list or a `step`"):
        grid_of({"a": Range(0.0, 1.0, None, False)})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model.dropout: []", "the list of values is empty"),
        ("model.dropout: [0.1, 0.1]", "a value occurs twice"),
        ("model.dropout: 0.1", "expected a list of values, or a mapping"),
        ("model.dropout: {low: 0.5, high: 0.1}", "low 0.5 is above high 0.1"),
        ("model.dropout: {low: 0.1}", "high is missing"),
        ("model.dropout: {low: 0.1, hi: 0.2}", "unknown key hi"),
        ("model.dropout: {low: a, high: 0.1}", "low: expected a number, got a"),
        ("model.dropout: {low: true, high: 2}", "expected a number"),
        ("model.dropout: {low: 0, high: .inf}", "expected a number"),
        ("model.dropout: {low: 0, high: 1, log: true}", "low must be positive with log"),
        ("model.dropout: {low: 1, high: 2, log: 3}", "log: expected true or false"),
        ("model.dropout: {low: 0, high: 1, step: 0}", "step must be positive"),
        ("model.dropout: {low: 1, high: 9, step: 1, log: true}", "cannot be combined with log"),
        ("run_name: [a, b]", "run_name cannot be searched"),
        ("data.api_key: [abcdefghij]", "contains a secret"),
        ("{}", "has no flags"),
        ("- a", "contains no mapping"),
        ("a: [", "is not YAML"),
    ],
)
def test_what_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as raised:
        read_space(write(tmp_path, text))
    assert "\n" not in str(raised.value)
