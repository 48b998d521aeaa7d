"""Configuration files as trees that know their lines."""

import difflib
from pathlib import Path

import yaml

from pipeline.errors import InputError
from pipeline.preflight.values import Loader

_SUFFIXES = frozenset({".yaml", ".yml", ".json"})


def parse(text: str) -> yaml.Node:
    """Reads a flag's value.

    Args:
        text: as it was typed.

    Returns:
        The tree, of the plain string where it is not YAML.
    """
    try:
        node = yaml.compose(text, Loader)
    except yaml.YAMLError:
        node = None
    return yaml.ScalarNode("tag:yaml.org,2002:str", text) if node is None else node


def value_of(node: yaml.Node) -> object:
    """Returns the Python value of a tree; None where it has none (an unknown tag, say)."""
    loader = Loader("")
    try:
        value: object = loader.construct_document(node)
    except yaml.YAMLError:
        value = None
    finally:
        loader.dispose()
    return value


def items(node: yaml.Node) -> list[tuple[str, yaml.Node, int]]:
    """Returns the pairs of a mapping.

    Args:
        node: any tree.

    Returns:
        Key, value and line (from 1) of each, merged ones (`<<`) included; none if it is no mapping.
    """
    if not isinstance(node, yaml.MappingNode):
        return []
    loader = Loader("")
    try:
        loader.flatten_mapping(node)
    except yaml.YAMLError:
        return []
    finally:
        loader.dispose()
    return [(str(key.value), value, key.start_mark.line + 1) for key, value in node.value]


def read(name: str) -> yaml.MappingNode:
    """Reads a configuration file.

    Args:
        name: its path, as it was typed.

    Raises:
        InputError: the file is missing, no UTF-8, no YAML, or no mapping of keys.
    """
    try:
        text = Path(name).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"no configuration file {name}{_suggest(name)}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except IsADirectoryError:
        raise InputError(f"{name} is a folder; --config takes a YAML file") from None
    except OSError as error:
        raise InputError(f"configuration file {name} cannot be read: {error.strerror}") from None
    try:
        node = yaml.compose(text, Loader)
    except yaml.YAMLError as error:
        raise InputError(_not_yaml(name, error)) from None
    if not isinstance(node, yaml.MappingNode):
        raise InputError(
            f"{name} holds no mapping; a configuration is keys with values, such as `trainer:`, "
            "`model:` and `data:`"
        )
    return node


def _not_yaml(name: str, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if mark is None:
        return f"{name} is not YAML: {problem}"
    return f"{name} line {mark.line + 1}, column {mark.column + 1} is not YAML: {problem}"


def _suggest(name: str) -> str:
    path = Path(name)
    folders = [path.parent.glob("*"), Path("configs").rglob("*")]
    files = {f for folder in folders for f in folder if f.suffix in _SUFFIXES and f.is_file()}
    # The folder may be wrong too, so names count first.
    by_stem: dict[str, Path] = {f.stem: f for f in sorted(files, reverse=True)}
    near = difflib.get_close_matches(path.stem, by_stem, n=1)
    if near:
        return f"; did you mean {by_stem[near[0]]}?"
    return "; give the path of a YAML file"
