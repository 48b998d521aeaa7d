"""Error messages: where a mistake is, what was expected, and the nearest correct name."""

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.errors import InputError
from pipeline.preflight.classes import Class
from pipeline.preflight.modules import MissingNameError
from pipeline.preflight.values import Types

_MOST_LISTED = 12


class Location(NamedTuple):
    """Where a value is written: its keys, and the flag, or the file and line (from 1)."""

    keys: tuple[str, ...]
    flag: str = ""
    file: str = ""
    line: int = 0

    def below(self, key: str, line: int) -> "Location":
        """Returns the location of a key below this one."""
        return self._replace(keys=(*self.keys, key), line=line)

    def on(self, line: int) -> "Location":
        """Returns the location on another line."""
        return self._replace(line=line)

    @property
    def key(self) -> str:
        """Dotted keys."""
        return ".".join(self.keys)

    def error(self, text: str) -> InputError:
        """Returns the error for a wrong value."""
        if self.file:
            return InputError(f"{self.file} line {self.line}: {self.key}: {text}")
        inside = "" if self.flag == f"--{self.key}" or not self.keys else f" ({self.key})"
        return InputError(f"flag {self.flag}{inside}: {text}")


def unknown(at: Location, why: str, name: str, known: Iterable[str]) -> InputError:
    """Returns the error for a key whose part `name` does not exist, because of `why`."""
    text = f"{why}{suggestion(name, sorted(known))}"
    if at.file and name == "variants":
        return InputError(
            f"{at.file} line {at.line}: a configuration with variants describes several trainings; "
            f"run them with `unroll probe --config {at.file}`"
        )
    if at.file:
        return InputError(f"{at.file} line {at.line}: unknown key {at.key}: {text}")
    if at.flag == f"--{at.key}":
        return InputError(f"unknown flag {at.flag}: {text}")
    return InputError(f"unknown key {at.key} in {at.flag}: {text}")


def nearest(name: str, known: Sequence[str], num: int = 1, cutoff: float = 0.6) -> list[str]:
    """Returns the most similar names, those that differ only in case first."""
    same = [each for each in known if each.lower() == name.lower()]
    return same or difflib.get_close_matches(name, known, n=num, cutoff=cutoff)


def suggestion(name: str, known: Sequence[str]) -> str:
    """Returns the end of a message that names the nearest correct name, or all of a few."""
    if near := nearest(name, known):
        return f"; did you mean '{near[0]}'?"
    if not known:
        return ""
    more = ", ..." if len(known) > _MOST_LISTED else ""
    return f"; known are {', '.join(known[:_MOST_LISTED])}{more}"


def missing_class(
    at: Location, path: str, error: MissingNameError, meant: Sequence[str]
) -> InputError:
    """Returns the error for a dotted class name that does not exist.

    `meant` are names similar to the part of it that is missing.
    """
    if not error.parent:
        return at.error(f"unknown class {path}: there is no module '{error.name}'")
    text = f"unknown class {path}: module {error.parent} has no '{error.name}'"
    if not meant:
        return at.error(text)
    # Only the wrong part is replaced, since the path may go through a re-export.
    right = path.replace(f"{error.parent}.{error.name}", f"{error.parent}.{meant[0]}")
    return at.error(f"{text}; did you mean {right}?")


def no_such_class(
    at: Location, name: str, known: Sequence[Class], types: Types | None = None
) -> InputError:
    """Returns the error for an unknown short name of a class; `known` are the classes that fit.

    `types` are given for a message about a value that is not similar to a class name.
    """
    names = [c.node.name for c in known]
    if near := nearest(name, names):
        return at.error(f"unknown class {name}; did you mean {near[0]}?")
    if types is not None and types.without_classes.describe() not in ("", "null"):
        return at.error(f"expected {types.describe()}, got '{name}'")
    return at.error(f"unknown class {name}{suggestion(name, names)}")
