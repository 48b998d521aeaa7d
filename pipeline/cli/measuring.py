"""The verbs that measure models, and their options."""

import argparse
from pathlib import Path
from typing import Any


def add_measuring_verbs(verbs: "argparse._SubParsersAction[Any]") -> None:
    """Adds `probe` and `parameters`."""
    _add_probe(verbs)
    _add_parameters(verbs)


def _add_probe(verbs: "argparse._SubParsersAction[Any]") -> None:
    text = "how often a language model prefers the verb that agrees with its subject, by distance"
    verb = verbs.add_parser(
        "probe",
        help=text,
        description=f"{text}, in sentences of the built-in grammar. Of one trained model (--run, "
        "--checkpoint), or of all variants of a configuration (--config), which are trained first, "
        "each a run below one that compares them. With --config, fields of a configuration are "
        "flags for all variants.",
    )
    _sources(verb, "a configuration with variants").add_argument(
        "--resume", metavar="RUN", help="go on with the comparison of a killed run"
    )
    verb.add_argument("--verbs", type=int, help="verbs of each range of distances (1000)")
    verb.add_argument(
        "--jobs", type=int, help="trainings at the same time (a GPU each, else a core)"
    )
    verb.add_argument(
        "--output", metavar="DIR", type=Path, help="with --run: folder for table and picture"
    )


def _add_parameters(verbs: "argparse._SubParsersAction[Any]") -> None:
    text = "count the parameters of a model by part, with the formulas of the textbooks"
    verb = verbs.add_parser(
        "parameters",
        help=text,
        description=f"{text}. Nothing is trained; of a configuration the corpus is read, since the "
        "size of its vocabulary counts. With --config, fields of a configuration are flags.",
    )
    _sources(verb, "a configuration; several are laid over each other")
    verb.add_argument("--json", action="store_true", help="for programs")


def _sources(verb: argparse.ArgumentParser, config: str) -> "argparse._MutuallyExclusiveGroup":
    source = verb.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--config", "-c", metavar="FILE", action="append", default=[], type=Path, help=config
    )
    source.add_argument("--run", metavar="RUN", help="a run: id, beginning of an id, or name")
    source.add_argument("--checkpoint", metavar="FILE", type=Path, help="a checkpoint file")
    return source
