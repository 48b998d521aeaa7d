"""Shared by verbs: the parser, the entry point, and options of several verbs."""

import argparse
import difflib
import functools
import importlib
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeAlias

from pipeline.errors import InputError
from pipeline.options import SECTIONS, TOP_LEVEL
from pipeline.preflight import check, find_configuration
from pipeline.process import enable_garbage_collection

if TYPE_CHECKING:
    from pipeline.analysis.probes.agreement import Verb

_SECTIONS = (*SECTIONS, "print_config")

CONFIG_HELP = "Configuration file. Can be repeated: later files override earlier ones."


class EntryPoint(NamedTuple):
    """The tasks and datamodules that verbs work with; `pipeline` itself does not import them.

    `prepare` takes the name of a corpus, the folder that contains its files (None: download) and
    the folder of all corpora (None: the default); it returns a report. `agreement_verbs` takes the
    smallest distance of each range and the number of verbs per range.
    """

    short_names: Sequence[str]  # modules whose classes can be named without their path
    prepare: Callable[[str, Path | None, Path | None], str]
    agreement_verbs: "Callable[[Sequence[int], int], Sequence[Verb]]"

    def load(self) -> None:
        """Imports the modules with short names, and with them torch and Lightning."""
        for module in self.short_names:
            importlib.import_module(module)
        enable_garbage_collection()


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `InputError` and accepts no abbreviated flags."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 (argparse makes the subparsers)
        formatter = functools.partial(argparse.RawDescriptionHelpFormatter, max_help_position=26)
        super().__init__(allow_abbrev=False, formatter_class=formatter, **settings)

    def error(self, message: str) -> NoReturn:
        """Raises the message as an `InputError`."""
        raise InputError(f"{message} (see `{self.prog} --help`)")

    def flags(self) -> list[str]:
        """Returns the long flags of this parser."""
        return [flag for flag in self._option_string_actions if flag.startswith("--")]

    def without_values_of_switches(self, arguments: Sequence[str]) -> list[str]:
        """Returns the arguments without "true" after a switch, and without switches that are false.

        `mlflow run -P markdown=true` becomes `--markdown true`.

        Example:
            >>> parser = Parser()
            >>> _ = parser.add_argument("--json", action="store_true")
            >>> parser.without_values_of_switches(["--json", "true", "a"])
            ['--json', 'a']
            >>> parser.without_values_of_switches(["--json", "false", "a"])
            ['a']
        """
        switches = {
            flag for flag, action in self._option_string_actions.items() if action.nargs == 0
        }
        kept: list[str] = []
        for argument in arguments:
            if kept and kept[-1] in switches and argument.lower() in ("true", "false"):
                if argument.lower() == "false":
                    kept.pop()
            else:
                kept.append(argument)
        return kept


Verbs: TypeAlias = "argparse._SubParsersAction[Parser]"
Run: TypeAlias = Callable[[argparse.Namespace, list[str], EntryPoint], int]


def add_verb(
    verbs: Verbs, run: Run, name: str, summary: str, details: str = "", epilog: str = ""
) -> Parser:
    """Adds a verb; `run` checks the options, does the work and returns the exit code.

    The line `summary` is also shown in the list of verbs. `details` are further sentences, and
    `epilog` is text below the options, printed as it is.
    """
    description = f"{summary}\n\n{textwrap.fill(details, 95)}".strip()
    verb = verbs.add_parser(name, description=description, epilog=epilog)
    verb.set_defaults(handler=run, parser=verb)
    return verb


def add_trust(verb: Parser) -> None:
    """Adds `--trust`, which can be given several times."""
    verb.add_argument(
        "--trust",
        metavar="MODULE",
        action="append",
        default=[],
        help="Module whose classes a checkpoint or run folder can name, besides those of Unroll, "
        "torch and Lightning. It is imported. Can be repeated.",
    )


def add_model_source(group: "argparse._ActionsContainer") -> None:
    """Adds `--run` and `--checkpoint`, which name a trained model."""
    text = "Run that trained the model (its id, the beginning of the id, or its name), or a "
    text += "registered model: models:/NAME@ALIAS or models:/NAME/VERSION."
    add_option(group, "--run RUN", text)
    add_option(group, "--checkpoint FILE", "Checkpoint file of the model.", Path)


