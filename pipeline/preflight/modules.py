"""Names that a module defines and imports, read from its source text without importing it."""

import ast
import collections
import functools
import importlib.machinery
import importlib.util
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# A module that uses one of these may define names that its text does not show.
_DYNAMIC = re.compile(rb"\b(globals|locals|vars|setattr|exec|__getattr__|sys\.modules)\b")


class MissingNameError(LookupError):
    """A dotted name certainly does not exist.

    `name` is the missing part, `parent` the module that was searched ("" if the top-level package
    is missing) and `candidates` are the names that this module has.
    """

    def __init__(self, parent: str, name: str, candidates: tuple[str, ...]) -> None:
        super().__init__(f"{parent} has no {name}")
        self.parent = parent
        self.name = name
        self.candidates = candidates


@dataclass(frozen=True)
class Module:
    """The top level of a module.

    `classes` are those defined unconditionally, `imports` dotted names by local names, `assigned`
    right-hand sides of assignments to a single name, and `names` all names that are bound. There
    may be more names than these if `is_open`, for example because of `stars`, modules imported
    with `*`.
    """

    name: str
    classes: Mapping[str, ast.ClassDef]
    imports: Mapping[str, str]
    assigned: Mapping[str, ast.expr]
    names: frozenset[str]
    stars: tuple[str, ...]
    is_open: bool

    @property
    def public_classes(self) -> tuple[str, ...]:
        """Names of classes, defined or imported, judging by their capital letter."""
        names = {*self.classes, *self.imports}
        return tuple(sorted(name for name in names if name[:1].isupper()))


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yields the statements of a module, including those inside `if`, `try`, `with` and loops."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While):
            for field in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(statement, field, []))
            for handler in getattr(statement, "handlers", []):
                yield from _statements(handler.body)


def _absolute(statement: ast.ImportFrom, package: str) -> str:
    if not statement.level:
        return statement.module or ""
    base = package.split(".")[: len(package.split(".")) - statement.level + 1]
    return ".".join([*base, *filter(None, [statement.module])])


def _imports(statements: list[ast.stmt], package: str) -> dict[str, str]:
    imports = {}
    for statement in statements:
        if isinstance(statement, ast.ImportFrom):
            source = _absolute(statement, package)
            for alias in statement.names:
                if alias.name != "*":
                    imports[alias.asname or alias.name] = f"{source}.{alias.name}"
        elif isinstance(statement, ast.Import):
            for alias in statement.names:
                top = alias.name.split(".")[0]
                imports[alias.asname or top] = alias.name if alias.asname else top
    return imports


def _stars(statements: list[ast.stmt], package: str) -> tuple[str, ...]:
    froms = [s for s in statements if isinstance(s, ast.ImportFrom)]
    return tuple(_absolute(s, package) for s in froms if s.names[0].name == "*")


def _assigned(statements: list[ast.stmt]) -> dict[str, ast.expr]:
    assigned: dict[str, ast.expr] = {}
    for statement in statements:
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        for target in targets:
            if isinstance(target, ast.Name):
                assigned[target.id] = statement.value  # type: ignore[attr-defined]
    return assigned


