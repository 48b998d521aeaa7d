"""Dispatches verbs, and turns errors into one sentence and an exit code.

Importing this module imports neither torch nor lightning, so that `--help` and errors in flags
answer at once. A verb imports them after its arguments have been checked.

Exit codes: 0 success; 1 training failed, or an error of the program; 2 an error in flags, files or
values, or of the disk; 130 Ctrl-C; 143 SIGTERM.
"""

import argparse
import contextlib
import difflib
import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.checkpoints.folder import RunFolder
from pipeline.checkpoints.trust import trust
from pipeline.cli import (
    configs,
    crossvalidate,
    demo_page,
    diff,
    evaluate,
    export,
    generate,
    gradients,
    parameters,
    parts,
    predict,
    prepare,
    probe,
    promote,
    report,
    runs,
    score,
    sweep,
    train,
)
from pipeline.cli.common import EntryPoint, Parser
from pipeline.console import is_first_process, print_error, print_note
from pipeline.errors import InputError, TrainingError, os_error_sentence, shortened
from pipeline.tracking.secrets import redact

_VERBS = {
    "prepare a corpus and train": (configs, parts, prepare, train, crossvalidate, sweep),
    "use a trained model": (evaluate, predict, generate, score, demo_page, export, promote),
    "compare and inspect models": (runs, diff, report, parameters, gradients, probe),
}
"""Modules of verbs, grouped as in `unroll --help`."""

_EPILOG = """
examples:
  unroll configs ptb                                   list configurations by name
  unroll parts                                         list encoders and all other parts
  unroll prepare ptb                                   download and verify the Penn Treebank
  unroll train --config lm/ptb-lstm-small              train, then test the best checkpoint
  unroll train --config C --model.encoder=GRU --trainer.max_epochs=3
  unroll train --resume RUN                            continue an interrupted run
  unroll crossvalidate --config C                      train and test on each fold
  unroll sweep --config C --space S                    search for good values of flags
  unroll runs                                          compare runs
  unroll diff RUN RUN                                  parameters and scores that differ
  unroll report RUN RUN ...                            curves, tables and errors on one HTML page
  unroll generate --run RUN --prompt "the boys who"    sample text
  unroll score --run RUN --input sentences.txt         log-probabilities and perplexity
  unroll predict --run RUN --input reviews.txt         tag or classify text
  unroll demo-page --run RUN                           try a model in a browser

RUN is the id of a run, the beginning of the id, the name of the run, or a registered model:
models:/NAME@ALIAS or models:/NAME/VERSION.
`unroll VERB --help` describes a verb. `--debug` shows the traceback of an error.
"""


