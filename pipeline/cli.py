"""The command line: verbs, usage errors and exit codes.

Nothing heavy is imported here: `--help` and every usage error answer at once. A verb that trains
or loads a model imports torch and lightning when its arguments have passed `pipeline.preflight`.

Exit codes: 0 done; 1 training failed; 2 a mistake in flags, files or values; 130 Ctrl-C; 143
SIGTERM.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.console import complain, show
from pipeline.errors import InputError, TrainingError

_EPILOG = """\
examples:
  unroll prepare ptb                                   fetch and verify the Penn Treebank
  unroll train --config configs/lm/ptb-lstm-small.yaml train, then test the best checkpoint
  unroll train --config C --model.encoder=GRU --trainer.max_epochs=3
  unroll train --resume RUN                            go on after a kill
  unroll crossvalidate --config C                      train and test on each fold
  unroll runs                                          compare runs
  unroll generate --run RUN --prompt "the boys who"    sample text

RUN is a run id, the beginning of one, or a run's name. `unroll VERB --help` tells more; `--debug`
shows the traceback of an error.
"""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence, and that guesses no abbreviation."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 (argparse makes the subparsers)
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> None:  # type: ignore[override]
        raise InputError(f"{message} (see `{self.prog} --help`)")


def _model_source(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--run", metavar="RUN", help="a run: id, beginning of an id, or name")
    source.add_argument("--checkpoint", metavar="FILE", type=Path, help="a checkpoint file")


def _add_configuration(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--config",
        "-c",
        metavar="FILE",
        action="append",
        default=[],
        type=Path,
        help="a configuration; several are laid over each other",
    )
    verb.add_argument("--resume", metavar="RUN", help="go on with a killed run, in the same run")


def _add_crossvalidate(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    text = "train and test on each fold of a corpus: a run a fold, and one that sums them up"
    verb = verbs.add_parser(
        "crossvalidate",
        help=text,
        description=f"{text}. Takes the flags of `train`. With --resume, folds that are finished "
        "stay as they are, and those that were killed go on.",
    )
    _add_configuration(verb)
    verb.add_argument(
        "--folds", type=int, help="how many, for a corpus without folds of its own (10)"
    )
    verb.add_argument(
        "--jobs", type=int, help="trainings at the same time (a GPU each, or a core each)"
    )


def _add_training_verbs(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    for name, text in (
        ("train", "fit, then test the best checkpoint: one run"),
        ("fit", "fit only"),
    ):
        verb = verbs.add_parser(
            name,
            help=text,
            description=f"{text}. Any field of a configuration is a flag: --trainer.max_epochs=3, "
            "--model.encoder=GRU, --model.encoder.hidden_size=650, --data.batch_size=10. "
            "Later files and flags override earlier ones; --print_config shows the result. Beside "
            "trainer, data and model: --seed_everything (1), --precision (auto), --run_name, "
            "--experiment (<task>/<corpus>), --checkpoint_every (200 updates).",
        )
        _add_configuration(verb)
    for name, text in (
        ("validate", "score the validation split with a trained model"),
        ("test", "score the test split with a trained model"),
        ("predict", "write the log-probability of each token of the test split"),
    ):
        verb = verbs.add_parser(
            name,
            help=text,
            description=f"{text}. Flags such as --data.eval_bptt=1 change how the corpus is read.",
        )
        _model_source(verb)
        if name == "predict":
            verb.add_argument("--output", metavar="FILE", type=Path, help="where to write (stdout)")


def _add_generate(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    text = "sample text from a trained model"
    verb = verbs.add_parser("generate", help=text, description=text)
    _model_source(verb)
    verb.add_argument("--prompt", default="", help="the text to go on from")
    verb.add_argument("--num", type=int, default=5, help="how many samples (5)")
    verb.add_argument("--length", type=int, default=100, help="at most so many new tokens (100)")
    verb.add_argument(
        "--temperature", type=float, default=1.0, help="0 is greedy; 1 is the model's own (1)"
    )
    verb.add_argument("--top-k", type=int, default=None, help="only the k likeliest tokens")
    verb.add_argument("--top-p", type=float, default=None, help="only the nucleus of this mass")
    verb.add_argument("--seed", type=int, default=1, help="the same seed gives the same text (1)")
    verb.add_argument("--lines", type=int, default=1, help="stop after so many line ends (1)")
    verb.add_argument("--allow-unk", action="store_true", help="let <unk> be sampled")


def _add_prepare_and_runs(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    verb = verbs.add_parser("prepare", help="fetch (or copy) a corpus, verify it, put it in place")
    verb.add_argument("corpus", help="ptb, wikitext2, conll2000, conll2003 or mpqa")
    verb.add_argument(
        "--from", dest="source", metavar="DIR", type=Path, help="take the files from DIR"
    )
    verb.add_argument(
        "--to", metavar="DIR", type=Path, help="folder of corpora ($UNROLL_DATA, else data)"
    )
    verb = verbs.add_parser("runs", help="a table of the runs, newest first")
    verb.add_argument("--experiment", help="only this experiment, as lm/ptb")
    verb.add_argument("--limit", type=int, default=20, help="at most so many (20)")
    verb.add_argument("--json", action="store_true", help="for programs")


def _parser() -> _Parser:
    parser = _Parser(
        prog="unroll",
        description="Recurrent networks on text: trained with Lightning, tracked with MLflow.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=_Parser)
    _add_training_verbs(verbs)
    _add_crossvalidate(verbs)
    _add_prepare_and_runs(verbs)
    _add_generate(verbs)
    return parser


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Splits arguments into our own options and the flags that are fields of a configuration."""
    parser = _parser()
    options, fields = parser.parse_known_args(_spaced(arguments))
    if options.verb is None:
        parser.error("a verb is missing: " + ", ".join(_HANDLERS))
    if fields and options.verb in ("prepare", "runs", "generate"):
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
    from pipeline.training import train

    return train(arguments, resume=options.resume, and_test=options.verb == "train")