def _stored(statements: list[ast.stmt]) -> set[str]:
    """Returns the names that are assigned in any way outside of functions and classes."""
    simple = [
        node
        for statement in statements
        if not isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(statement)
    ]
    return {n.id for n in simple if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _parse(name: str, path: Path) -> Module | None:
    try:
        text = path.read_bytes()
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None  # importing it reports the error
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    statements = list(_statements(tree.body))
    defined = [s for s in statements if isinstance(s, ast.ClassDef | ast.FunctionDef)]
    counts = collections.Counter(s.name for s in defined)
    stored = _stored(statements)
    imports = _imports(statements, package)
    stars = _stars(statements, package)
    return Module(
        name=name,
        classes={
            s.name: s
            for s in tree.body
            if isinstance(s, ast.ClassDef)
            and counts[s.name] == 1
            and s.name not in stored | imports.keys()
        },
        imports={key: value for key, value in imports.items() if key not in {*stored, *counts}},
        assigned=_assigned(statements),
        names=frozenset({*imports, *stored, *counts}),
        stars=stars,
        is_open=bool(stars) or _DYNAMIC.search(text) is not None,
    )


@functools.cache
def _entries(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def _top_level(name: str) -> importlib.machinery.ModuleSpec | None:
    spec = importlib.util.find_spec(name)
    # The current folder is added to `sys.path` last, so that no module in it hides ours.
    return spec or importlib.machinery.PathFinder.find_spec(name, [os.getcwd()])


@dataclass(frozen=True)
class Place:
    """Location of the source of a module: its file, and the folders of its submodules.

    A compiled module or a folder without `__init__.py` has no file.
    """

    file: Path | None
    folders: tuple[str, ...]

    @property
    def submodules(self) -> tuple[str, ...]:
        """Names of the public submodules."""
        entries = {entry for folder in self.folders for entry in _entries(folder)}
        names = {e.removesuffix(".py") for e in entries if e.endswith(".py") or "." not in e}
        return tuple(sorted(name for name in names if not name.startswith("_")))


def _below(place: Place, name: str) -> Place | None:
    """Returns the location of a submodule, by its exact case; None if there is none."""
    for folder in place.folders:
        inner = os.path.join(folder, name)
        if name in _entries(folder) and os.path.isdir(inner):
            file = Path(inner, "__init__.py") if "__init__.py" in _entries(inner) else None
            return Place(file, (inner,))
        if f"{name}.py" in _entries(folder):
            return Place(Path(f"{inner}.py"), ())
        if any(entry.startswith(f"{name}.") for entry in _entries(folder)):
            return Place(None, ())
    return None


@functools.cache
def locate(name: str) -> Place | None:
    """Returns the location of the source of a module; None if there is no such module."""
    parent, _, last = name.rpartition(".")
    if parent:
        place = locate(parent)
        return None if place is None else _below(place, last)
    try:
        spec = _top_level(name)
    except (ImportError, ValueError):
        return Place(None, ())
    if spec is None:
        return None
    is_source = spec.has_location and spec.origin is not None and spec.origin.endswith(".py")
    file = Path(spec.origin) if is_source and spec.origin else None
    return Place(file, tuple(spec.submodule_search_locations or ()))


@functools.cache
def read(name: str) -> Module | None:
    """Parses the source text of a module; returns None if there is none or it cannot be parsed."""
    place = locate(name)
    if place is None or place.file is None:
        return None
    return _parse(name, place.file)


def split(dotted: str) -> tuple[str, tuple[str, ...]]:
    """Splits a dotted name into the longest module in it ("" if none) and the names after it."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if locate(name) is not None:
            return name, tuple(parts[length:])
    return "", tuple(parts)


def find(dotted: str, depth: int = 0) -> tuple[Module, str] | None:
    """Follows a dotted name, through re-exports, to the module that defines it.

    Returns the module and the name in it; None if they cannot be found in source text. `depth` is
    the number of re-exports followed so far. Raises `MissingNameError` if there is no such name.
    """
    name, rest = split(dotted)
    if not name:
        raise MissingNameError("", rest[0], ())
    module = read(name)
    if module is None or not rest or depth > 20:
        return None
    if rest[0] in module.imports:
        return _follow([module.imports[rest[0]], *rest[1:]], depth)
    if rest[0] not in module.names:
        for star in module.stars:
            found = _follow([star, *rest], depth)
            if found is not None:
                return found
    if module.is_open or rest[0] in module.names:
        return (module, rest[0]) if len(rest) == 1 and rest[0] in module.names else None
    place = locate(name)
    known = place.submodules if place and len(rest) > 1 else module.public_classes
    raise MissingNameError(name, rest[0], known)


def _follow(parts: list[str], depth: int) -> tuple[Module, str] | None:
    try:
        return find(".".join(parts), depth + 1)
    except MissingNameError:
        return None
