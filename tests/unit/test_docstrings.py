"""Docstrings, read from source text: examples, argument descriptions, references."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.__main__ import SHORT_NAMES
from pipeline.preflight.parts import parts

REPOSITORY = Path(__file__).parents[2]
SECTION = re.compile(r"^(?:Args|Attributes|Raises):\n((?:(?:[ ]+\S.*)?\n)*)", re.MULTILINE)
ENTRY = re.compile(r"([\w*., ]+?): (.*)", re.DOTALL)
REFERENCE = re.compile(r"\b[Ss]ee `([^`]+)`")


class Documented(NamedTuple):
    """A docstring, where it is, and the names of classes that it may refer to."""

    place: str
    text: str
    known: frozenset[str]

    def entries(self) -> Iterator[str]:
        """Entries of the sections for arguments, attributes and exceptions."""
        for section in SECTION.findall(f"{self.text}\n"):
            yield from re.split(r"\n+(?=    \S)", f"\n{section}".rstrip())[1:]


def last_name(node: ast.expr) -> str:
    return ast.unparse(node).partition("[")[0].rpartition(".")[2]


def is_interface(node: ast.ClassDef) -> bool:
    return any(last_name(base) in ("ABC", "Protocol") for base in node.bases)


@cache
def trees() -> dict[Path, ast.Module]:
    folders = ("pipeline", "datamodules", "tasks")
    paths = sorted(path for name in folders for path in (REPOSITORY / name).rglob("*.py"))
    return {path: ast.parse(path.read_text()) for path in paths}


@cache
def documented() -> tuple[Documented, ...]:
    """All docstrings; each may refer to interfaces, its class's bases and classes of Lightning."""
    nodes = [node for tree in trees().values() for node in ast.walk(tree)]
    interfaces = {n.name for n in nodes if isinstance(n, ast.ClassDef) and is_interface(n)}
    found = []
    for path, tree in trees().items():
        lightning = {
            alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lightning")
            for alias in node.names
        }
        queue: list[tuple[ast.AST, frozenset[str]]] = [(tree, frozenset(interfaces | lightning))]
        for node, known in queue:  # grows
            if isinstance(node, ast.ClassDef):
                known |= {last_name(base) for base in node.bases}
            kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
            if isinstance(node, kinds) and (text := ast.get_docstring(node)):
                place = f"{path.relative_to(REPOSITORY)}:{getattr(node, 'lineno', 1)}"
                found.append(Documented(place, text, known))
            queue += [(child, known) for child in ast.iter_child_nodes(node)]
    return tuple(found)


def test_classes_of_configurations_have_examples():
    classes = [c for found in parts(SHORT_NAMES) for c in (*found.classes, *found.wrappers)]
    assert len(classes) > 60
    texts = {c.path: ast.get_docstring(c.node) or "" for c in classes}
    assert [
        p for p, text in texts.items() if not re.search(r"^Examples?:\n(.*\n)*? +>>>", text, re.M)
    ] == []


def test_summaries_end_with_a_full_stop():
    lines = [(place, text.partition("\n")[0]) for place, text, _ in documented()]
    assert [(place, line) for place, line in lines if not line.endswith(".")] == []


def test_descriptions_are_sentences():
    wrong = []
    for docstring in documented():
        for entry in docstring.entries():
            match = ENTRY.fullmatch(entry.strip())
            if not match or not re.match(r"[A-Z0-9`\"(\[]", match[2]) or not match[2].endswith("."):
                wrong.append((docstring.place, entry.strip()))
    assert wrong == [], "\n".join(map(str, wrong))


@pytest.mark.parametrize("text", ["**or**", "**and**"])
def test_no_word_is_emphasized(text):
    assert [docstring.place for docstring in documented() if text in docstring.text] == []


def test_references_name_interfaces():
    wrong = [
        (docstring.place, name)
        for docstring in documented()
        for name in REFERENCE.findall(docstring.text)
        if not docstring.known & set(name.split("."))
    ]
    assert wrong == [], "\n".join(map(str, wrong))
