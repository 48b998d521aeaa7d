"""What a token is: a word, or a character."""

from collections.abc import Iterable
from typing import Literal

from pipeline.text.vocabulary import EOS

Unit = Literal["word", "character"]


def tokenise(line: str, unit: Unit) -> list[str]:
    """Cuts one line into tokens, without the `<eos>` of its end.

    Args:
        line: one line of text.
        unit: "word" splits at white space (U+FEFF is none, so it stays a token); "character" gives
            the characters of the stripped line, the spaces inside included.

    Returns:
        The tokens, none for a blank line.
    """
    return line.split() if unit == "word" else list(line.strip())


def join(tokens: Iterable[str], unit: Unit) -> str:
    r"""Writes tokens as text, the inverse of `tokenise` on each line; `<eos>` becomes a line end.

    Args:
        tokens: tokens, `<eos>` among them.
        unit: what a token is.

    Returns:
        The text; it ends with "\n" where the last token is `<eos>`.
    """
    lines: list[list[str]] = [[]]
    for token in tokens:
        if token == EOS:
            lines.append([])
        else:
            lines[-1].append(token)
    gap = " " if unit == "word" else ""
    return "\n".join(gap.join(line) for line in lines)