def _crossvalidate(options: argparse.Namespace, fields: list[str], known: Sequence[str]) -> int:
    from pipeline.options import crossvalidation_arguments

    arguments = crossvalidation_arguments(options, fields)
    _load(known)
    from pipeline.crossvalidation import crossvalidate

    return crossvalidate(arguments, options.resume, options.folds, options.jobs)


def _evaluate(options: argparse.Namespace, fields: list[str], known: Sequence[str]) -> int:
    from pipeline.options import check_fields, require_model_source

    require_model_source(options)
    check_fields(fields)
    _load(known)
    from pipeline.evaluation import evaluate, predict

    if options.verb == "predict":
        return predict(options.run, options.checkpoint, fields, options.output)
    return evaluate(options.verb, options.run, options.checkpoint, fields)


def _generate(options: argparse.Namespace, fields: list[str], known: Sequence[str]) -> int:
    from pipeline.options import Sampling, require_model_source

    require_model_source(options)
    sampling = Sampling.checked(options)
    _load(known)
    from pipeline.generation import generate

    return generate(options.run, options.checkpoint, options.prompt, sampling)


def _prepare(options: argparse.Namespace, fields: list[str], known: Sequence[str]) -> int:
    prepare = importlib.import_module("datamodules.prepare")
    locate = importlib.import_module("datamodules.locate")
    folder = options.to / options.corpus if options.to else locate.corpus_folder(options.corpus)
    show(str(prepare.prepare(options.corpus, options.source, folder)))
    return 0


def _runs(options: argparse.Namespace, fields: list[str], known: Sequence[str]) -> int:
    from pipeline.tracking.table import list_runs, render, to_json

    if options.limit < 1:
        raise InputError(f"--limit must be at least 1, got {options.limit}")
    rows = list_runs(experiment=options.experiment, limit=options.limit)
    show(to_json(rows) if options.json else render(rows).rstrip())
    return 0


_HANDLERS = {
    "train": _train,
    "fit": _train,
    "crossvalidate": _crossvalidate,
    "validate": _evaluate,
    "test": _evaluate,
    "predict": _evaluate,
    "generate": _generate,
    "prepare": _prepare,
    "runs": _runs,
}


def _load(known: Sequence[str]) -> None:
    """Imports the modules whose classes may be named without their path."""
    for module in known:
        importlib.import_module(module)


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
        complain(str(error))
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        complain("interrupted")
        return 130
    except BrokenPipeError:  # as of `unroll runs | head`
        return 1
