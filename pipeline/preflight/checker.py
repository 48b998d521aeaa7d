"""Walks through flags and configuration files in the order in which the parser takes them."""

import ast
import difflib
import os
from collections.abc import Mapping, Sequence

import yaml

from pipeline.errors import InputError
from pipeline.preflight import files
from pipeline.preflight.classes import (
    Class,
    Parameter,
    class_names,
    find_class,
    find_or_none,
    named,
    subclasses,
)
from pipeline.preflight.complaints import Spot, missing_class, no_such_class, unknown
from pipeline.preflight.flags import Flag, next_flag
from pipeline.preflight.modules import MissingNameError
from pipeline.preflight.values import OPEN, Types, accepts, types_of

OWN_PACKAGES = (
    "pipeline.encoders",
    "pipeline.heads",
    "pipeline.ngrams",
    "pipeline.inputs",
    "pipeline.decoders",
    "pipeline.schedules",
    "pipeline.callbacks",
    "pipeline.synthetic",
    "tasks",
    "datamodules",
)
_GROUPS = {
    "model": "lightning.pytorch.core.module.LightningModule",
    "data": "lightning.pytorch.core.datamodule.LightningDataModule",
}
_TRAINER = "lightning.pytorch.trainer.trainer.Trainer"
_SPEC = ("class_path", "init_args", "dict_kwargs")
# Packages whose classes cannot make classes of a user known by their short names.
_QUIET = frozenset({"torch", "lightning", "torchmetrics"})

Slot = tuple[str, ...]


def check(
    arguments: Sequence[str],
    options: Mapping[str, str],
    defaults: Mapping[str, str] | None = None,
    packages: Sequence[str] = OWN_PACKAGES,
) -> None:
    """Checks flags and the configuration files that they name.

    What cannot be told from source text passes.

    Args:
        arguments: flags as after the verb, `--config FILE` among them; later ones override.
        options: top-level options beside `seed_everything`, `trainer`, `model` and `data`, each
            with its annotation as text, as `{"checkpoint.every_n_steps": "int | None"}`.
        defaults: class path of `model` and of `data` where neither a file nor a flag gives one.
        packages: packages and modules whose classes may be named without their path.

    Raises:
        InputError: the first mistake, in one sentence.
    """
    checker = _Checker(options, defaults or {}, tuple(packages))
    queue = list(arguments)
    while queue:
        flag = next_flag(queue)
        if flag.asks_for_help:
            return
        checker.take(flag)


def model_class_path(
    arguments: Sequence[str], packages: Sequence[str] = OWN_PACKAGES
) -> str | None:
    """Returns the path of the class that flags and configuration files name for `model`.

    Later arguments override earlier ones. A class that cannot be read as text (compiled, or defined
    conditionally) is returned as it was written.

    Args:
        arguments: Flags after the verb, including `--config FILE`.
        packages: Packages and modules whose classes may be named without their path.

    Returns:
        The dotted path of the module that defines the class and its name, such as
        `tasks.tagging.Tagger`, or None if no class is named.

    Raises:
        InputError: If a file cannot be read, or a class or a parameter of it does not exist.
    """
    checker = _Checker(None, {}, tuple(packages))
    queue = list(arguments)
    while queue:
        flag = next_flag(queue)
        if not flag.asks_for_help:
            checker.take(flag)
    found = checker.classes.get(("model",))
    return found.path if found else checker.model_name


