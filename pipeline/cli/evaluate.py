"""`validate` and `test`: score a trained model on a split of its corpus."""

import argparse

from pipeline.cli.common import (
    EntryPoint,
    Verbs,
    add_model_source,
    add_verb,
    check_overrides,
    require_model_source,
)
from pipeline.errors import InputError
from pipeline.options import Dynamics


def add_options(verbs: Verbs) -> None:
    """Adds the verbs and their options."""
    for name, split in (("validate", "validation"), ("test", "test")):
        verb = add_verb(
            verbs,
            run,
            name,
            f"Score a trained model on the {split} split.",
            "Flags such as --data.eval_bptt=1 change how the corpus is read.",
        )
        add_model_source(verb.add_mutually_exclusive_group())
        group = verb.add_argument_group(
            "dynamic evaluation",
            "Score a language model again, while it learns from the text already scored (Krause\n"
            "  et al. 2018, arXiv 1709.07432). The result is .../perplexity_dynamic.",
        )
        group.add_argument(
            "--dynamic",
            metavar="RATE",
            type=float,
            help="Learning rate; tune it on the validation split.",
        )
        group.add_argument(
            "--dynamic-decay",
            metavar="DECAY",
            type=float,
            default=0.0,
            help="Rate of return to the trained weights, from 0 to 1 (default 0: no return).",
        )
        group.add_argument(
            "--dynamic-steps",
            metavar="N",
            type=int,
            default=20,
            help="Tokens between two updates (default 20).",
        )
        group.add_argument(
            "--dynamic-rms",
            action="store_true",
            help="Divide each gradient by its root mean square over the training split.",
        )


def run(options: argparse.Namespace, fields: list[str], entry: EntryPoint) -> int:
    """Checks the arguments, scores the model, and returns the exit code."""
    require_model_source(options)
    check_overrides(options, fields, entry)
    dynamics = _dynamics(options)
    entry.load()
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
    if steps < 1:
        raise InputError(f"--dynamic-steps must be at least 1, got {steps}")
    return Dynamics(rate, decay, steps, options.dynamic_rms)
