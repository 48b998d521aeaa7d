"""Configuration files and values of flags as YAML nodes, which know their lines."""

from pathlib import Path

import yaml

from pipeline.errors import InputError
from pipeline.preflight.limits import refuse_bombs
from pipeline.preflight.values import Loader


def parse(text: str) -> yaml.Node:
    """Parses the value of a flag; returns a string node if it is not YAML.

    Raises `InputError` for a value that is nested too deeply or grows too much by its aliases.
    """
    refuse_bombs(text, "the value of a flag,")
    try:
        node = yaml.compose(text, Loader)
    except yaml.YAMLError:
        node = None
    return yaml.ScalarNode("tag:yaml.org,2002:str", text) if node is None else node


def value_of(node: yaml.Node) -> object:
    """Returns the Python value of a node; None if it has none, for example an unknown tag."""
    loader = Loader("")
    try:
        value: object = loader.construct_document(node)
    except yaml.YAMLError:
        value = None
    except ValueError:  # a number with more digits than Python converts
        value = node.value if isinstance(node, yaml.ScalarNode) else None
    finally:
        loader.dispose()
    return value


def items(node: yaml.Node) -> list[tuple[str, yaml.Node, int]]:
    """Returns key, value and line (from 1) of each pair of a mapping, with `<<` merged.

    A node that is no mapping has no pairs.
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


def read(path: Path) -> yaml.MappingNode:
    """Reads a configuration file; raises `InputError` if it is no mapping in YAML and UTF-8."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"configuration file {path} cannot be read: {error.strerror}") from None
    refuse_bombs(text, str(path))
    try:
        node = yaml.compose(text, Loader)
    except yaml.YAMLError as error:
        raise InputError(_not_yaml(path, error)) from None
    if not isinstance(node, yaml.MappingNode):
        raise InputError(
            f"{path} contains no mapping; a configuration consists of keys with values, such as "
            "`trainer:`, `model:` and `data:`"
        )
    return node


def _not_yaml(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if mark is None:
        return f"{path} is not YAML: {problem}"
    return f"{path} line {mark.line + 1}, column {mark.column + 1} is not YAML: {problem}"
