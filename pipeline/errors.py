"""Exceptions whose message the command line prints without a traceback, and parts of messages."""

import errno
import math
import re

MAX_QUOTED = 200
"""Maximum number of characters of a file or value that a message quotes."""

_LONG_WORD = re.compile(r"[^\s/]{256,}")  # longer than the name of a file
_MAX_MESSAGE, _END = 1_200, 200  # characters of a message, and those kept of its end


class InputError(ValueError):
    """Invalid user input: a file, a flag or a value. The exit code is 2.

    The message is one sentence: what is wrong, where, what was expected, and what to do. Words of
    more characters than a file name can have, and very long messages, are shortened; line ends
    become spaces.

    Example:
        >>> str(InputError(f"unknown tag {'x' * 300}")) == f"unknown tag {'x' * 200}..."
        True
    """

    def __init__(self, message: str) -> None:
        text = _LONG_WORD.sub(lambda found: shortened(found[0]), " ".join(message.splitlines()))
        if len(text) > _MAX_MESSAGE:
            text = f"{text[: _MAX_MESSAGE - _END]} ... {text[-_END:]}"
        super().__init__(text)


class TrainingError(RuntimeError):
    """Training cannot continue, e.g. because the loss is not finite. The exit code is 1."""


def shortened(text: object, limit: int = MAX_QUOTED) -> str:
    """Returns a text for a message: at most `limit` characters of it, then "..." if it is longer.

    Example:
        >>> shortened("abcdef", limit=3)
        'abc...'
    """
    whole = str(text)
    return whole if len(whole) <= limit else f"{whole[:limit]}..."


def malformed(what: str, value: object, expected: str) -> InputError:
    """Returns the error for a value in a checkpoint that `unroll train` does not write.

    Example:
        >>> str(malformed("unit", 3, "one of word, character")).partition(";")[0]
        'unit is 3 in the state of the datamodule'
    """
    return InputError(
        f"{what} is {shortened(repr(value))} in the state of the datamodule; expected {expected}, "
        "as in a file written by `unroll train`"
    )


def os_error_sentence(error: OSError) -> str:
    """Returns one sentence about an error of the operating system, with the file if it is known.

    Example:
        >>> os_error_sentence(NotADirectoryError(20, "Not a directory", "outputs/a"))
        'outputs/a: Not a directory'
    """
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    why = error.strerror or " ".join(str(error).split()) or type(error).__name__
    text = shortened(why) if not names else f"{' -> '.join(names)}: {shortened(why)}"
    if error.errno in _FULL:
        text += "; free space there, or write to another disk"
    return text


def parsed_number(text: str) -> float:
    """Returns the number that a field of a file contains; nan if it is none.

    `1_0` is not a number: only Python's own notation has it.
    """
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
