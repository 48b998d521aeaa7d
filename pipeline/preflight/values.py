"""Types that a parameter takes, read from its annotation, and whether a value fits them."""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml

from pipeline.preflight.classes import Class, dotted_name, named
from pipeline.preflight.modules import MissingNameError, Module, find

_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "None": "null"}
_UNIONS = frozenset({"Union", "Optional"})
_SEQUENCES = frozenset({"list", "List", "Sequence", "Iterable", "tuple", "Tuple"})


class Loader(yaml.SafeLoader):
    """A YAML loader that reads scalars as jsonargparse does: `1e-3` as a number, dates as text."""


def _without(tags: set[str]) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    resolvers = yaml.SafeLoader.yaml_implicit_resolvers
    return {key: [r for r in found if r[0] not in tags] for key, found in resolvers.items()}


Loader.yaml_implicit_resolvers = _without(
    {"tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp"}
)
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|\.[0-9_]+(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


class Types(NamedTuple):
    """Alternatives of an annotation.

    Attributes:
        simple: Names among int, float, bool, str and None.
        literals: Values of `Literal`.
        classes: Classes whose instances, or factories of instances, are taken, also in lists.
        is_open: Whether there are alternatives that cannot be read from text.
    """

    simple: frozenset[str] = frozenset()
    literals: tuple[object, ...] = ()
    classes: tuple[Class, ...] = ()
    is_open: bool = False

    @property
    def is_simple(self) -> bool:
        """Whether a value can be checked without knowing classes."""
        return not (self.is_open or self.classes)

    @property
    def takes_classes(self) -> bool:
        """Whether each alternative is known, and a class is given by its name."""
        names_only = all(c.takes_class_names for c in self.classes)
        return bool(self.classes) and not self.is_open and names_only

    @property
    def takes_only_classes(self) -> bool:
        """Whether a string can only be the name of a class."""
        return self.takes_classes and not self.literals and self.simple <= {"None"}

    @property
    def without_classes(self) -> "Types":
        """The other alternatives; open if a class may be given otherwise than by its name."""
        is_open = self.is_open or not self.takes_classes
        return Types(self.simple, self.literals, is_open=is_open)

    def describe(self) -> str:
        """Returns the alternatives in words."""
        words = [_WORDS[name] for name in _WORDS if name in self.simple and name != "None"]
        if self.literals:
            words.append("one of " + ", ".join(map(str, self.literals)))
        words += [f"the name of a class ({c.node.name})" for c in self.classes]
        return " or ".join(words + ["null"] * ("None" in self.simple))


OPEN = Types(is_open=True)


def types_of(annotation: ast.expr | None, module: Module | None, depth: int = 0) -> Types:
    """Returns the types that an annotation takes; open if it cannot be read from text.

    `module` is None for built-in types; `depth` is the number of aliases followed so far.
    """
    parts = [_part(node, module, depth) for node in _alternatives(annotation)]
    return Types(
        simple=frozenset().union(*(part.simple for part in parts)),
        literals=tuple(value for part in parts for value in part.literals),
        classes=tuple(c for part in parts for c in part.classes),
        is_open=any(part.is_open for part in parts),
    )


def _name(node: ast.expr) -> str:
    return (
        ast.unparse(node).rpartition(".")[2] if isinstance(node, ast.Name | ast.Attribute) else ""
    )


def _elements(node: ast.Subscript) -> list[ast.expr]:
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


def _alternatives(node: ast.expr | None) -> Iterator[ast.expr | None]:
    """Yields the alternatives of a union in any notation."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            node = ast.parse(node.value, mode="eval").body
        except SyntaxError:
            node = None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from _alternatives(node.left)
        yield from _alternatives(node.right)
    elif isinstance(node, ast.Subscript) and _name(node.value) in _UNIONS:
        for element in _elements(node):
            yield from _alternatives(element)
        if _name(node.value) == "Optional":
            yield ast.Constant(None)
    else:
        yield node


def _part(node: ast.expr | None, module: Module | None, depth: int) -> Types:
    if isinstance(node, ast.Constant) and node.value is None:
        return Types(simple=frozenset({"None"}))
    if isinstance(node, ast.Name) and node.id in ("int", "float", "bool", "str"):
        return Types(simple=frozenset({node.id}))
    if isinstance(node, ast.Subscript):
        return _generic(node, module, depth)
    if node is None or module is None or depth > 10:
        return OPEN
    found = named(module, node)
    return Types(classes=(found,)) if found is not None else _alias(node, module, depth)


def _generic(node: ast.Subscript, module: Module | None, depth: int) -> Types:
    name, elements = _name(node.value), _elements(node)
    if name == "Literal" and all(isinstance(e, ast.Constant) for e in elements):
        return Types(literals=tuple(e.value for e in elements if isinstance(e, ast.Constant)))
    if name == "Callable" or name in _SEQUENCES:
        # The elements of a list and the result of a factory are given as classes.
        inner = types_of(elements[-1], module, depth + 1)
        return inner if inner.takes_classes else OPEN
    return OPEN


def _alias(node: ast.expr, module: Module, depth: int) -> Types:
    path = dotted_name(module, node)
    try:
        found = None if path is None else find(path)
    except MissingNameError:
        found = None
    if found is None or found[1] not in found[0].assigned:
        return OPEN
    return types_of(found[0].assigned[found[1]], found[0], depth + 1)


def accepts(types: Types, value: object) -> bool:
    """Returns whether a value, as YAML reads it, can be of these types; True if uncertain."""
    # The parser takes null for anything, and `${...}` may be replaced before it is parsed.
    if not types.is_simple or "str" in types.simple or value is None:
        return True
    if isinstance(value, str) and ("${" in value or _accepts_text(types, value)):
        return True
    if value in types.literals or str(value) in map(str, types.literals):
        return True
    if isinstance(value, bool):
        return "bool" in types.simple
    if isinstance(value, int):
        return not types.simple.isdisjoint({"int", "float"})
    return isinstance(value, float) and "float" in types.simple


def _accepts_text(types: Types, text: str) -> bool:
    """Returns whether the text of a quoted value is accepted as Python or YAML."""
    kinds = [kind for kind in (int, float) if kind.__name__ in types.simple]
    if any(_parses(kind, text) for kind in kinds):
        return True
    try:
        value = yaml.load(text, Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError):  # the latter: too many digits
        return False
    return not isinstance(value, str) and accepts(types, value)


def _parses(kind: type[int] | type[float], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True
