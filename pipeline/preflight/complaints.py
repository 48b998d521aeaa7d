"""Mistakes, each in one sentence that says where it is and what was meant."""

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.errors import InputError
from pipeline.preflight.classes import Class
from pipeline.preflight.modules import MissingNameError

_MOST_LISTED = 12


class Spot(NamedTuple):
    """Where something is written.

    Attributes:
        keys: the keys that lead to it, as they are written.
        flag: the flag, where it is on the command line.
        file: the file, where it is in one.
        line: the line in the file, from 1.
    """

    keys: tuple[str, ...]
    flag: str = ""
    file: str = ""
    line: int = 0

    def at(self, key: str, line: int) -> "Spot":
        """Returns the spot of a key below this one."""
        return self._replace(keys=(*self.keys, key), line=line)

    def on(self, line: int) -> "Spot":
        """Returns the spot on another line."""
        return self._replace(line=line)

    @property
    def key(self) -> str:
        """The keys with dots between them."""
        return ".".join(self.keys)

    def error(self, text: str) -> InputError:
        """Returns the error that something is wrong with the value."""
        if self.file:
            return InputError(f"{self.file} line {self.line}: {self.key}: {text}")
        inside = "" if self.flag == f"--{self.key}" or not self.keys else f" ({self.key})"
        return InputError(f"flag {self.flag}{inside}: {text}")


def unknown(spot: Spot, why: str, name: str, known: Iterable[str]) -> InputError:
    """Returns the error that a key or flag does not exist.

    Args:
        spot: where it is.
        why: what does not know it.
        name: the part that is wrong.
        known: what might have been meant.
    """
    text = f"{why}{suggestion(name, sorted(known))}"
    if spot.file and name == "variants":
        return InputError(
            f"{spot.file} line {spot.line}: a configuration with variants is several trainings: "
            f"`unroll probe --config {spot.file}` runs and compares them"
        )
    if spot.file:
        return InputError(f"{spot.file} line {spot.line}: unknown key {spot.key}: {text}")
    if spot.flag == f"--{spot.key}":
        return InputError(f"unknown flag {spot.flag}: {text}")
    return InputError(f"unknown key {spot.key} in {spot.flag}: {text}")


def suggestion(name: str, known: Sequence[str]) -> str:
    """Names the nearest of what is known, or else all of it where that is short."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean '{near[0]}'?"
    if not known:
        return ""
    more = ", ..." if len(known) > _MOST_LISTED else ""
    return f"; known are {', '.join(known[:_MOST_LISTED])}{more}"


def missing_class(spot: Spot, path: str, error: MissingNameError) -> InputError:
    """Returns the error that a class's dotted name leads nowhere."""
    if not error.parent:
        return spot.error(f"unknown class {path}: there is no module '{error.name}'")
    near = difflib.get_close_matches(error.name, error.candidates, n=1)
    # Only the wrong part is replaced: the path may be written through a re-export.
    meant = (
        path.replace(f"{error.parent}.{error.name}", f"{error.parent}.{near[0]}") if near else ""
    )
    text = f"unknown class {path}: module {error.parent} has no '{error.name}'"
    return spot.error(f"{text}; did you mean {meant}?" if near else text)


def no_such_class(spot: Spot, name: str, known: Sequence[Class]) -> InputError:
    """Returns the error that a class's short name is unknown.

    Args:
        spot: where it is.
        name: the short name.
        known: classes that may be meant.
    """
    names = [c.node.name for c in known]
    same = [each for each in names if each.lower() == name.lower()]
    near = same or difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else suggestion(name, names)
    return spot.error(f"unknown class {name}{hint}")
