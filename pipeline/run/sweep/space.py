"""Search spaces: the values that a sweep tries for flags of a configuration."""

import json
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from pipeline.errors import InputError, shortened
from pipeline.preflight import files
from pipeline.tracking.secrets import removed_keys

_FIELDS = ("low", "high", "step", "log")
_MOST = 100_000  # values of a flag in a grid
_NAMES = ("config", "experiment", "run_name", "print_config")  # flags that are no settings


class Choices(NamedTuple):
    """Values of a flag; lists and mappings are JSON."""

    values: tuple[bool | int | float | str | None, ...]


class Range(NamedTuple):
    """All numbers from `low` to `high`, in steps if there is a `step`; integers if both ends are.

    With `log`, logarithms of the numbers are sampled uniformly.
    """

    low: float
    high: float
    step: float | None
    log: bool

    @property
    def is_integer(self) -> bool:
        """Whether bounds and step of the range are integers."""
        return all(isinstance(one, int) for one in (self.low, self.high, self.step or 1))


Space: TypeAlias = dict[str, Choices | Range]


def read_space(path: Path) -> Space:
    """Reads a search space: a YAML file with flags, without `--`, and the values of each.

    The values are a list, or a mapping with `low`, `high` and optionally `step` and `log`. Raises
    `InputError` if the file has another form.
    """
    node = files.read(path)
    return parse_space(path, {flag: files.value_of(child) for flag, child, _ in files.items(node)})


def parse_space(source: Path, data: Mapping[str, Any]) -> Space:
    """Returns the search space that a file contains as plain data, as in a YAML file."""
    space = {flag: _values(f"{source}: {flag}", values) for flag, values in data.items()}
    if not space:
        raise InputError(
            f"{source} has no flags; expected flags with their values, such as "
            "`model.dropout: [0.0, 0.2, 0.4]`"
        )
    for flag in space:
        if flag in _NAMES:
            raise InputError(f"{source}: {flag} cannot be searched; expected a setting of training")
    if keys := removed_keys({flag: list(_ends(values)) for flag, values in space.items()}):
        raise InputError(
            f"{source}: {', '.join(keys)} contains a secret, which the study would store; leave it "
            "out of the search space"
        )
    return space


def flags_of(params: Mapping[str, Any]) -> list[str]:
    """Returns the flags that set parameters of a trial.

    Example:
        >>> flags_of({"model.dropout": 0.2, "model.encoder": "GRU"})
        ['--model.dropout=0.2', '--model.encoder=GRU']
    """
    return [f"--{flag}={_text(value)}" for flag, value in params.items()]


def assignments(space: Space) -> Iterator[list[str]]:
    """Yields flags for checks: each value of each flag occurs, with first values of the others."""
    first = {flag: next(iter(_ends(values))) for flag, values in space.items()}
    for flag, values in space.items():
        for value in _ends(values):
            yield flags_of({**first, flag: value})


def grid_of(space: Space) -> dict[str, list[Any]]:
    """Returns all values of each flag; raises `InputError` for a range without steps."""
    return {flag: _grid(flag, values) for flag, values in space.items()}


def plain(space: Space) -> dict[str, Any]:
    """Returns a space as plain data, which can be stored, and which `parse_space` converts back."""
    return {
        flag: [*values.values]
        if isinstance(values, Choices)
        else {key: value for key, value in values._asdict().items() if value is not None}
        for flag, values in space.items()
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _ends(values: Choices | Range) -> tuple[Any, ...]:
    return values.values if isinstance(values, Choices) else (values.low, values.high)


def _grid(flag: str, values: Choices | Range) -> list[Any]:
    if isinstance(values, Choices):
        return list(values.values)
    step = values.step or (1 if values.is_integer and not values.log else None)
    if step is None:
        raise InputError(
            f"the grid needs a finite number of values for {flag}; give it a list or a `step`"
        )
    low, high, width = (Decimal(str(one)) for one in (values.low, values.high, step))
    count = int((high - low) / width) + 1
    if count > _MOST:
        raise InputError(f"the grid has {count:,} values of {flag}; at most {_MOST:,} are possible")
    numbers = [low + number * width for number in range(count)]
    return [int(one) if values.is_integer else float(one) for one in numbers]


def _values(at: str, value: object) -> Choices | Range:
    if isinstance(value, list):
        return _choices(at, value)
    if isinstance(value, dict):
        return _range(at, value)
    raise InputError(
        f"{at}: expected a list of values, or a mapping with low and high, got {shortened(value)}"
    )


def _choices(at: str, values: list[Any]) -> Choices:
    if not values:
        raise InputError(f"{at}: the list of values is empty; expected at least one value")
    kinds = (bool, int, float, str)
    found = tuple(v if v is None or isinstance(v, kinds) else json.dumps(v) for v in values)
    if len({*found}) < len(found):
        raise InputError(f"{at}: a value occurs twice; leave one of them out")
    return Choices(found)


def _range(at: str, given: dict[Any, Any]) -> Range:
    unknown = [key for key in given if key not in _FIELDS]
    missing = [key for key in ("low", "high") if key not in given]
    if unknown or missing:
        what = f"unknown key {unknown[0]}" if unknown else f"{missing[0]} is missing"
        raise InputError(f"{at}: {what}; a range has low and high, and optionally step and log")
    for key in ("low", "high", "step"):
        _check_number(f"{at}.{key}", given.get(key, 1))
    low, high, step, log = given["low"], given["high"], given.get("step"), given.get("log", False)
    if not isinstance(log, bool):
        raise InputError(f"{at}.log: expected true or false, got {shortened(log)}")
    if low > high:
        raise InputError(f"{at}: low {low} is above high {high}; exchange them")
    if step is not None and (step <= 0 or log):
        why = "cannot be combined with log" if log else f"must be positive, got {step}"
        raise InputError(f"{at}: step {why}")
    if log and low <= 0:
        raise InputError(f"{at}: low must be positive with log, got {low}")
    return Range(low, high, step, log)


def _check_number(at: str, value: object) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(float(str(value))):
        raise InputError(f"{at}: expected a number, got {shortened(value)}")
