"""Checks flags and configuration files in the order in which the parser reads them."""

import ast
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from pipeline.errors import InputError, shortened
from pipeline.preflight import files
from pipeline.preflight.classes import Class, Parameter, find_or_none, named
from pipeline.preflight.configurations import find_configuration, incomplete
from pipeline.preflight.messages import Location, unknown
from pipeline.preflight.names import GROUPS, ClassNames
from pipeline.preflight.split_arguments import Flag, next_flag
from pipeline.preflight.values import OPEN, Types, accepts, types_of

_TRAINER = "lightning.pytorch.trainer.trainer.Trainer"
_CLASS_KEYS = ("class_path", "init_args", "dict_kwargs")

Slot = tuple[str, ...]


def check(
    arguments: Sequence[str],
    options: Mapping[str, str],
    packages: Sequence[str],
    required: Sequence[str] = (),
    defaults: Mapping[str, str] | None = None,
) -> None:
    """Raises `InputError` for the first mistake in flags and the configuration files they name.

    `options` are annotations, as text, of the fields besides `seed_everything`, `trainer`, `model`
    and `data`. Classes in `packages` may be named without their path. `required` are those of
    `model` and `data` for which a class must be named, and `defaults` their default class paths.
    """
    checker = _Checker(options, defaults or {}, tuple(packages))
    queue = list(arguments)
    while queue:
        flag = next_flag(queue)
        if flag.asks_for_help:
            return
        checker.take(flag)
    missing = [group for group in required if (group,) not in checker.classes]
    if missing and checker.files:
        raise incomplete(checker.files, missing[0])


def model_class_path(arguments: Sequence[str], packages: Sequence[str] = ()) -> str | None:
    """Returns the path of the class that flags and configuration files name for `model`, if any.

    The path consists of the defining module and the name, such as `tasks.tagging.Tagger`. A class
    that cannot be found in source text (compiled, defined conditionally, or a short name of another
    package than `packages`) is returned as it was written.
    """
    checker = _Checker(None, {}, tuple(packages))
    queue = list(arguments)
    while queue:
        flag = next_flag(queue)
        if not flag.asks_for_help:
            checker.take(flag)
    found = checker.classes.get(("model",))
    return found.path if found else checker.model_name


def configurations_of(arguments: Sequence[str]) -> list[tuple[str, str]]:
    """Returns name and text of the configurations that arguments name, in any spelling."""
    found, queue = [], list(arguments)
    while queue:
        flag = next_flag(queue)
        if flag.name == "config" and flag.value is not None:
            if os.path.isfile(flag.value):
                found.append((flag.value, Path(flag.value).read_text(encoding="utf-8-sig")))
            else:
                found.append(("--config", flag.value))
    return found


