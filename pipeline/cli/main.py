"""The command line: verbs, usage errors and exit codes.

Nothing heavy is imported here: `--help` and every usage error answer at once. A verb that trains
or loads a model imports torch and lightning when its arguments have passed `pipeline.preflight`.

Exit codes: 0 done; 1 training failed; 2 a mistake in flags, files or values; 130 Ctrl-C; 143
SIGTERM.
"""

import argparse
import functools
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.cli.arguments import make_parser
from pipeline.console import print_error, print_note, print_result
from pipeline.errors import InputError, TrainingError
from pipeline.process import enable_garbage_collection


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Splits arguments into our own options and the flags that are fields of a configuration."""
    parser = make_parser()
    options, fields = parser.parse_known_args(_spaced(arguments))
    if options.verb is None:
        parser.error("a verb is missing: " + ", ".join(_HANDLERS))
    if fields and options.verb in ("prepare", "runs", "generate", "score", "export"):
        parser.error(f"unknown argument {fields[0]} of `unroll {options.verb}`")
    return options, fields


def _spaced(arguments: Sequence[str]) -> list[str]:
    """Lets `--debug` stand anywhere."""
    rest = [argument for argument in arguments if argument != "--debug"]
    return ["--debug", *rest] if len(rest) < len(arguments) else rest


def _train(options: argparse.Namespace, fields: list[str], known: Sequence[str]) -> int:
    from pipeline.options import training_arguments

    arguments = training_arguments(options.config, options.resume, fields)
    _load(known)
    from pipeline.run.train import train

    return train(arguments, resume=options.resume, and_test=options.verb == "train")


def _crossvalidate(options: argparse.Namespace, fields: list[str], known: Sequence[str]) -> int:
    from pipeline.options import crossvalidation_arguments

    arguments = crossvalidation_arguments(options, fields)
    _load(known)
    from pipeline.run.crossvalidate import crossvalidate

    return crossvalidate(arguments, options.resume, options.folds, options.jobs)


def _evaluate(options: argparse.Namespace, fields: list[str], known: Sequence[str]) -> int:
    from pipeline.options import Dynamics, check_fields, require_model_source

    require_model_source(options)
    check_fields(fields, vars(options))
    dynamics = None if options.verb == "predict" else Dynamics.checked(options)
    _load(known)
    from pipeline.cli.evaluate import evaluate, predict, read_on

    if options.verb == "predict" and options.input:
        return read_on(options, fields)
    if options.verb == "predict":
        return predict(options.run, options.checkpoint, fields, options.output)
    return evaluate(options.verb, options.run, options.checkpoint, fields, dynamics)


def _generate(options: argparse.Namespace, fields: list[str], known: Sequence[str]) -> int:
    from pipeline.options import Sampling, require_model_source

    require_model_source(options)
    sampling = Sampling.checked(options)
    if options.novel is not None and not options.novel.is_file():
        raise InputError(f"--novel {options.novel}: there is no such file")
    _load(known)
    from pipeline.inference.generate import generate

    return generate(options.run, options.checkpoint, options.prompt, sampling, options.novel)


def _score(options: argparse.Namespace, fields: list[str], known: Sequence[str]) -> int:
    from pipeline.inference.output import check_output
    from pipeline.inference.score_request import Request
    from pipeline.options import require_model_source

    require_model_source(options)
    request = Request.checked(options)
    check_output(options.output)
    _load(known)
    from pipeline.cli.score import score

    return score(options.run, options.checkpoint, options.output, request)


def _export(options: argparse.Namespace, fields: list[str], known: Sequence[str]) -> int:
    from pipeline.options import check_arpa_output, require_model_source

    require_model_source(options)
    check_arpa_output(options.output)
    _load(known)
    from pipeline.inference.export import export

    return export(options.run, options.checkpoint, options.output)


def _probe(options: argparse.Namespace, fields: list[str], known: Sequence[str]) -> int:
    from pipeline.analysis.probes.variants import checked_variants

    found = checked_variants(options, fields)
    _load(known)
    from pipeline.analysis.probes import agreement
    from pipeline.cli import probe

    per_range = options.verbs or probe.VERBS_PER_RANGE
    drawn = importlib.import_module("datamodules.language_model.agreement").agreement_probe
    verbs = functools.partial(drawn, agreement.RANGES)
    if options.resume is not None:
        return probe.resume_variants(options.resume, verbs, options.jobs)
    if found is None:
        how = (verbs, per_range, options.output)
        return probe.probe_model(options.run, options.checkpoint, *how)
    return probe.probe_variants(*found, fields, verbs, per_range, options.jobs)


def _parameters(options: argparse.Namespace, fields: list[str], known: Sequence[str]) -> int:
    from pipeline.options import training_arguments

    if not options.config and fields:
        raise InputError(f"{fields[0]} cannot change a model that is trained; leave it out")
    arguments = training_arguments(options.config, None, fields) if options.config else []
    _load(known)
    from pipeline.cli.parameters import print_configuration, print_model

    if arguments:
        return print_configuration(arguments, options.json)
    return print_model(options.run, options.checkpoint, options.json)


def _gradients(options: argparse.Namespace, fields: list[str], known: Sequence[str]) -> int:
    from pipeline.options import (
        GradientRequest,
        check_fields,
        require_model_source,
        training_arguments,
    )

    request = GradientRequest.checked(options)
    if options.config:
        fields = training_arguments(options.config, None, fields)
    else:
        require_model_source(options)
        check_fields(fields, vars(options))
    _load(known)
    from pipeline.cli.gradients import gradients

    return gradients(options.run, options.checkpoint, fields, request)


def _prepare(options: argparse.Namespace, fields: list[str], known: Sequence[str]) -> int:
    prepare = importlib.import_module("datamodules.prepare.command")
    locate = importlib.import_module("datamodules.files.paths")
    folder = options.to / options.corpus if options.to else locate.corpus_folder(options.corpus)
    print_result(str(prepare.prepare(options.corpus, options.source, folder)))
    return 0


def _runs(options: argparse.Namespace, fields: list[str], known: Sequence[str]) -> int:
    from pipeline.tracking.table import list_runs, render, to_json

    if options.limit < 1:
        raise InputError(f"--limit must be at least 1, got {options.limit}")
    rows = list_runs(experiment=options.experiment, limit=options.limit + 1)
    shown = rows[: options.limit]
    print_result(to_json(shown) if options.json else render(shown).rstrip())
    if len(rows) > len(shown):
        print_note(
            f"the latest {options.limit} runs; --limit shows more, --experiment one experiment's"
        )
    return 0


_HANDLERS = {
    "train": _train,
    "fit": _train,
    "crossvalidate": _crossvalidate,
    "validate": _evaluate,
    "test": _evaluate,
    "predict": _evaluate,
    "generate": _generate,
    "score": _score,
    "export": _export,
    "probe": _probe,
    "parameters": _parameters,
    "gradients": _gradients,
    "prepare": _prepare,
    "runs": _runs,
}


def _load(known: Sequence[str]) -> None:
    """Imports the modules whose classes may be named without their path."""
    for module in known:
        importlib.import_module(module)
    enable_garbage_collection()


def main(arguments: Sequence[str] | None = None, known: Sequence[str] = ()) -> int:
    """Runs a verb.

    Args:
        arguments: as after the command's name; `sys.argv[1:]` if omitted.
        known: modules to import before classes are looked up by their short names.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if "" not in sys.path and (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)  # classes of one's own, as `python -m` finds them
    try:
        options, fields = _parse(arguments)
        return _HANDLERS[options.verb](options, fields, known)
    except (InputError, TrainingError) as error:
        if "--debug" in arguments:
            raise
        print_error(str(error))
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        print_error("interrupted")
        return 130
    except BrokenPipeError:  # as of `unroll runs | head`
        return 1
