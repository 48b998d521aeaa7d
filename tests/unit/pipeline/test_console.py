"""Progress bars: shown in a terminal only, and never in the way of results."""

import io
import sys

import pytest

from pipeline.console import (
    format_table,
    open_output,
    print_error,
    print_note,
    print_result,
    progress,
    progress_bar,
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_no_bar_without_a_terminal(capsys):
    assert list(progress(range(3), "numbers")) == [0, 1, 2]
    with progress_bar("bytes", 10, is_bytes=True) as advance:
        advance(10)
    shown = capsys.readouterr()
    assert shown.out == shown.err == ""


def test_a_bar_in_a_terminal_leaves_standard_output_alone(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("pipeline.console._UPDATE_SECONDS", 0.0)
    for number in progress(range(3), "num[bers]"):
        print(number)
        assert list(progress(iter("ab"), "nested")) == ["a", "b"]
    assert capsys.readouterr().out == "0\n1\n2\n"
    assert "num[bers]" in terminal.getvalue()
    assert "0/3" in terminal.getvalue()


def test_other_ranks_show_no_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(StopIteration):
        next(progress([], "nothing"))
    assert terminal.getvalue() == ""


ATTACK = "a\x1b[2J\x9b31m\x07\r\u202eb"
SHOWN = "a\\x1b[2J\\x9b31m\\x07\\r\\u202eb"


def test_no_text_controls_a_terminal(monkeypatch, capsys):
    print_note(ATTACK)
    print_error(ATTACK)
    print_result(ATTACK)
    shown = capsys.readouterr()
    assert shown.err == f"{SHOWN}\nunroll: {SHOWN}\n"
    assert shown.out == f"{ATTACK}\n"  # a file has the text as it is
    table = format_table({ATTACK: "left"}, [[ATTACK]])
    assert table.split() == [SHOWN, SHOWN]
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    print_result(f"{ATTACK}\tc")
    with open_output(None) as file:
        file.write(f"{ATTACK}\x1b[1;31mred\x1b[0m\n")
    assert terminal.getvalue() == f"{SHOWN}\tc\n{SHOWN}\x1b[1;31mred\x1b[0m\n"
