"""Lists the classes that a configuration can name, by the flag that takes them."""

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline.preflight.classes import Class, Parameter, descendants, dotted_name, find_or_none
from pipeline.preflight.names import GROUPS
from pipeline.preflight.values import types_of

_CALLBACK = "lightning.pytorch.callbacks.callback.Callback"


class Parts(NamedTuple):
    """Classes that a flag takes; `wrappers` cannot be built without another part."""

    flag: str
    base: Class
    classes: list[Class]
    wrappers: list[Class]


def parts(packages: Sequence[str]) -> list[Parts]:
    """Returns the classes in packages for each flag that takes a class.

    Tasks come first, then datamodules. Each base class is listed with the first flag found.
    """
    roots = {"data": GROUPS["data"], "model": GROUPS["model"], "trainer.callbacks": _CALLBACK}
    bases = {key: find_or_none(path) for key, path in roots.items()}
    found: dict[str, Parts] = {}
    queue = [(key, base) for key, base in bases.items() if base is not None]
    for key, base in queue:  # grows
        if base.path in found:
            continue
        own = [c for c in descendants(base, packages) if not c.is_abstract]
        own = [c for c in own if not c.node.name.startswith("_")]
        is_root = key in bases
        wrappers = [] if is_root else [c for c in own if _wraps(c, packages)]
        classes = [c for c in own if c not in wrappers]
        found[base.path] = Parts(f"--{key}", base, classes, wrappers)
        for c in classes:
            queue += [(f"{key}.{name}", inner) for name, inner in _taken(c, packages)]
    listed = {c.path for p in found.values() for c in p.classes if c != p.base}
    shown = [p for p in found.values() if p.classes and p.base.path not in listed]
    return sorted(shown, key=lambda p: p.flag != "--model")


def summary(c: Class) -> str:
    """Returns the first paragraph of the docstring on one line."""
    text = ast.get_docstring(c.node) or ""
    return " ".join(text.partition("\n\n")[0].split())


def _taken(c: Class, packages: Sequence[str]) -> Iterator[tuple[str, Class]]:
    """Yields name and class of the parameters that are given as classes."""
    # Other packages are not read, to be fast: they define no types that our parts share.
    own = (f"{package.partition('.')[0]}." for package in packages)
    tops = (*own, "lightning.", "torch.optim.")
    for name, parameter in (c.signature or {}).items():
        if any(path.startswith(tops) for path in _names(parameter)):
            types = types_of(parameter.annotation, parameter.module)
            yield from ((name, base) for base in types.classes if types.takes_classes)


def _names(parameter: Parameter) -> list[str]:
    """Returns the dotted names in the annotation of a parameter."""
    nodes = ast.walk(parameter.annotation) if parameter.annotation else ()
    named = [n for n in nodes if isinstance(n, ast.Name | ast.Attribute)]
    return [dotted_name(parameter.module, node) or "" for node in named]


def _wraps(c: Class, packages: Sequence[str]) -> bool:
    """Returns whether the constructor requires another part."""
    required = {name for name, p in (c.signature or {}).items() if p.default is None}
    if any(
        base.path.startswith(tuple(packages)) for n, base in _taken(c, packages) if n in required
    ):
        return True
    names = [path for n in required for path in _names((c.signature or {})[n])]
    return any(path.startswith("torch.nn.") for path in names)
