"""Signatures and base classes, read from source text."""

import ast
import functools
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline.preflight.modules import MissingNameError, Module, find, locate, read

# Decorators that do not change the signature.
_HARMLESS = frozenset({"final", "override", "_defaults_from_env_vars"})
_CLASS = re.compile(r"^class (\w+)(?:\(([^)]*)\))?", re.MULTILINE)
_EMPTY_BASES = frozenset({"object", "ABC", "Generic"})


@dataclass(frozen=True)
class Parameter:
    """A parameter of `__init__`, and the module whose names its annotation uses."""

    annotation: ast.expr | None
    default: ast.expr | None
    module: Module


@dataclass(frozen=True)
class Class:
    """A class in source text, with its dotted name."""

    path: str
    module: Module
    node: ast.ClassDef

    @functools.cached_property
    def signature(self) -> Mapping[str, Parameter] | None:
        """Parameters of `__init__` by name; None if others may be accepted."""
        methods = {s.name: s for s in self.node.body if isinstance(s, ast.FunctionDef)}
        if not self.is_plain or "__new__" in methods:
            return None
        if "__init__" in methods:
            return _signature(methods["__init__"], self.module)
        bases = self.bases
        if not bases:
            return {}
        return bases[0].signature if len(bases) == 1 and bases[0] is not None else None

    @functools.cached_property
    def is_plain(self) -> bool:
        """Whether no decorator or metaclass changes the constructor."""
        return all(_last_name(d) in _HARMLESS for d in self.node.decorator_list) and all(
            k.arg == "metaclass" and _last_name(k.value) == "ABCMeta" for k in self.node.keywords
        )

    @functools.cached_property
    def bases(self) -> list["Class | None"]:
        """Base classes except `object`, `ABC` and `Generic`; None for one that cannot be read."""
        nodes = [b.value if isinstance(b, ast.Subscript) else b for b in self.node.bases]
        return [named(self.module, n) for n in nodes if _last_name(n) not in _EMPTY_BASES]

    @property
    def is_abstract(self) -> bool:
        """Whether it declares abstract methods or derives from `ABC` directly."""
        methods = [s for s in self.node.body if isinstance(s, ast.FunctionDef)]
        marks = [_last_name(mark) for method in methods for mark in method.decorator_list]
        return "abstractmethod" in marks or "ABC" in map(_last_name, self.node.bases)

    def is_subclass(self, path: str) -> bool:
        """Returns whether it is the class at `path` or derives from it."""
        return self.path == path or any(b is not None and b.is_subclass(path) for b in self.bases)

    @functools.cached_property
    def shown(self) -> str:
        """The shortest dotted name, through re-exports."""
        package = self.module.name.rpartition(".")[0]
        path = self.path
        while package:
            shorter = f"{package}.{self.node.name}"
            if find_or_none(shorter) != self:
                break
            path, package = shorter, package.rpartition(".")[0]
        return path

    @functools.cached_property
    def takes_class_names(self) -> bool:
        """Whether a string for a parameter of this type can only be the name of a class.

        False for enumerations, dataclasses, paths and classes that cannot be read.
        """
        if self.module.name.split(".")[0] in sys.stdlib_module_names or not self.is_plain:
            return False
        return all(base is not None and base.takes_class_names for base in self.bases)


