"""YAML that would take minutes or all RAM is refused at once, before anything is built."""

import time

import pytest

from pipeline.preflight.limits import MOST_LEVELS, MOST_NODES, refuse_bombs
from tests.examples import refuses
from tests.harness import error_of

LAUGHS = "a: &l0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{'bcdefgh'[n]}: &l{n + 1} [{', '.join([f'*l{n}'] * 9)}]\n" for n in range(7)
)
BOMBS = {
    "aliases": LAUGHS,
    "mappings": "a: &m0 {x: 1}\n"
    + "".join(
        f"b{n}: &m{n + 1} {{{', '.join(f'k{k}: *m{n}' for k in range(9))}}}\n" for n in range(8)
    ),
    "brackets": "a: " + "[" * 20_000,
    "closed brackets": "a: " + "[" * 20_000 + "]" * 20_000,
    "braces": "a: " + "{b: " * 20_000,
    "lines": "".join(f"{' ' * depth}a:\n" for depth in range(2000)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_files_and_flags(tmp_path, capsys, name):
    file = tmp_path / "bomb.yaml"
    file.write_text(BOMBS[name], encoding="utf-8")
    start = time.process_time()
    command = ("train", "--config=lm/builtin-lstm")
    inside = error_of(capsys, *command, f"--config={file}")
    on_line = error_of(capsys, *command, f"--model.encoder={BOMBS[name]}")
    assert time.process_time() - start < 10  # seconds; they take forever or raise RecursionError
    for error in (inside, on_line):
        assert "more than 100" in error
        assert len(error.splitlines()) == 1
    assert str(file) in inside


def test_the_limits():
    refuse_bombs("[" * (MOST_LEVELS - 1) + "]" * (MOST_LEVELS - 1), "x")
    with refuses(
        "x line 1: lists and mappings are nested in more than 100 levels; write a smaller value"
    ):
        refuse_bombs("[" * MOST_LEVELS, "x")
    refuse_bombs("- 1\n" * (MOST_NODES - 1), "x")
    with refuses(
        "x line 100000: there are more than 100,000 values, counting those that aliases repeat; "
        "write a smaller value"
    ):
        refuse_bombs("- 1\n" * MOST_NODES, "x")


def test_anchors_that_are_used_a_few_times_are_fine():
    refuse_bombs("a: &a {b: [1, 2]}\nc: *a\nd: [*a, *a]\n", "x")
    refuse_bombs("a: [", "x")  # is not YAML, which the reader tells
