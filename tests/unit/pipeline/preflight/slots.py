"""Every place of a configuration that takes one of our classes, found by introspection."""

import abc
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

from lightning.pytorch import Callback, LightningDataModule, LightningModule

from pipeline.__main__ import SHORT_NAMES

ROOTS = {"model": LightningModule, "data": LightningDataModule}


class Slot(NamedTuple):
    """A parameter, and the classes around it from the outside in: (key, is a list, class)."""

    around: tuple[tuple[str, bool, type], ...]
    key: str
    is_list: bool
    bases: tuple[type, ...]

    @property
    def name(self) -> str:
        return ".".join([*(key for key, _, _ in self.around), self.key])

    def flags(self, value: str) -> list[str]:
        """Each class around it by a flag of its own, then the value."""
        steps = [(key, is_list, path_of(kind)) for key, is_list, kind in self.around]
        flags, at = [], ""
        for key, is_list, text in [*steps, (self.key, self.is_list, value)]:
            at = f"{at}.{key}" if at else key
            flags.append(f"--{at}{'+' * is_list}={text}")
        return flags

    def config(self, value: object) -> dict[str, Any]:
        """The same as a configuration."""
        node: Any = {self.key: [value] if self.is_list else value}
        for key, is_list, kind in reversed(self.around):
            inner = {"class_path": path_of(kind), "init_args": node}
            node = {key: [inner] if is_list else inner}
        first, value = next(iter(node.items()))
        return {"trainer": {"callbacks": value}} if first == "trainer.callbacks" else node


def path_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


@functools.cache
def load() -> None:
    for name in SHORT_NAMES:
        import_module(name)


def descendants(base: type) -> Iterator[type]:
    yield base
    for kind in type.__subclasses__(base):
        yield from descendants(kind)


@functools.cache
def ours(base: type) -> tuple[type, ...]:
    """The classes of ours that can stand where `base` is expected."""
    load()
    found = {
        kind.__name__: kind
        for kind in descendants(base)
        if f"{kind.__module__}.".startswith(tuple(f"{name}." for name in SHORT_NAMES))
        and not kind.__name__.startswith("_")
        and not inspect.isabstract(kind)
        and not {abc.ABC, typing.Protocol} & {*kind.__bases__}
        and getattr(sys.modules[kind.__module__], kind.__name__, None) is kind
    }
    return tuple(found[name] for name in sorted(found))


def parts(hint: object) -> Iterator[tuple[type, bool]]:
    """The classes that a type hint takes, each with whether it stands in a list."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        for argument in arguments:
            yield from parts(argument)
    elif origin is Callable or origin is typing.get_origin(Callable[[], int]):
        yield from parts(arguments[-1])
    elif origin is list:
        yield from ((kind, True) for kind, _ in parts(arguments[0]))
    elif isinstance(hint, type) and hint.__module__ != "builtins":
        yield hint, False


def inner_slots(around: tuple[tuple[str, bool, type], ...]) -> Iterator[Slot]:
    kind = around[-1][2]
    if "__init__" not in vars(kind) and not any("__init__" in vars(k) for k in kind.__mro__[1:-1]):
        return
    hints = typing.get_type_hints(kind.__init__)
    for key in list(inspect.signature(kind).parameters):
        found = list(parts(hints.get(key)))
        bases = tuple(base for base, _ in found if ours(base))
        if bases:
            yield Slot(around, key, any(is_list for _, is_list in found), bases)


@functools.cache
def all_slots() -> tuple[Slot, ...]:
    """Each parameter once, however many places its class can stand in."""
    found = [Slot((), key, False, (base,)) for key, base in ROOTS.items()]
    found.append(Slot((), "trainer.callbacks", True, (Callback,)))
    seen: set[type] = set()
    for slot in found:  # grows
        for kind in [kind for base in slot.bases for kind in ours(base)]:
            if kind not in seen:
                seen.add(kind)
                found += inner_slots((*slot.around, (slot.key, slot.is_list, kind)))
    return tuple(found)
