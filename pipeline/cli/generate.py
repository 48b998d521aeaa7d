"""`generate`: sample text from a trained language model."""

import argparse
import functools
from pathlib import Path

from pipeline.cli import common
from pipeline.errors import InputError
from pipeline.options import Sampling


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    verb = common.add_verb(verbs, run, "generate", "Sample text from a trained language model.")
    common.add_model_source(verb.add_mutually_exclusive_group())
    common.add_trust(verb)
    add = functools.partial(common.add_option, verb)
    add("--prompt TEXT", "Beginning of each text (default: empty).", default="")
    add("--num N", "Number of texts (default 5).", int, 5)
    add("--length N", "Maximum number of new tokens per text (default 100).", int, 100)
    add("--lines N", "Number of lines per text (default 1).", int, 1)
    text = "Divisor of the logits (default 1); 0 always takes the most probable token."
    add("--temperature T", text, float, 1.0)
    add("--top-k K", "Sample from the K most probable tokens only.", int)
    text = "Sample from the smallest set of tokens with total probability P or more."
    add("--top-p P", text, float)
    add("--seed N", "Seed of the random numbers (default 1).", int, 1)
    text = "File of known lines, such as the training text. Known and repeated texts are left out."
    add("--novel FILE", text, Path)
    add("--allow-unk", "Allow <unk> in the texts.")


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Checks the arguments, prints the texts, and returns the exit code."""
    common.require_no_fields(options, fields)
    common.require_model_source(options)
    sampling = _sampling(options)
    if options.novel is not None:
        common.require_file("--novel", options.novel)
    entry.load()
    from pipeline.inference.generate import generate

    return generate(options.run, options.checkpoint, options.prompt, sampling, options.novel)


def _sampling(options: argparse.Namespace) -> Sampling:
    sampling = Sampling(**{name: getattr(options, name) for name in Sampling._fields})
    common.require_at_least(1, options, "num", "length", "lines", "top_k")
    if not 0 <= sampling.temperature < float("inf"):
        raise InputError(f"--temperature must be 0 or more, got {sampling.temperature}")
    if sampling.top_p is not None and not 0 < sampling.top_p <= 1:
        raise InputError(f"--top-p must be above 0 and at most 1, got {sampling.top_p}")
    return sampling
