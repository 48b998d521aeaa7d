"""What the command line checks before anything heavy is imported."""

import argparse
import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.checkpoints.folder import RunFolder, find_local
from pipeline.errors import InputError
from pipeline.preflight import check

TOP_LEVEL = {
    "precision": "Literal['auto', '32-true', 'bf16-mixed', '16-mixed']",
    "checkpoint_every": "int",
    "experiment": "str | None",
    "run_name": "str | None",
}
"""A configuration's options beside `seed_everything`, `trainer`, `model` and `data`."""

_RESUMABLE = ("--trainer.", "--checkpoint_every")


class Sampling(NamedTuple):
    """How text is sampled.

    Attributes:
        num: samples.
        length: at most so many tokens a sample, the prompt not counted.
        lines: a sample ends at this many `<eos>`.
        temperature: divides the logits; 0 is greedy.
        top_k: only the k likeliest tokens.
        top_p: only the smallest set of tokens that holds this mass.
        seed: of the random numbers.
        allow_unk: whether `<unk>` may be sampled.
    """

    num: int
    length: int
    lines: int
    temperature: float
    top_k: int | None
    top_p: float | None
    seed: int
    allow_unk: bool

    @classmethod
    def checked(cls, options: argparse.Namespace) -> "Sampling":
        """Takes the options of `generate`.

        Raises:
            InputError: a value is out of its range.
        """
        sampling = cls(**{name: getattr(options, name) for name in cls._fields})
        for flag, value in (
            ("--num", sampling.num),
            ("--length", sampling.length),
            ("--lines", sampling.lines),
            ("--top-k", sampling.top_k),
        ):
            if value is not None and value < 1:
                raise InputError(f"{flag} must be at least 1, got {value}")
        if not 0 <= sampling.temperature < float("inf"):
            raise InputError(f"--temperature must be 0 or more, got {sampling.temperature}")
        if sampling.top_p is not None and not 0 < sampling.top_p <= 1:
            raise InputError(f"--top-p must be above 0 and at most 1, got {sampling.top_p}")
        return sampling


class Dynamics(NamedTuple):
    """How a model learns while it is scored.

    Attributes:
        rate: the step's length, eta of Krause et al. (2018, arXiv 1709.07432).
        decay: how fast the trained weights are returned to, lambda there; 0 never returns.
        steps: tokens between two updates.
        rms: divide each gradient by its root mean square in training; else plain gradient descent.
    """

    rate: float
    decay: float
    steps: int
    rms: bool

    @classmethod
    def checked(cls, options: argparse.Namespace) -> "Dynamics | None":
        """Takes the options of `validate` and `test`; None where nothing is to be learned.

        Raises:
            InputError: a value is out of its range.
        """
        if options.dynamic is None:
            return None
        how = cls(
            options.dynamic, options.dynamic_decay, options.dynamic_steps, options.dynamic_rms
        )
        if not 0 < how.rate < float("inf"):
            raise InputError(f"--dynamic is a learning rate above 0, got {how.rate}")
        if not 0 <= how.decay <= 1:
            raise InputError(f"--dynamic-decay must be between 0 and 1, got {how.decay}")
        if how.steps < 1:
            raise InputError(f"--dynamic-steps must be at least 1, got {how.steps}")
        return how


class GradientRequest(NamedTuple):
    """What `gradients` looks at.

    Attributes:
        is_initial: the model of a configuration, untrained.
        split: "train", "valid" or "test".
        rows: of which the mean is taken.
        lags: how many steps to go back.
        output: the folder to write into; the run's own, else `gradients`, if None.
    """

    is_initial: bool
    split: str
    rows: int
    lags: int
    output: Path | None

    @classmethod
    def checked(cls, options: argparse.Namespace) -> "GradientRequest":
        """Takes the options of `gradients`.

        Raises:
            InputError: a value is out of its range, or a model is named in two ways or in none.
        """
        for flag, value in (("--rows", options.rows), ("--lags", options.lags)):
            if value < 1:
                raise InputError(f"{flag} must be at least 1, got {value}")
        is_trained = options.run is not None or options.checkpoint is not None
        if is_trained and options.config:
            raise InputError("--config is for a model that is not trained yet; leave it out")
        if not is_trained and not options.config:
            raise InputError("which model? give --run RUN, --checkpoint FILE or --config FILE")
        if options.output is not None and options.output.is_file():
            raise InputError(f"--output {options.output} is a file; give a folder")
        return cls(bool(options.config), options.split, options.rows, options.lags, options.output)


