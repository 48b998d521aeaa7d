"""`demo-page`: try a trained model in a browser."""

import argparse

from pipeline.cli import common
from pipeline.errors import InputError


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    verb = common.add_verb(
        verbs,
        run,
        "demo-page",
        "Try a trained model in a browser, on a page of this machine.",
        "Taggers mark spans with their confidence, classifiers show probabilities, and language "
        "models continue a text and show its perplexity. Needs the extra `demo`. Nothing is sent "
        "to any other machine.",
    )
    common.add_model_source(verb.add_mutually_exclusive_group())
    common.add_trust(verb)
    common.add_option(verb, "--port N", "Port (default 7860; 0: any free one).", int, 7860)
    text = "Address at which the page is served (default 127.0.0.1, this machine only). Anyone who "
    text += "can reach another one can use the page."
    common.add_option(verb, "--host ADDRESS", text, default="127.0.0.1")


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Checks the arguments, serves the page until it is interrupted, and returns the exit code."""
    common.require_no_fields(options, fields)
    common.require_model_source(options)
    if not 0 <= options.port <= 65535:
        raise InputError(f"--port must be between 0 and 65535, got {options.port}")
    entry.load()
    from pipeline.inference.demo import serve_page

    return serve_page(options.run, options.checkpoint, options.host, options.port)
