"""Tokens of language models: words or characters."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, TypeVar

from pipeline.text.vocabulary import EOS

BLANKS = " \t\r\n"
"""Characters that separate words, as in KenLM. No-break spaces and others are parts of words."""
MARKS = ("<s>", "</s>")
"""What other programs write at the beginning and the end of a sentence."""
_AROUND = (
    re.compile(rf"^[{BLANKS}]*<s>(?=[{BLANKS}]|\Z)"),
    re.compile(rf"(^|[{BLANKS}])</s>[{BLANKS}]*\Z"),
)
_WORD = re.compile(f"[^{BLANKS}]+")
_OTHER_SPACES = "\v\f\x1c\x1d\x1e\x1f"  # in ASCII; `str.split` splits at them, too
Unit = Literal["word", "character"]
_Token = TypeVar("_Token")


def split_line(line: str, unit: Unit, is_start: bool = True, is_end: bool = True) -> list[str]:
    """Splits one line into tokens, without the `<eos>` of its end.

    "word" splits at spaces, tabs and line ends, as KenLM does; no-break spaces and other characters
    of Unicode are parts of words. "character" returns the characters of the line, including inner
    spaces, but not `BLANKS` around it. A blank line has no tokens. `<s>` at the beginning and
    `</s>` at the end are left out.

    Args:
        line: The line, or a piece of it.
        unit: The unit of a token.
        is_start: Whether the line begins with this piece.
        is_end: Whether the line ends with it.

    Raises:
        ValueError: If the line contains a NUL character, or a word inside of it is `<s>` or `</s>`.

    Example:
        >>> split_line("a cat", "word"), split_line("a cat", "character")
        (['a', 'cat'], ['a', ' ', 'c', 'a', 't'])
        >>> split_line("<s> a cat </s>", "word")
        ['a', 'cat']
    """
    if "\0" in line:
        raise ValueError(
            "contains a NUL character, so it is not plain text; remove it, for example with "
            "`tr -d '\\000'`"
        )
    if "s>" in line:
        line = _without_marks(line, is_start, is_end)
    if unit == "character":
        line = line.lstrip(BLANKS) if is_start else line
        return list(line.rstrip(BLANKS) if is_end else line)
    words = line.split() if _has_only_blanks(line) else _WORD.findall(line)
    if "s>" in line and (inside := [mark for mark in MARKS if mark in words]):
        raise ValueError(
            f"has {inside[0]} inside of a sentence; expected it only around whole lines: write one "
            "sentence per line, or rename the word"
        )
    return words


def is_marked(line: str) -> bool:
    """Returns whether a line begins with `<s>` or ends with `</s>`, which `split_line` leaves out.

    Example:
        >>> is_marked("<s> a cat </s>"), is_marked("a cat")
        (True, False)
    """
    return "s>" in line and any(pattern.search(line) for pattern in _AROUND)


def _has_only_blanks(line: str) -> bool:
    """Returns True for ASCII without white space other than `BLANKS`, which is split faster."""
    return line.isascii() and not any(space in line for space in _OTHER_SPACES)


def _without_marks(line: str, is_start: bool, is_end: bool) -> str:
    begin, end = _AROUND
    line = begin.sub("", line) if is_start else line
    return end.sub("", line) if is_end else line


def truncate_middle(tokens: Sequence[_Token], max_tokens: int) -> Sequence[_Token]:
    """Removes tokens from the middle of a long text, since opinions are stated at its ends.

    `docs/decisions/0013` compares this with other truncations.

    Example:
        >>> truncate_middle(["a", "b", "c", "d", "e"], max_tokens=3)
        ['a', 'b', 'e']
    """
    if len(tokens) <= max_tokens:
        return tokens
    last = max_tokens // 2
    return [*tokens[: max_tokens - last], *tokens[len(tokens) - last :]]


def join_tokens(tokens: Iterable[str], unit: Unit) -> str:
    r"""Joins tokens into text, the inverse of `split_line`; `<eos>` becomes a line end.

    Example:
        >>> join_tokens(["a", "cat", "<eos>", "end"], "word")
        'a cat\nend'
    """
    lines: list[list[str]] = [[]]
    for token in tokens:
        if token == EOS:
            lines.append([])
        else:
            lines[-1].append(token)
    gap = " " if unit == "word" else ""
    return "\n".join(gap.join(line) for line in lines)
