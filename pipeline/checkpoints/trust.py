"""Checks that a configuration names only classes of trusted modules, before any is imported.

Checkpoints and run folders are data from possibly unknown people. Building a model from the
configuration in them means calling the classes that it names, so each name is checked first: it
must be a class, not a function, of a trusted module and of the type that its slot expects. Torch
and Lightning are trusted as far as they are loaded already; modules of Unroll are imported.
"""

import contextlib
import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from pipeline.checkpoints.slots import Slot, family, fits, hints_of, joined, slot_of
from pipeline.errors import InputError
from pipeline.preflight.limits import MOST_NODES

OURS = ("pipeline", "tasks", "datamodules")
LOADED = ("torch", "lightning")
"""Packages of which only modules that are loaded already are looked at."""

_SPEC = frozenset({"class_path", "init_args", "dict_kwargs", "__path__"})
_PLAIN = (bool, int, float, str, bytes, type(None))
_MAX_DEPTH = 50
_MOST_QUOTED = 200
_trusted: list[str] = []


def trust(*modules: str) -> None:
    """Trusts these modules and their submodules, besides Unroll, torch and Lightning.

    Replaces the modules of an earlier call, and applies to this process (`--trust MODULE`).
    """
    for module in modules:
        if not all(part.isidentifier() for part in module.split(".")):
            raise InputError(f"--trust {module[:_MOST_QUOTED]}: expected the name of a module")
    _trusted[:] = modules


def trusted() -> tuple[str, ...]:
    """Returns the modules given to `trust`."""
    return tuple(_trusted)


def is_trusted_by_user(module: str) -> bool:
    """Returns whether a module, or a package that contains it, was given to `trust`."""
    return _is_in(module, _trusted)


def check_names(config: object, source: str) -> None:
    """Checks each name of a class in the configuration of a checkpoint or run folder.

    `source` is what the user called the file. Raises `InputError` for the first name that is not
    trusted or is not a class of the expected type.
    """
    _Checker(source, is_strict=True).configuration(config)


def check_module(name: str, source: str) -> None:
    """Raises `InputError` if the class with this dotted name is of a module that is not trusted."""
    if not _is_trusted(name.rpartition(".")[0]):
        raise _Checker(source, is_strict=True).untrusted(name, "model")


def check_modules(config: object, source: str, where: str = "config") -> None:
    """Checks only the modules of the classes in a configuration that may be a part of a whole.

    Raises `InputError` for the first class of a module that is not trusted.
    """
    if isinstance(config, Mapping):
        name = config.get("class_path")
        if isinstance(name, str) and "." in name and not _is_trusted(name.rpartition(".")[0]):
            raise _Checker(source, is_strict=True).untrusted(name, where)
        for key, value in config.items():
            check_modules(value, source, f"{where}.{key}")
    elif isinstance(config, list):
        for value in config:
            check_modules(value, source, where)


def refuse_functions(config: object, source: str) -> None:
    """Checks that a configuration of the user names classes, of any module, and no functions.

    Raises `InputError` for the first name that is a function or a class of another type.
    """
    _Checker(source, is_strict=False).configuration(config)


@contextlib.contextmanager
def only_trusted_imports() -> Iterator[None]:
    """Makes jsonargparse refuse to import anything outside of trusted modules."""
    import jsonargparse  # takes a quarter of a second
    from jsonargparse import _common as _settings

    before = dict(_settings.parsing_settings)
    jsonargparse.set_parsing_settings(
        import_path_denylist=["*"], import_path_allowlist=[*OURS, *LOADED, *_trusted]
    )
    try:
        yield
    finally:
        _settings.parsing_settings.update(before)