def add_option(
    group: "argparse._ActionsContainer",
    flag: str,
    text: str,
    kind: Callable[[str], object] = str,
    default: object = None,
    dest: str | None = None,
) -> None:
    """Adds an option with a value, such as "--length N", or a switch, such as "--json"."""
    name, _, metavar = flag.partition(" ")
    if metavar:
        group.add_argument(name, metavar=metavar, help=text, type=kind, default=default, dest=dest)
    else:
        group.add_argument(name, help=text, action="store_true")


class _AppendConfiguration(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        found = find_configuration(str(values))
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), found])


def add_jobs(verb: Parser) -> None:
    """Adds `--jobs`, the number of trainings at the same time."""
    text = "Trainings at the same time (default: one per GPU, else per core)."
    add_option(verb, "--jobs N", text, int)


def add_config(group: "argparse._ActionsContainer", text: str) -> None:
    """Adds `--config`, which can be given several times; its values become paths."""
    group.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        action=_AppendConfiguration,
        default=[],
        help=f"{text} A path, or a name that `unroll configs` lists, such as lm/ptb-kn5.",
    )


def require_model_source(options: argparse.Namespace) -> None:
    """Raises `InputError` if no trained model is named, or its file does not exist."""
    if options.run is None and options.checkpoint is None:
        raise InputError(
            "which model? give --run RUN or --checkpoint FILE (`unroll runs` lists runs)"
        )
    if options.checkpoint is not None and not options.checkpoint.is_file():
        raise InputError(f"there is no checkpoint file {options.checkpoint}")


def require_at_least(minimum: int, options: argparse.Namespace, *names: str) -> None:
    """Raises `InputError` for the first of some options whose value is below the minimum."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < minimum:
            flag = f"--{name.replace('_', '-')}"
            raise InputError(f"{flag} must be at least {minimum}, got {value}")


def require_file(flag: str, file: str | Path) -> None:
    """Raises `InputError` if an input file does not exist or is a folder."""
    if not Path(file).exists():
        raise InputError(f"{flag} {file}: there is no such file")
    if Path(file).is_dir():
        raise InputError(f"{flag} {file} is a folder; expected a text file")


def require_no_fields(options: argparse.Namespace, fields: Sequence[str]) -> None:
    """Raises `InputError` for an argument that a verb without a configuration does not have."""
    _refuse_unknown(options, fields, ())


def configuration_arguments(
    options: argparse.Namespace, fields: Sequence[str], entry: EntryPoint
) -> list[str]:
    """Returns checked arguments of the configuration parser; flags come last and override files."""
    _refuse_unknown(options, fields, _SECTIONS)
    if not options.config and not any(field.startswith("--print_config") for field in fields):
        raise InputError(
            "--config FILE is missing; --config lm/builtin-lstm works without a corpus"
        )
    arguments = [*(f"--config={path}" for path in options.config), *fields]
    check(arguments, TOP_LEVEL, entry.short_names, required=("model", "data"))
    return arguments


def check_overrides(options: argparse.Namespace, fields: Sequence[str], entry: EntryPoint) -> None:
    """Raises `InputError` for flags that do not exist or would change a trained model itself."""
    for field in fields:
        if field.startswith("--model"):
            raise InputError(f"{field} cannot change a model that is trained; leave it out")
    _refuse_unknown(options, fields, _SECTIONS)
    check(list(fields), TOP_LEVEL, entry.short_names)


def _refuse_unknown(
    options: argparse.Namespace, fields: Iterable[str], sections: Sequence[str]
) -> None:
    for field in fields:
        flag = field.partition("=")[0]
        is_flag = flag.startswith("--") or (len(flag) == 2 and flag[0] == "-" and flag[1].isalpha())
        if sections and (not is_flag or flag[2:].partition(".")[0] in sections):
            continue  # a field, or the value of a field
        known = [*options.parser.flags(), *(f"--{section}" for section in sections)]
        first, dot, rest = flag.partition(".")
        near = difflib.get_close_matches(first, known, n=1, cutoff=0.7)
        near = near or [each for each in known if flag[2:] and each.startswith(first)]
        if near:
            raise InputError(f"unknown flag {flag}; did you mean {near[0]}{dot}{rest}?")
        verb = f"unroll {options.verb}"
        raise InputError(f"unknown argument {field} of `{verb}` (see `{verb} --help`)")