def training_arguments(
    configs: Sequence[Path], resume: str | None, fields: Sequence[str]
) -> list[str]:
    """Returns the arguments of the configuration parser: files first, so that flags override them.

    Raises:
        InputError: no file, a wrong key or flag, or a flag that a resumed run cannot change.
    """
    if resume is not None:
        return _resume_arguments(configs, resume, fields)
    if not configs and not any(field.startswith("--print_config") for field in fields):
        raise InputError("--config FILE is missing; configs/lm/builtin-lstm.yaml needs no corpus")
    arguments = [f"--config={path}" for path in configs] + list(fields)
    check(arguments, TOP_LEVEL)
    return arguments


def crossvalidation_arguments(options: argparse.Namespace, fields: Sequence[str]) -> list[str]:
    """Takes the options of `crossvalidate`; as `training_arguments`.

    Raises:
        InputError: as `training_arguments`, or a number is out of its range.
    """
    for flag, value, least in (("--jobs", options.jobs, 1), ("--folds", options.folds, 3)):
        if value is not None and value < least:
            raise InputError(f"{flag} must be at least {least}, got {value}")
    if options.resume is None:
        return training_arguments(options.config, None, fields)
    given = [f"--config {path}" for path in options.config] + list(fields)
    if options.folds is not None:
        given.append("--folds")
    if given:
        raise InputError(
            f"--resume goes on with the crossvalidation as it was begun; leave {given[0]} out"
        )
    return []


def _resume_arguments(configs: Sequence[Path], resume: str, fields: Sequence[str]) -> list[str]:
    if configs:
        raise InputError("--resume goes on with the run's own configuration; leave --config out")
    for field in fields:
        if field.startswith("--") and not field.startswith(_RESUMABLE):
            raise InputError(
                f"{field} cannot change when a run is resumed (only --trainer.* and "
                "--checkpoint_every can); for another setting start a new run"
            )
    folder = resumable(resume)
    arguments = [f"--config={folder.config}", *fields]
    check(arguments, TOP_LEVEL)
    return arguments


def resumable(resume: str) -> RunFolder:
    """Finds the folder of a run that is to go on.

    Raises:
        InputError: the run is not on this machine, or was killed before its first checkpoint.
    """
    folder = find_local(resume)
    if folder is None or not folder.config.is_file():
        raise InputError(
            f"no files of a run '{resume}' are in this folder's outputs/; resume where it was "
            "started, or set UNROLL_OUTPUTS (`unroll runs` lists the runs)"
        )
    if not folder.last.is_file():
        raise InputError(
            f"run {folder.run_id} has no checkpoint yet to go on from; start it again with "
            f"--config {folder.config}"
        )
    return folder


def require_model_source(options: argparse.Namespace) -> None:
    """Checks that a trained model is named.

    Raises:
        InputError: neither `--run` nor `--checkpoint` is given, or the file is missing.
    """
    if options.run is None and options.checkpoint is None:
        raise InputError(
            "which model? give --run RUN or --checkpoint FILE (`unroll runs` lists runs)"
        )
    if options.checkpoint is not None and not options.checkpoint.is_file():
        raise InputError(f"there is no checkpoint file {options.checkpoint}")


def check_arpa_output(output: Path) -> None:
    """Checks where a model is to be written.

    Raises:
        InputError: the name is not that of an ARPA file, or its folder is missing.
    """
    if not output.name.endswith((".arpa", ".arpa.gz")):
        raise InputError(
            f"--output {output}: a name that ends in .arpa, or in .arpa.gz to compress it, is "
            "expected"
        )
    if not output.parent.is_dir():
        raise InputError(f"--output {output}: there is no folder {output.parent}; make it first")


def check_fields(fields: Sequence[str], own: Iterable[str] = ()) -> None:
    """Checks flags that change a trained model's own configuration.

    Args:
        fields: the flags.
        own: names of the verb's own flags, one of which may have been meant.

    Raises:
        InputError: a flag does not exist, or would change the model itself.
    """
    for field in fields:
        if field.startswith("--model"):
            raise InputError(f"{field} cannot change a model that is trained; leave it out")
        name = field.partition("=")[0].removeprefix("--")
        if name not in TOP_LEVEL and (near := difflib.get_close_matches(name, list(own), n=1)):
            raise InputError(f"unknown flag --{name}; did you mean --{near[0]}?")
    check(list(fields), TOP_LEVEL)