class _Checker:
    """Walks a configuration.

    With `is_strict`, names must be of trusted modules and in places where a class is expected.
    Without it, they may be of any module, and in places without a type, too.
    """

    def __init__(self, source: str, is_strict: bool) -> None:
        self.source, self.is_strict = source, is_strict
        self._num_values = 0

    def configuration(self, config: object) -> None:
        """Checks a whole configuration, with the sections `model`, `data` and `trainer`."""
        from lightning.pytorch import LightningDataModule, LightningModule, Trainer

        sections = self._mapping(config, "the configuration")
        for name, base in (("model", LightningModule), ("data", LightningDataModule)):
            spec = sections.get(name)
            if spec is None and not self.is_strict:
                continue
            if not isinstance(spec, Mapping) or not isinstance(spec.get("class_path"), str):
                raise self._error(name, "is missing or names no class")
            self._value(spec, Slot(bases=(base,)), name, 0)
        if trainer := sections.get("trainer"):
            self._arguments(trainer, Trainer, "trainer", 0)
        for key, value in sections.items():
            if key not in ("model", "data", "trainer") and not isinstance(value, _PLAIN):
                raise self._error(str(key), "is not a plain value")
        if "config" in sections or "__path__" in sections:
            raise self._error("config", "names a further file")

    def _count(self, where: str, depth: int) -> None:
        """Counts values; lists can contain one another many times."""
        self._num_values += 1
        if depth > _MAX_DEPTH:
            raise self._error(where, f"is nested more than {_MAX_DEPTH} levels deep")
        if self._num_values > MOST_NODES:
            raise self._error(where, f"is one of more than {MOST_NODES:,} values")

    def _value(self, value: object, slot: Slot, where: str, depth: int) -> None:
        """Checks a value, and everything in it, against what its slot takes."""
        self._count(where, depth)
        if isinstance(value, str):
            self._text(value, slot, where)
        elif isinstance(value, Mapping):
            self._mapping(value, where)
            if "class_path" in value:
                self._spec(value, slot, where, depth)
            else:
                inner = _inner(slot)
                for key, each in value.items():
                    self._value(each, inner, f"{where}.{key}", depth + 1)
        elif isinstance(value, list | tuple | set | frozenset):
            inner = _inner(slot)
            for number, each in enumerate(value):
                self._value(each, inner, f"{where}[{number}]", depth + 1)

    def _spec(self, value: Mapping[str, Any], slot: Slot, where: str, depth: int) -> None:
        """Checks a mapping that names a class."""
        if extra := [key for key in value if key not in _SPEC or key == "__path__"]:
            raise self._error(where, f"has the unknown key {_quoted(extra[0])} beside class_path")
        cls = self._class(value["class_path"], slot, f"{where}.class_path")
        self._arguments(value.get("init_args"), cls, f"{where}.init_args", depth)
        # Passed to the constructor unchanged.
        kwargs = self._mapping(value.get("dict_kwargs") or {}, f"{where}.dict_kwargs")
        self._value(kwargs, Slot(is_open=True), f"{where}.dict_kwargs", depth + 1)

    def _arguments(self, value: object, cls: type[Any], where: str, depth: int) -> None:
        hints = hints_of(cls)
        for key, each in self._mapping(value or {}, where).items():
            if "." in key or key in _SPEC:
                raise self._error(where, f"has the key {_quoted(key)}, which names no argument")
            slot = slot_of(hints[key]) if key in hints else Slot(is_open=True)
            self._value(each, slot, f"{where}.{key}", depth + 1)

    def _text(self, text: str, slot: Slot, where: str) -> None:
        """Checks a string: jsonargparse takes it for a class, a file or YAML where it can."""
        if not slot.bases and not slot.is_callable and not slot.is_open:
            return
        if self.is_strict and (slot.bases or slot.is_callable or slot.is_open):
            self._refuse_yaml(text, where)
        if slot.takes_text and (not slot.bases or not self._is_loaded_class(text)):
            return
        if slot.bases or slot.is_callable:
            self._class(text, slot, where)

    def _refuse_yaml(self, text: str, where: str) -> None:
        if len(text) > 10_000:
            raise self._error(where, f"has {len(text)} characters, which is no value of it")
        try:
            value = yaml.safe_load(text) if any(mark in text for mark in ":{[-&*!?") else text
        except (yaml.YAMLError, ValueError, RecursionError):
            return
        if isinstance(value, Mapping | list):
            raise self._error(where, "is text that contains a further configuration")

    def _is_loaded_class(self, name: str) -> bool:
        module, _, last = name.rpartition(".")
        return isinstance(getattr(sys.modules.get(module), last, None), type)

    def _class(self, name: object, slot: Slot, where: str) -> type[Any]:
        """Returns the class with a name that is trusted and has the type that a slot expects."""
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            raise self._error(where, f"{_quoted(name)} is no name of a class")
        if self.is_strict and not slot.bases:
            raise self._error(where, f"{_quoted(name)} stands where no class is expected")
        found = self._short(name, slot, where) if "." not in name else self._dotted(name, where)
        if not isinstance(found, type):
            raise self._error(where, f"{_quoted(name)} is not a class; functions are never called")
        if self.is_strict and not _is_trusted(found.__module__):
            raise self.untrusted(f"{found.__module__}.{found.__qualname__}", where)
        if slot.bases and not any(fits(found, base) for base in slot.bases):
            kinds = " or ".join(dict.fromkeys(base.__name__ for base in slot.bases))
            raise self._error(where, f"{_quoted(name)} is no {kinds}")
        return found

    def _short(self, name: str, slot: Slot, where: str) -> object:
        found = {cls for base in slot.bases for cls in family(base) if cls.__name__ == name}
        if self.is_strict and not found:
            raise self._error(where, f"{_quoted(name)} is no name of a class")
        untrusted = [cls for cls in found if not _is_trusted(cls.__module__)]
        return (untrusted or [*found] or [type(None)])[0]

    def _dotted(self, name: str, where: str) -> object:
        module, _, last = name.rpartition(".")
        if self.is_strict and not _is_trusted(module):
            raise self.untrusted(name, where)
        try:
            if module.partition(".")[0] in LOADED and self.is_strict:
                return getattr(sys.modules[module], last)
            return getattr(importlib.import_module(module), last)
        except (ImportError, AttributeError, KeyError, ValueError) as error:
            raise self._error(where, f"there is no class {_quoted(name)}") from error

    def _mapping(self, value: object, where: str) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise self._error(where, "is not a mapping")
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise self._error(where, f"has the key {_quoted(wrong[0])}; expected text")
        return value

    def untrusted(self, name: str, where: str) -> InputError:
        """Returns the error for a class of a module that is not trusted."""
        module = name.rpartition(".")[0]
        known = f"only classes of {', '.join(OURS + LOADED)} and of modules given by --trust"
        hint = f"; if you trust its author, add --trust {module}"
        if module.partition(".")[0] in {*sys.stdlib_module_names, ""}:
            hint = ""
        return self._error(where, f"{_quoted(name)} is not trusted: files can name {known}{hint}")

    def _error(self, where: str, text: str) -> InputError:
        return InputError(f"{self.source}: {where[:_MOST_QUOTED]}: {text}")


def _inner(slot: Slot) -> Slot:
    """Returns what the elements of a list or the values of a mapping can be."""
    return joined([slot_of(each) for each in slot.elements] or [Slot(is_open=True)])


def _is_trusted(module: str) -> bool:
    if module.rpartition(".")[2] == "__main__":
        return False
    return _is_in(module, (*OURS, *LOADED, *_trusted))


def _is_in(module: str, packages: Iterable[str]) -> bool:
    return any(module == each or module.startswith(f"{each}.") for each in packages)


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _MOST_QUOTED else f"{text[:_MOST_QUOTED]}..."
