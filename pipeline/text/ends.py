"""Long texts by their ends, where opinions are stated (docs/decisions/0013)."""

from collections.abc import Sequence
from typing import TypeVar

_Token = TypeVar("_Token")


def ends(tokens: Sequence[_Token], max_tokens: int) -> Sequence[_Token]:
    """Gives the first and last halves of so many tokens; all tokens where there are no more."""
    if len(tokens) <= max_tokens:
        return tokens
    last = max_tokens // 2
    return [*tokens[: max_tokens - last], *tokens[len(tokens) - last :]]