def make_parser() -> tuple[Parser, Mapping[str, Parser]]:
    """Returns the parser, to which fields of a configuration are unknown, and that of each verb."""
    parser = Parser(
        prog="unroll",
        usage="unroll VERB [OPTIONS]",
        description="Recurrent networks on text: trained with Lightning, tracked with MLflow.",
        add_help=False,
    )
    parser.add_argument("-h", "--help", action="help", help=argparse.SUPPRESS)
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    verbs = parser.add_subparsers(
        prog="unroll", dest="verb", help=argparse.SUPPRESS, parser_class=Parser
    )
    lines = []
    for title, modules in _VERBS.items():
        known = set(verbs.choices)
        for module in modules:
            module.add_options(verbs)
        lines += ["", f"{title}:"]
        for name in verbs.choices:
            if name not in known:
                summary = str(verbs.choices[name].description).splitlines()[0]
                lines.append(f"  {name:<14} {summary}")
    parser.epilog = "\n".join(lines[1:]) + f"\n{_EPILOG}"
    return parser, verbs.choices


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Returns the options of the verb, and the arguments that are fields of a configuration."""
    parser, verbs = make_parser()
    word = next((word for word in arguments if not word.startswith("-")), None)
    if word is not None and word not in verbs:
        near = difflib.get_close_matches(word, verbs, n=1)
        hint = f"; did you mean {near[0]}?" if near else f": expected one of {', '.join(verbs)}"
        raise InputError(f"unknown verb {word}{hint}")
    if word is not None:
        arguments = verbs[word].without_values_of_switches(arguments)
    options, fields = parser.parse_known_args(_debug_first(arguments))
    if options.verb is None:
        text = f"unknown flag {fields[0]}" if fields else f"a verb is missing: {', '.join(verbs)}"
        parser.error(text)
    return options, fields


def _debug_first(arguments: Sequence[str]) -> list[str]:
    """Moves `--debug` to the front, so that it can stand anywhere."""
    rest = [argument for argument in arguments if argument != "--debug"]
    return ["--debug", *rest] if len(rest) < len(arguments) else rest


def _search_current_folder_last(short_names: Sequence[str]) -> None:
    """Moves the current folder to the end of the module search path.

    Modules of the user are found there, but a file such as `tasks.py` hides none of ours. Our own
    packages are imported first, since editable installations are searched even later.
    """
    here = Path.cwd()
    if here == Path(__file__).resolve().parents[2]:
        sys.path.insert(0, str(here))  # our packages are in this folder
        return
    sys.path[:] = [folder for folder in sys.path if folder not in ("", str(here))]
    for package in {name.partition(".")[0] for name in short_names}:
        importlib.import_module(package)
    sys.path.append(str(here))


def main(arguments: Sequence[str] | None, entry: EntryPoint) -> int:
    """Runs a verb and returns the exit code.

    Args:
        arguments: Arguments after the name of the command; `sys.argv[1:]` if None.
        entry: Parts that know our tasks and datamodules.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    _search_current_folder_last(entry.short_names)
    try:
        with _without_empty_run():
            _refuse_unreadable(arguments)
            options, fields = _parse(arguments)
            trust(*getattr(options, "trust", ()))
            code: int = options.handler(options, fields, entry)
        return code
    except KeyboardInterrupt:
        print_error("interrupted")
        return 130
    except BrokenPipeError:  # for example `unroll runs | head`
        return 1
    except Exception as error:
        if "--debug" in arguments:
            print_note(redact("".join(traceback.format_exception(error)).rstrip()))
            return 1
        return _report(error)


@contextlib.contextmanager
def _without_empty_run() -> Iterator[None]:
    """Deletes the run that `mlflow run` has created for this command if nothing was trained in it.

    That is so for verbs that train nothing, for a resume, which continues another run, and for a
    training that is refused. A training begins by making the folder of its run.
    """
    try:
        yield
    finally:
        run_id = os.environ.get("MLFLOW_RUN_ID")
        if run_id and is_first_process() and not RunFolder.of(run_id).path.is_dir():
            from pipeline.tracking.project import discard_project_run

            try:
                discard_project_run(run_id)
            except InputError as error:
                print_note(f"the empty run {run_id} was not deleted: {error}")


def _refuse_unreadable(arguments: Sequence[str]) -> None:
    """Raises `InputError` for an argument that is not UTF-8, which no file of a run can contain.

    Python represents bytes that it cannot decode by surrogates.
    """
    for number, argument in enumerate(arguments, start=1):
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"argument {number} is not UTF-8 ({shortened(ascii(argument))}); write it in "
                "UTF-8, or rename the file that it names"
            ) from None
        if argument.startswith("--") and argument.endswith("=--"):  # argparse would drop it
            raise InputError(
                f"flag {argument.removesuffix('=--')} has the value --; expected another"
            )


def _report(error: Exception) -> int:
    """Prints an error as one sentence and returns the exit code.

    The traceback of an unexpected error is written to a file, which the sentence names.
    """
    if isinstance(error, InputError | TrainingError):
        print_error(redact(str(error)))
        return 2 if isinstance(error, InputError) else 1
    if isinstance(error, OSError):
        print_error(redact(os_error_sentence(error)))
        return 2
    lines = str(error).strip().splitlines() or [""]
    what = f"unexpected {type(error).__name__}: {shortened(redact(lines[0]))}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", prefix="unroll-", suffix=".txt", delete=False
        ) as file:
            file.write(redact("".join(traceback.format_exception(error))))
    except OSError:  # the disk is full, for example
        print_error(f"{what} (`unroll --debug ...` shows the traceback)")
    else:
        print_error(f"{what}; the traceback is in {file.name}; please report it as a bug")
    return 1
