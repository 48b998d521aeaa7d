"""Splits a list of arguments into flags with values."""

import re
from typing import NamedTuple

from pipeline.errors import InputError

_NEGATIVE = re.compile(r"-\.?\d")


class Flag(NamedTuple):
    """A flag without its dashes, and its value; None if no value follows."""

    name: str
    value: str | None

    @property
    def asks_for_help(self) -> bool:
        """Whether the parser answers it with a help text."""
        return self.name == "help" or self.name.endswith(".help")


def next_flag(queue: list[str]) -> Flag:
    """Removes the first flag and its value from a list of arguments, and returns them."""
    word = queue.pop(0)
    if word == "-h":
        return Flag("help", None)
    if word.startswith("-c") and not word.startswith("-c=") and len(word) > 2:
        return Flag("config", word[2:])
    if word.startswith("-c"):
        word = "--config" + word[2:]
    if not word.startswith("--") or word == "--":
        raise InputError(f"unexpected argument '{word}'; a flag is written --name=value")
    name, equals, value = word[2:].partition("=")
    if equals:
        return Flag(name, value)
    flag = Flag(name, None)
    if name == "print_config" or flag.asks_for_help or not queue or not _is_value(queue[0]):
        return flag
    return Flag(name, queue.pop(0))


def _is_value(word: str) -> bool:
    return not word.startswith("-") or " " in word or word == "-" or bool(_NEGATIVE.match(word))
