"""`validate` and `test`: score a trained model on a split of its corpus."""

import argparse
from pathlib import Path

from pipeline.cli import common
from pipeline.errors import InputError
from pipeline.options import Dynamics


def add_options(verbs: common.Verbs) -> None:
    """Adds the verbs and their options."""
    for name, split in (("validate", "validation"), ("test", "test")):
        verb = common.add_verb(
            verbs,
            run,
            name,
            f"Score a trained model on the {split} split.",
            "Flags such as --data.eval_bptt=1 change how the corpus is read.",
        )
        common.add_model_source(verb.add_mutually_exclusive_group())
        common.add_trust(verb)
        if name == "test":
            _add_other_data(verb)
        _add_dynamics(verb)


def _add_other_data(verb: common.Parser) -> None:
    group = verb.add_argument_group("other data than that of training")
    group.add_argument(
        "--on",
        metavar="[NAME=]PATH",
        action="append",
        default=[],
        help="File or folder to score instead of the test split, in the format of the training "
        "data; can be repeated. The scores test/NAME/... are added to the run.",
    )
    text = "File of the word vectors of training, if it has moved, to look up unseen words."
    common.add_option(group, "--vectors FILE", text, Path)


def _add_dynamics(verb: common.Parser) -> None:
    group = verb.add_argument_group(
        "dynamic evaluation",
        "Score a language model again, while it learns from the text already scored (Krause\n"
        "  et al. 2018, arXiv 1709.07432). The result is .../perplexity_dynamic.",
    )
    text = "Learning rate; tune it on the validation split."
    common.add_option(group, "--dynamic RATE", text, float)
    text = "Rate of return to the trained weights, from 0 to 1 (default 0: no return)."
    common.add_option(group, "--dynamic-decay DECAY", text, float, 0.0)
    text = "Tokens between two updates (default 20)."
    common.add_option(group, "--dynamic-steps N", text, int, 20)
    text = "Divide each gradient by its root mean square over the training split."
    common.add_option(group, "--dynamic-rms", text)


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Checks the arguments, scores the model, and returns the exit code."""
    common.require_model_source(options)
    common.check_overrides(options, fields, entry)
    dynamics = _dynamics(options)
    on = getattr(options, "on", [])
    if on and dynamics is not None:
        raise InputError("--dynamic cannot be combined with --on; leave one of them out")
    if not on and getattr(options, "vectors", None) is not None:
        raise InputError("--vectors needs --on; the test split has its vectors")
    entry.load()
    if on:
        from pipeline.run.other_data import evaluate_on, parse_other_data

        others = parse_other_data(on)
        return evaluate_on(options.run, options.checkpoint, others, fields, options.vectors)
    from pipeline.run.evaluate import evaluate

    return evaluate(options.verb, options.run, options.checkpoint, fields, dynamics)


def _dynamics(options: argparse.Namespace) -> Dynamics | None:
    if options.dynamic is None:
        return None
    rate, decay, steps = options.dynamic, options.dynamic_decay, options.dynamic_steps
    if not 0 < rate < float("inf"):
        raise InputError(f"--dynamic is a learning rate above 0, got {rate}")
    if not 0 <= decay <= 1:
        raise InputError(f"--dynamic-decay must be between 0 and 1, got {decay}")
    common.require_at_least(1, options, "dynamic_steps")
    return Dynamics(rate, decay, steps, options.dynamic_rms)
