"""`train` and `fit`: train a model in one run."""

import argparse

from pipeline.checkpoints.folder import find_local
from pipeline.cli import common
from pipeline.errors import InputError
from pipeline.options import SEEDS_PLAN, TOP_LEVEL, parse_seeds, resumable
from pipeline.preflight import check
from pipeline.process import end_with_supervisor
from pipeline.tracking.reach import require_store
from pipeline.tracking.registry import check_name

_FIELDS = """\
fields of the configuration (flags override files):
  --model=CLASS           Task; `unroll parts` lists the classes that fields take.
  --model.KEY=VALUE       Argument of the task: --model.encoder=GRU,
                          --model.encoder.hidden_size=650.
  --data.KEY=VALUE        Argument of the datamodule: --data.batch_size=10.
  --trainer.KEY=VALUE     Argument of Lightning's Trainer: --trainer.max_epochs=3.
  --seed_everything=N     Seed of all random numbers (default 1).
  --precision=NAME        auto, 32-true, tf32, bf16-mixed or 16-mixed (default auto).
  --cuda_graphs=BOOL      Whether a GPU repeats recorded steps by itself (default true).
  --experiment=NAME       MLflow experiment (default <task>/<corpus>, such as lm/ptb).
  --run_name=NAME         Name of the run (default: from encoder, settings and seed).
  --checkpoint_every=N    Updates between two checkpoints (default 200).
  --upload_last=BOOL      Whether MLflow stores last.ckpt, too, so that the run can be resumed
                          on another machine (default false).
  --print_config          Print the resulting configuration and exit.
"""
_RESUMABLE = ("--trainer.", "--checkpoint_every", "--cuda_graphs", "--upload_last")


def add_options(verbs: common.Verbs) -> None:
    """Adds the verbs and their options."""
    for name, summary in (
        ("train", "Train a model, then test its best checkpoint, in one run."),
        ("fit", "Train a model without testing it."),
    ):
        verb = common.add_verb(verbs, run, name, summary, epilog=_FIELDS)
        common.add_config(verb, common.CONFIG_HELP)
        common.add_option(verb, "--resume RUN", "Run to continue.")
        text = "With --resume: continue in a new run, whose parent is the other one."
        common.add_option(verb, "--fork", text)
        text = "Name under which MLflow registers the model, with the alias challenger."
        common.add_option(verb, "--register NAME", text)
        if name == "train":
            text = "Number of seeds, or a list such as 1,2,3; each seed has a run of its own. A "
            text += "parent run has means and standard deviations; --resume continues it."
            common.add_option(verb, "--seeds N", text)
            common.add_jobs(verb)
        common.add_trust(verb)
        # See run/groups/children.py.
        verb.add_argument("--kept-in", default="", help=argparse.SUPPRESS)


def run(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    """Checks the arguments, trains, and returns the exit code."""
    end_with_supervisor()
    if options.verb == "train" and (options.seeds is not None or _is_parent(options.resume)):
        return _run_seeds(options, fields, entry)
    if options.verb == "train" and options.jobs is not None:
        raise InputError("--jobs needs --seeds, the trainings that run at the same time")
    if options.fork and options.resume is None:
        raise InputError("--fork needs --resume RUN, the run to continue from")
    if options.register is not None:
        check_name("--register", options.register)
    if options.resume is None:
        arguments = common.configuration_arguments(options, fields, entry)
    else:
        arguments = _resume_arguments(options, fields, entry)
    if not any(field.startswith("--print_config") for field in fields):
        require_store()
    entry.load()
    from pipeline.run.train import train

    and_test = options.verb == "train"
    return train(
        arguments,
        options.resume,
        and_test,
        kept_in=options.kept_in,
        fork=options.fork,
        register=options.register,
    )


def _is_parent(resume: str | None) -> bool:
    """Returns whether a run is the parent of trainings with several seeds."""
    folder = None if resume is None else find_local(resume)
    return folder is not None and (folder.path / SEEDS_PLAN).is_file()


def _run_seeds(options: argparse.Namespace, fields: list[str], entry: common.EntryPoint) -> int:
    common.require_at_least(1, options, "jobs")
    seeds = None if options.seeds is None else parse_seeds(options.seeds)
    for name in ("fork", "register"):
        if getattr(options, name):
            raise InputError(f"--{name} is for one training; leave it out with several seeds")
    if options.resume is not None:
        if given := [f"--config {path}" for path in options.config] + fields:
            raise InputError(
                f"--resume continues the trainings with their own settings; leave {given[0]} out"
            )
        require_store()
        entry.load()
        from pipeline.run.groups.seeds import resume_seeds

        return resume_seeds(options.resume, seeds, options.jobs)
    assert seeds is not None
    if any(field.partition("=")[0] == "--seed_everything" for field in fields):
        raise InputError("--seeds sets the seed of each training; leave --seed_everything out")
    arguments = common.configuration_arguments(options, fields, entry)
    require_store()
    entry.load()
    from pipeline.run.groups.seeds import train_seeds

    return train_seeds(arguments, seeds, options.jobs)


def _resume_arguments(
    options: argparse.Namespace, fields: list[str], entry: common.EntryPoint
) -> list[str]:
    if options.config:
        raise InputError(
            "--resume continues with the run's own configuration; leave --config out (with "
            "`mlflow run`: -e resume -P run=RUN)"
        )
    allowed = (*_RESUMABLE, "--run_name") if options.fork else _RESUMABLE
    for field in fields:
        if field.startswith("--") and not field.startswith(allowed):
            raise InputError(
                f"{field} cannot change when a run is resumed (only {', '.join(allowed)} can); to "
                "change it, start a new run"
            )
    arguments = [f"--config={resumable(options.resume).config}", *fields]
    check(arguments, TOP_LEVEL, entry.short_names)
    return arguments