class _Checker:
    """Tracks which class each slot holds after the arguments read so far.

    A slot is the sequence of keys that leads to a parameter, without `init_args`, such as
    `("model", "encoder")`. A class of None means that the slot can hold anything. `texts` are
    strings in slots that also take the name of a class, and their locations.
    """

    def __init__(
        self,
        options: Mapping[str, str] | None,
        defaults: Mapping[str, str],
        packages: tuple[str, ...],
    ) -> None:
        # None: only `model` is checked.
        self.options = None if options is None else {"seed_everything": "bool | int", **options}
        self.names = ClassNames(packages)
        self.classes: dict[Slot, Class | None] = {("trainer",): find_or_none(_TRAINER)}
        self.classes |= {(group,): find_or_none(path) for group, path in defaults.items()}
        self.texts: dict[Slot, tuple[str, Location]] = {}
        self.model_name: str | None = None
        self.files: list[Path] = []

    def take(self, flag: Flag) -> None:
        """Checks one flag."""
        if flag.name == "config" and flag.value is not None:
            self._config(flag.value)
            return
        if flag.name == "print_config":
            return
        name = flag.name.removesuffix("+")
        at = Location(flag=f"--{name}", keys=tuple(name.split(".")))
        self._top(name, files.parse("null" if flag.value is None else flag.value), at)
        if flag.value is None:
            raise InputError(f"flag --{flag.name} has no value; write --{flag.name}=VALUE")

    def _config(self, value: str) -> None:
        inline = files.parse(value)
        if "://" in value:
            self.classes = {("trainer",): self.classes["trainer",]}
            self.classes |= {(group,): None for group in GROUPS}
            self.names.are_complete = False
        elif isinstance(inline, yaml.MappingNode) and not os.path.exists(value):
            self._file(inline, Location(flag="--config", keys=()))
        else:
            path = find_configuration(value)
            self.files.append(path)
            self._file(files.read(path), Location(file=str(path), keys=()))

    def _file(self, node: yaml.Node, at: Location) -> None:
        for key, child, line in files.items(node):
            if key != "config":
                self._top(key, child, at.below(key, line))

    def _top(self, name: str, node: yaml.Node, at: Location) -> None:
        key, *rest = name.split(".")
        if self.options is None and key != "model":
            return
        if self.options is None or key in (*GROUPS, "trainer"):
            self._below((key,), rest, node, at)
            return
        option = next((o for o in self.options if name == o or name.startswith(f"{o}.")), None)
        if option is not None:
            types = types_of(ast.parse(self.options[option], mode="eval").body, None)
            self._plain(types, name.split(".")[option.count(".") + 1 :], node, at)
        elif any(o.startswith(f"{name}.") for o in self.options):
            for inner, child, line in files.items(node):
                self._top(f"{name}.{inner}", child, at.below(inner, line))
        else:
            known = ["trainer", *GROUPS, *self.options]
            wrong = name if any(o.startswith(f"{key}.") for o in known) else key
            raise unknown(at, f"there is no field '{wrong}'", wrong, known)

    def _below(self, slot: Slot, keys: Sequence[str], node: yaml.Node, at: Location) -> None:
        """Checks a value at keys below a slot."""
        if not keys:
            self._fill(slot, node, at)
            return
        key, *rest = keys
        if key == "class_path":
            self._name_class(slot, node, at, is_class_path=True)
        elif key == "init_args" and not rest:
            self._arguments(slot, node, at)
        elif key == "init_args":
            self._parameter(slot, rest, node, at)
        elif key != "dict_kwargs":
            self._parameter(slot, keys, node, at)

    def _arguments(self, slot: Slot, node: yaml.Node, at: Location) -> None:
        for key, child, line in files.items(node):
            self._parameter(slot, key.split("."), child, at.below(key, line))

    def _parameter(self, slot: Slot, keys: Sequence[str], node: yaml.Node, at: Location) -> None:
        owner = self.classes.get(slot)
        signature = owner.signature if owner else None
        if slot in self.texts:
            # A string with keys below it can only be the name of a class.
            self.names.require(self._types(slot), *self.texts[slot])
        if owner is None or signature is None:
            return
        key, *rest = keys
        if key not in signature:
            why = f"{owner.shown} has no parameter '{key}'"
            raise unknown(at, why, key, [name for name in signature if name != "self"])
        types = types_of(signature[key].annotation, signature[key].module)
        if types.classes and not types.is_open:
            self.classes.setdefault((*slot, key), _default_class(signature[key]))
            self._below((*slot, key), rest, node, at)
        elif types.is_simple:
            self._plain(types, rest, node, at)

    def _plain(self, types: Types, rest: Sequence[str], node: yaml.Node, at: Location) -> None:
        """Checks a value of a built-in type."""
        if types.is_open:
            return
        if rest:
            raise unknown(at, f"'{at.keys[-len(rest) - 1]}' is a value without keys", "", [])
        value = files.value_of(node)
        if not accepts(types, value):
            raise at.error(f"expected {types.describe()}, got {_shown(node, value)}")

    def _types(self, slot: Slot) -> Types:
        """Returns the types that a slot takes."""
        if slot[-1] in GROUPS and len(slot) == 1:
            base = find_or_none(GROUPS[slot[-1]])
            return Types(simple=frozenset({"None"}), classes=(base,)) if base else OPEN
        owner = self.classes.get(slot[:-1]) if len(slot) > 1 else None
        parameter = ((owner and owner.signature) or {}).get(slot[-1])
        return types_of(parameter.annotation, parameter.module) if parameter else OPEN

    def _fill(self, slot: Slot, node: yaml.Node, at: Location) -> None:
        """Checks the value of a slot: the name of a class, a mapping, or a list of these."""
        if isinstance(node, yaml.MappingNode):
            self._mapping(slot, node, at)
        elif slot == ("trainer",):
            return  # a file
        elif isinstance(node, yaml.SequenceNode):
            for element in node.value:
                self._fill(slot, element, at.on(element.start_mark.line + 1))
            self.classes[slot] = None
            self.texts.pop(slot, None)
        else:
            self._name_class(slot, node, at, is_class_path=False)

    def _mapping(self, slot: Slot, node: yaml.MappingNode, at: Location) -> None:
        pairs = {key: (child, line) for key, child, line in files.items(node)}
        if slot == ("trainer",) or pairs.keys().isdisjoint(_CLASS_KEYS):
            self._arguments(slot, node, at)
            return
        if "class_path" in pairs:
            child, line = pairs["class_path"]
            self._name_class(slot, child, at.below("class_path", line), is_class_path=True)
            for key in [key for key in pairs if key not in (*_CLASS_KEYS, "__path__")]:
                why = f"next to class_path only init_args and dict_kwargs can stand, not '{key}'"
                raise unknown(at.below(key, pairs[key][1]), why, key, _CLASS_KEYS)
        for key, (child, line) in pairs.items():
            if key not in ("class_path", "dict_kwargs"):
                self._below(slot, key.split("."), child, at.below(key, line))

    def _name_class(self, slot: Slot, node: yaml.Node, at: Location, is_class_path: bool) -> None:
        """Sets the class of a slot, if the value names one."""
        self.classes[slot] = None
        self.texts.pop(slot, None)
        name = files.value_of(node)
        types = self._types(slot)
        if slot == ("model",):
            self.model_name = name if isinstance(name, str) else None
        if not isinstance(name, str):
            if not self.names.accepts(types, name):
                raise at.error(f"expected {types.describe()}, got {_shown(node, name)}")
        elif "${" not in name and not _is_file(name):
            self.classes[slot] = self.names.find(types, name, at, is_class_path)
            if self.classes[slot] is None and "str" in types.simple:
                self.texts[slot] = (name, at)


def _default_class(parameter: Parameter) -> Class | None:
    return named(parameter.module, parameter.default) if parameter.default else None


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml", ".json")) or os.path.exists(name)


def _shown(node: yaml.Node, value: object) -> str:
    is_plain = isinstance(node, yaml.ScalarNode)
    return f"'{shortened(node.value)}'" if is_plain else shortened(value)