class _Checker:
    """Knows which class stands where, as far as the arguments were read.

    A place is the keys that lead to it, without `init_args`: `("model", "encoder")`. A class of
    None means that anything may follow.
    """

    def __init__(
        self,
        options: Mapping[str, str] | None,
        defaults: Mapping[str, str],
        packages: tuple[str, ...],
    ) -> None:
        # None: only `model` is checked.
        self.options = None if options is None else {"seed_everything": "bool | int", **options}
        self.model_name: str | None = None
        self.packages = packages
        self.classes: dict[Slot, Class | None] = {("trainer",): find_or_none(_TRAINER)}
        self.classes |= {(group,): find_or_none(path) for group, path in defaults.items()}
        # Whether modules were named whose import may make any short name known.
        self.is_foreign = False

    def take(self, flag: Flag) -> None:
        """Checks one flag."""
        if flag.name == "config" and flag.value is not None:
            self._config(flag.value)
            return
        if flag.name == "print_config":
            return
        name = flag.name.removesuffix("+")
        spot = Spot(flag=f"--{name}", keys=tuple(name.split(".")))
        self._top(name, files.parse("null" if flag.value is None else flag.value), spot)
        if flag.value is None:
            raise InputError(f"flag --{flag.name} has no value; write --{flag.name}=VALUE")

    def _config(self, value: str) -> None:
        inline = files.parse(value)
        if "://" in value:
            self.classes = {("trainer",): self.classes["trainer",], **dict.fromkeys(_group_slots())}
            self.is_foreign = True
        elif isinstance(inline, yaml.MappingNode) and not os.path.exists(value):
            self._file(inline, Spot(flag="--config", keys=()))
        else:
            self._file(files.read(value), Spot(file=value, keys=()))

    def _file(self, node: yaml.Node, spot: Spot) -> None:
        for key, child, line in files.items(node):
            if key != "config":
                self._top(key, child, spot.at(key, line))

    def _top(self, name: str, node: yaml.Node, spot: Spot) -> None:
        key, *rest = name.split(".")
        if self.options is None and key != "model":
            return
        if self.options is None or key in (*_GROUPS, "trainer"):
            self._below((key,), rest, node, spot)
            return
        option = next((o for o in self.options if name == o or name.startswith(f"{o}.")), None)
        if option is not None:
            types = types_of(ast.parse(self.options[option], mode="eval").body, None)
            self._plain(types, name.split(".")[option.count(".") + 1 :], node, spot)
        elif any(o.startswith(f"{name}.") for o in self.options):
            for inner, child, line in files.items(node):
                self._top(f"{name}.{inner}", child, spot.at(inner, line))
        else:
            known = ["trainer", *_GROUPS, *self.options]
            wrong = name if any(o.startswith(f"{key}.") for o in known) else key
            raise unknown(spot, f"there is no option or group '{wrong}'", wrong, known)

    def _below(self, slot: Slot, keys: Sequence[str], node: yaml.Node, spot: Spot) -> None:
        """Checks what stands at keys below a place that holds an instance of a class."""
        if not keys:
            self._fill(slot, node, spot)
            return
        key, *rest = keys
        if key == "class_path":
            self._name_class(slot, node, spot, certain=True)
        elif key == "init_args" and not rest:
            self._arguments(slot, node, spot)
        elif key == "init_args":
            self._parameter(slot, rest, node, spot)
        elif key != "dict_kwargs":
            self._parameter(slot, keys, node, spot)

    def _arguments(self, slot: Slot, node: yaml.Node, spot: Spot) -> None:
        for key, child, line in files.items(node):
            self._parameter(slot, key.split("."), child, spot.at(key, line))

    def _parameter(self, slot: Slot, keys: Sequence[str], node: yaml.Node, spot: Spot) -> None:
        owner = self.classes.get(slot)
        signature = owner.signature if owner else None
        if owner is None or signature is None:
            return
        key, *rest = keys
        if key not in signature:
            why = f"{owner.shown} has no parameter '{key}'"
            raise unknown(spot, why, key, [name for name in signature if name != "self"])
        types = types_of(signature[key].annotation, signature[key].module)
        if types.classes and not types.is_open:
            self.classes.setdefault((*slot, key), _default_class(signature[key]))
            self._below((*slot, key), rest, node, spot)
        elif types.is_simple:
            self._plain(types, rest, node, spot)

    def _plain(self, types: Types, rest: Sequence[str], node: yaml.Node, spot: Spot) -> None:
        """Checks a number, a truth value, a string or one of a few words."""
        if types.is_open:
            return
        if rest:
            raise unknown(spot, f"'{spot.keys[-len(rest) - 1]}' is a value without keys", "", [])
        value = files.value_of(node)
        if not accepts(types, value):
            raise spot.error(f"expected {types.describe()}, got {_shown(node, value)}")

    def _types(self, slot: Slot) -> Types:
        """Returns what a place takes."""
        if slot[-1] in _GROUPS and len(slot) == 1:
            base = find_or_none(_GROUPS[slot[-1]])
            return Types(simple=frozenset({"None"}), classes=(base,)) if base else OPEN
        owner = self.classes.get(slot[:-1]) if len(slot) > 1 else None
        parameter = ((owner and owner.signature) or {}).get(slot[-1])
        return types_of(parameter.annotation, parameter.module) if parameter else OPEN

    def _fill(self, slot: Slot, node: yaml.Node, spot: Spot) -> None:
        """Checks what stands for an instance: a class's name, a mapping, a list of these."""
        if isinstance(node, yaml.MappingNode):
            self._mapping(slot, node, spot)
        elif slot == ("trainer",):
            return  # a file
        elif isinstance(node, yaml.SequenceNode):
            for element in node.value:
                self._fill(slot, element, spot.on(element.start_mark.line + 1))
            self.classes[slot] = None
        else:
            self._name_class(slot, node, spot, certain=False)

    def _mapping(self, slot: Slot, node: yaml.MappingNode, spot: Spot) -> None:
        pairs = {key: (child, line) for key, child, line in files.items(node)}
        if slot == ("trainer",) or pairs.keys().isdisjoint(_SPEC):
            self._arguments(slot, node, spot)
            return
        if "class_path" in pairs:
            child, line = pairs["class_path"]
            self._name_class(slot, child, spot.at("class_path", line), certain=True)
            for key in [key for key in pairs if key not in (*_SPEC, "__path__")]:
                why = f"beside class_path stand init_args and dict_kwargs only, not '{key}'"
                raise unknown(spot.at(key, pairs[key][1]), why, key, _SPEC)
        for key, (child, line) in pairs.items():
            if key not in ("class_path", "dict_kwargs"):
                self._below(slot, key.split("."), child, spot.at(key, line))

    def _name_class(self, slot: Slot, node: yaml.Node, spot: Spot, certain: bool) -> None:
        """Notes which class stands at a place.

        Args:
            slot: the place.
            node: the class's name, or anything else.
            spot: where that is written.
            certain: whether it can only be a class's name.
        """
        self.classes[slot] = None
        name = files.value_of(node)
        if slot == ("model",):
            self.model_name = name if isinstance(name, str) else None
        if not isinstance(name, str) or "${" in name or _is_file(name):
            return
        types = self._types(slot)
        if "." in name:
            self._path(slot, name, spot, certain or types.takes_class_names)
        else:
            self._short_name(slot, name, spot, types)

    def _path(self, slot: Slot, name: str, spot: Spot, certain: bool) -> None:
        top = name.split(".")[0]
        if top not in _QUIET and not any(p.split(".")[0] == top for p in self.packages):
            self.is_foreign = True
        try:
            self.classes[slot] = find_class(name)
        except MissingNameError as error:
            if certain:
                raise missing_class(spot, name, error) from None

    def _short_name(self, slot: Slot, name: str, spot: Spot, types: Types) -> None:
        found = self._subclasses(types, [name])
        if found:
            self.classes[slot] = found[0] if len(found) == 1 else None
        elif types.takes_class_names and not self.is_foreign:
            names = [n for base in types.classes for n in class_names(base, self.packages)]
            near = difflib.get_close_matches(name, names, n=5)
            own = any(b.path.startswith(p) for b in types.classes for p in self.packages)
            known = self._subclasses(types, near) or (self._subclasses(types, names) if own else [])
            concrete = [c for c in known if not c.is_abstract and c not in types.classes]
            # All of our own classes are known here; of others a user may know more.
            if own or concrete:
                raise no_such_class(spot, name, concrete)

    def _subclasses(self, types: Types, names: Sequence[str]) -> list[Class]:
        found = [c for base in types.classes for c in subclasses(base, self.packages, names)]
        return list({c.path: c for c in found}.values())


def _group_slots() -> list[Slot]:
    return [(group,) for group in _GROUPS]


def _default_class(parameter: Parameter) -> Class | None:
    return named(parameter.module, parameter.default) if parameter.default else None


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml", ".json")) or os.path.exists(name)


def _shown(node: yaml.Node, value: object) -> str:
    return f"'{node.value}'" if isinstance(node, yaml.ScalarNode) else str(value)
