"""Builds tasks from configurations, and turns jsonargparse's messages into one sentence."""

import contextlib
import copy
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, cast

import jsonargparse
from lightning.pytorch import LightningModule

from pipeline.errors import InputError, shortened


def class_at(path: str) -> type[Any]:
    """Returns the class at a dotted path, such as `tasks.tagging.Tagger`.

    Raises:
        InputError: If there is no such class.
    """
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"the class {path} cannot be imported ({error}); run the command in the folder of its "
            "module, or install the module"
        ) from error
    if not isinstance(found, type):
        raise InputError(f"{path} is not a class; expected the name of a class")
    return cast(type[Any], found)


def build_model(spec: Mapping[str, Any], values: Mapping[str, Any]) -> LightningModule:
    """Builds a task; training and loading both do it here.

    `spec` has the keys `class_path`, `init_args` and `dict_kwargs`. `values` are constructor
    arguments that are no configuration, such as the vocabulary; they replace those of the same
    names in `init_args`. Raises `InputError` if an argument does not fit.
    """
    task = class_at(spec["class_path"])
    settings = {k: v for k, v in (spec.get("init_args") or {}).items() if k not in values}
    settings = copy.deepcopy(settings)  # the parser changes it
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(
        task, "model", skip=set(values), fail_untyped=False, instantiate=False, sub_configs=True
    )
    with one_sentence_errors():
        parsed = parser.parse_object({"model": settings})
        arguments = parser.instantiate(parsed).get("model") or {}
        model: LightningModule = task(**vars(arguments), **values, **spec.get("dict_kwargs", {}))
    return model


@contextlib.contextmanager
def one_sentence_errors() -> Iterator[None]:
    """Raises the errors of jsonargparse and of constructors again as an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except (jsonargparse.ArgumentError, ValueError, TypeError) as error:
        raise (_cause(error) or InputError(_one_sentence(str(error)))) from error


def _cause(error: BaseException | None) -> InputError | None:
    """Returns the `InputError` that jsonargparse wrapped, if there is one."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__ or error.__context__
    return error


_NOISE = re.compile(
    r"Does not validate|Subtypes:|Errors:|Given value|Expected a <class 'NoneType'>|Parser key|"
    r"Problem with given class_path|Type typing\.|Expected a path but|Expected a dot import path"
)
# The repr of a whole part, which may fill many lines.
_DUMP = re.compile(r"(Got|Given) value: Namespace\(.*?(?=\n\s*- |\n *(?:Given|Parser)|\Z)", re.S)


def _one_sentence(message: str) -> str:
    """Keeps the flag, the reason and the value of a message of jsonargparse."""
    message = _DUMP.sub(r"\1 value", message)
    lines = [line.strip(" -") for line in message.splitlines()]
    kept = [re.sub(r"<class '(\w+)'>", r"\1", x) for x in lines if x and not _NOISE.match(x)]
    keys = re.findall(r'Parser key "([\w.]+)"', message)
    value = re.search(r"NestedArg\(key='[^']*', val=(.*)\)", message)
    where = f"--{'.'.join(keys)}: " if keys else ""
    if not kept and (name := re.search(r"dot import path string: (.*)", message)):
        return f"{where}{shortened(name[1])} is no name of a class"
    came = f", got {value[1]}" if value else ""
    return where + "; ".join(kept or lines[:1]) + came
