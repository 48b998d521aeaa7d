"""Tokens of language models: words or characters."""

from collections.abc import Iterable, Sequence
from typing import Literal, TypeVar

from pipeline.text.vocabulary import EOS

Unit = Literal["word", "character"]
_Token = TypeVar("_Token")


def split_line(line: str, unit: Unit) -> list[str]:
    """Splits one line into tokens, without the `<eos>` of its end.

    "word" splits at white space (U+FEFF is not white space); "character" returns the characters of
    the stripped line, including inner spaces. A blank line has no tokens.

    Example:
        >>> split_line("a cat", "word"), split_line("a cat", "character")
        (['a', 'cat'], ['a', ' ', 'c', 'a', 't'])
    """
    return line.split() if unit == "word" else list(line.strip())


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
