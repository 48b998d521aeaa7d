"""`probe`: measure subject-verb agreement in language models."""

import argparse
import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli import common
from pipeline.errors import InputError
from pipeline.options import TOP_LEVEL
from pipeline.preflight import check
from pipeline.tracking.reach import require_store

if TYPE_CHECKING:
    from pipeline.analysis.probes.variants import Variant

_VERBS_PER_RANGE = 1000


def add_options(verbs: common.Verbs) -> None:
    """Adds the verb and its options."""
    verb = common.add_verb(
        verbs,
        run,
        "probe",
        "Measure how often a language model prefers the verb that agrees with its subject.",
        "Results are given by distance between subject and verb, in sentences of the built-in "
        "grammar. Probes one trained model (--run, --checkpoint), or all variants of a "
        "configuration (--config), which are trained first: each variant is a run, and a parent "
        "run compares them. With --config, fields of the configuration are flags for all variants.",
    )
    group = verb.add_mutually_exclusive_group(required=True)
    common.add_config(group, "Configuration file with a key `variants`.")
    common.add_model_source(group)
    common.add_trust(verb)
    common.add_option(group, "--resume RUN", "Interrupted parent run to continue.")
    text = f"Verbs per range of distances (default {_VERBS_PER_RANGE})."
    common.add_option(verb, "--verbs N", text, int)
    common.add_jobs(verb)
    text = "Folder for the table and the figure, with --run or --checkpoint."
    common.add_option(verb, "--output DIR", text, Path)


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Checks the arguments, probes, and returns the exit code."""
    found = checked_variants(options, fields, entry)
    if options.config or options.resume:
        require_store()
    entry.load()
    from pipeline.analysis.probes.agreement import RANGES
    from pipeline.run.groups.variants import probe_model, probe_variants, resume_variants

    per_range = options.verbs or _VERBS_PER_RANGE
    verbs = functools.partial(entry.agreement_verbs, RANGES)
    if options.resume is not None:
        return resume_variants(options.resume, verbs, options.jobs)
    if found is None:
        return probe_model(options.run, options.checkpoint, verbs, per_range, options.output)
    return probe_variants(options.config[0], *found, fields, verbs, per_range, options.jobs)


def checked_variants(
    options: argparse.Namespace, fields: list[str], entry: common.EntryPoint
) -> "tuple[dict[str, Any], list[Variant]] | None":
    """Returns the configuration and its variants, checked; None if a trained model is named."""
    _check_options(options)
    if not options.config:
        if fields:
            raise InputError(f"{fields[0]} needs --config; leave it out")
        return None
    if options.output is not None:
        raise InputError("--output needs --run or --checkpoint; leave it out: runs keep all files")
    if len(options.config) > 1:
        raise InputError("--config is given twice; one configuration with variants is expected")
    from pipeline.analysis.probes.variants import read_variants

    base, variants = read_variants(options.config[0])
    for variant in variants:
        parts = [json.dumps(part) for part in (base, *variant.overlays)]
        check([*(f"--config={part}" for part in parts), *fields], TOP_LEVEL, entry.short_names)
    return base, variants


def _check_options(options: argparse.Namespace) -> None:
    common.require_at_least(1, options, "verbs", "jobs")
    if options.resume is not None and options.verbs is not None:
        raise InputError("--verbs cannot change when a comparison is resumed; leave it out")
    if options.jobs is not None and not options.config and options.resume is None:
        raise InputError("--jobs needs --config or --resume; leave it out")