def _last_name(node: ast.expr) -> str:
    """Returns the last part of a dotted name; "" for another expression."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _signature(init: ast.FunctionDef, module: Module) -> dict[str, Parameter] | None:
    args = init.args
    if args.kwarg is not None or not all(_last_name(d) in _HARMLESS for d in init.decorator_list):
        return None
    positional = [*args.posonlyargs, *args.args]
    gap: list[ast.expr | None] = [None] * (len(positional) - len(args.defaults))
    pairs = [*zip(positional, [*gap, *args.defaults], strict=True)][1:]
    pairs += zip(args.kwonlyargs, args.kw_defaults, strict=True)
    return {a.arg: Parameter(a.annotation, default, module) for a, default in pairs}


@functools.cache
def find_class(dotted: str) -> Class | None:
    """Returns the class with a dotted name; None if it cannot be found in source text.

    Raises `MissingNameError` if there is no such name.
    """
    found = find(dotted)
    if found is None:
        return None
    module, name = found
    node = module.classes.get(name)
    return None if node is None else Class(f"{module.name}.{name}", module, node)


def dotted_name(module: Module, node: ast.expr) -> str | None:
    """Returns the dotted name of a name in a module; None if the module does not have it."""
    if isinstance(node, ast.Attribute):
        value = dotted_name(module, node.value)
        return value and f"{value}.{node.attr}"
    if not isinstance(node, ast.Name):
        return None
    if node.id in module.imports:
        return module.imports[node.id]
    return f"{module.name}.{node.id}" if node.id in module.names else None


def named(module: Module, node: ast.expr) -> Class | None:
    """Returns the class that an expression in a module names; None if it cannot be found."""
    path = dotted_name(module, node)
    return None if path is None else find_or_none(path)


def find_or_none(dotted: str) -> Class | None:
    """Returns the class with a dotted name; None if there is none."""
    try:
        return find_class(dotted)
    except MissingNameError:
        return None


def _files(package: str) -> Iterator[tuple[str, Path]]:
    place = locate(package)
    if place is None:
        return
    if place.file is not None:
        yield package, place.file
    for name in place.submodules if place.folders else ():
        yield from _files(f"{package}.{name}")


class _Found(NamedTuple):
    """Modules that define a class of some name, and the words in its list of base classes."""

    modules: tuple[str, ...]
    bases: frozenset[str]


@functools.cache
def _own_classes(packages: tuple[str, ...]) -> Mapping[str, _Found]:
    """Returns the classes of packages by name, without parsing the modules."""
    found: dict[str, _Found] = {}
    for name, file in dict(pair for package in packages for pair in _files(package)).items():
        for match in _CLASS.finditer(file.read_text(encoding="utf-8")):
            before = found.get(match[1], _Found((), frozenset()))
            words = frozenset(re.findall(r"\w+", match[2] or ""))
            found[match[1]] = _Found((*before.modules, name), before.bases | words)
    return found


def descendants(base: Class, packages: Sequence[str]) -> list[Class]:
    """Returns the subclasses of a class in packages, sorted by name."""
    # Classes in between may be elsewhere in our packages, or next to the base class.
    tops = tuple(sorted({package.partition(".")[0] for package in packages}))
    known = [*_own_classes(tops).items(), *_own_classes((base.module.name,)).items()]
    names, size = {base.node.name}, 0
    while len(names) > size:
        size = len(names)
        names |= {name for name, found in known if found.bases & names}
    own = _own_classes(tuple(packages))
    paths = [f"{module}.{n}" for n in sorted(names & own.keys()) for module in own[n].modules]
    found = [c for path in paths if (c := find_or_none(path)) is not None]
    return [c for c in found if c.is_subclass(base.path)]


def _known_here(base: Class) -> Iterator[str]:
    """Yields dotted names of the classes in the module and the package of a base class."""
    for name in (base.module.name, base.module.name.rpartition(".")[0]):
        module = read(name) if name else None
        for public in module.public_classes if module else ():
            yield f"{name}.{public}"


def class_names(base: Class, packages: Sequence[str]) -> list[str]:
    """Returns the names of all classes in the packages and next to a base class."""
    near = [path.rpartition(".")[2] for path in _known_here(base)]
    return sorted({*_own_classes(tuple(packages)), *near})


def subclasses(base: Class, packages: Sequence[str], names: Iterable[str]) -> list[Class]:
    """Returns the subclasses with some short names, in the packages and next to the base class.

    The base class counts as a subclass.
    """
    own = _own_classes(tuple(packages))
    beside = list(_known_here(base))
    found = {}
    for name in names:
        paths = [f"{module}.{name}" for module in own[name].modules] if name in own else []
        for path in paths + [p for p in beside if p.rpartition(".")[2] == name]:
            candidate = find_or_none(path)
            if candidate is not None and candidate.is_subclass(base.path):
                found[candidate.path] = candidate
    return list(found.values())
