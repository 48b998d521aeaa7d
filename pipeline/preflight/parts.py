"""Lists the classes that a configuration can name, by the flag that takes them."""

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline.preflight.checker import GROUPS
from pipeline.preflight.classes import Class, class_names, find_or_none, subclasses
from pipeline.preflight.values import types_of

_CALLBACK = "lightning.pytorch.callbacks.callback.Callback"


class Parts(NamedTuple):
    """Classes that a flag takes.

    Attributes:
        flag: Flag, such as "--model.encoder".
        base: Base class of the classes.
        classes: Own classes, by name.
        wrappers: Own classes that cannot be built without another part.
    """

    flag: str
    base: Class
    classes: list[Class]
    wrappers: list[Class]


def parts(packages: Sequence[str]) -> list[Parts]:
    """Returns the classes in packages for each flag that takes a class.

    Tasks and datamodules come first. Each base class is listed once, with the first flag found.
    """
    bases = {key: find_or_none(path) for key, path in GROUPS.items()}
    bases["trainer.callbacks"] = find_or_none(_CALLBACK)
    found: dict[str, Parts] = {}
    queue = [(key, base) for key, base in bases.items() if base is not None]
    for key, base in queue:  # grows
        if base.path in found:
            continue
        names = [name for name in class_names(base, packages) if not name.startswith("_")]
        own = [c for c in subclasses(base, packages, names) if not c.is_abstract]
        own = [c for c in own if c.path.startswith(tuple(packages))]
        is_root = key in bases
        wrappers = [] if is_root else [c for c in own if any(_required(c))]
        classes = [c for c in own if c not in wrappers]
        found[base.path] = Parts(f"--{key}", base, classes, wrappers)
        for c in classes:
            queue += [(f"{key}.{name}", inner) for name, inner in _taken(c)]
    return [p for p in found.values() if p.classes or not p.base.path.startswith(_tops(packages))]


def summary(c: Class) -> str:
    """Returns the first paragraph of the docstring on one line."""
    text = ast.get_docstring(c.node) or ""
    return " ".join(text.partition("\n\n")[0].split())


def _tops(packages: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{package.partition('.')[0]}." for package in packages)


def _taken(c: Class) -> Iterator[tuple[str, Class]]:
    """Yields name and class of the parameters that are given as classes."""
    for name, parameter in (c.signature or {}).items():
        types = types_of(parameter.annotation, parameter.module)
        if types.takes_classes:
            yield from ((name, base) for base in types.classes)


def _required(c: Class) -> Iterator[str]:
    for name, _ in _taken(c):
        if c.signature is not None and c.signature[name].default is None:
            yield name
