"""`generate`: sample text from a trained language model."""

import argparse
from pathlib import Path

from pipeline.cli.common import (
    EntryPoint,
    Verbs,
    add_model_source,
    add_verb,
    require_at_least,
    require_model_source,
    require_no_fields,
)
from pipeline.errors import InputError
from pipeline.options import Sampling


def add_options(verbs: Verbs) -> None:
    """Adds the verb and its options."""
    verb = add_verb(verbs, run, "generate", "Sample text from a trained language model.")
    add_model_source(verb.add_mutually_exclusive_group())
    verb.add_argument(
        "--prompt", metavar="TEXT", default="", help="Beginning of each text (default: empty)."
    )
    verb.add_argument(
        "--num", metavar="N", type=int, default=5, help="Number of texts (default 5)."
    )
    verb.add_argument(
        "--length",
        metavar="N",
        type=int,
        default=100,
        help="Maximum number of new tokens per text (default 100).",
    )
    verb.add_argument(
        "--lines", metavar="N", type=int, default=1, help="Number of lines per text (default 1)."
    )
    verb.add_argument(
        "--temperature",
        metavar="T",
        type=float,
        default=1.0,
        help="Divisor of the logits (default 1); 0 always takes the most probable token.",
    )
    verb.add_argument(
        "--top-k", metavar="K", type=int, help="Sample from the K most probable tokens only."
    )
    verb.add_argument(
        "--top-p",
        metavar="P",
        type=float,
        help="Sample from the smallest set of tokens with total probability P or more.",
    )
    verb.add_argument(
        "--seed", metavar="N", type=int, default=1, help="Seed of the random numbers (default 1)."
    )
    verb.add_argument(
        "--novel",
        metavar="FILE",
        type=Path,
        help="File of known lines, such as the training text. Known and repeated texts are left "
        "out.",
    )
    verb.add_argument("--allow-unk", action="store_true", help="Allow <unk> in the texts.")


def run(options: argparse.Namespace, fields: list[str], entry: EntryPoint) -> int:
    """Checks the arguments, prints the texts, and returns the exit code."""
    require_no_fields(options, fields)
    require_model_source(options)
    sampling = _sampling(options)
    if options.novel is not None and not options.novel.is_file():
        raise InputError(f"--novel {options.novel}: there is no such file")
    entry.load()
    from pipeline.inference.generate import generate

    return generate(options.run, options.checkpoint, options.prompt, sampling, options.novel)


def _sampling(options: argparse.Namespace) -> Sampling:
    sampling = Sampling(**{name: getattr(options, name) for name in Sampling._fields})
    require_at_least(
        1,
        [
            ("--num", sampling.num),
            ("--length", sampling.length),
            ("--lines", sampling.lines),
            ("--top-k", sampling.top_k),
        ],
    )
    if not 0 <= sampling.temperature < float("inf"):
        raise InputError(f"--temperature must be 0 or more, got {sampling.temperature}")
    if sampling.top_p is not None and not 0 < sampling.top_p <= 1:
        raise InputError(f"--top-p must be above 0 and at most 1, got {sampling.top_p}")
    return sampling
