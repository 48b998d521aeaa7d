"""Options of verbs as plain values, for the modules that do the work of a verb."""

from pathlib import Path
from typing import NamedTuple

from pipeline.checkpoints.folder import RunFolder, find_local
from pipeline.checkpoints.stored import fetch_run
from pipeline.errors import InputError, shortened

STANDARD_INPUT = "-"
TOP_LEVEL = {
    "precision": "Literal['auto', '32-true', 'tf32', 'bf16-mixed', '16-mixed']",
    "cuda_graphs": "bool",
    "checkpoint_every": "int",
    "experiment": "str | None",
    "run_name": "str | None",
    "upload_last": "bool",
}
"""Fields of a configuration besides `seed_everything`, `trainer`, `model` and `data`."""

SECTIONS = ("trainer", "data", "model", "seed_everything", *TOP_LEVEL)
"""Names with which the flags of fields begin."""
SAMPLERS, PRUNERS = ("tpe", "random", "grid"), ("median", "hyperband", "none")
DIRECTIONS = ("min", "max")

SEEDS_PLAN = "seeds.json"
"""Name of the file that makes a run folder the parent of trainings with several seeds."""
_MAX_SEED, _MOST_SEEDS = 2**32 - 1, 1000  # the former is that of NumPy


def parse_seeds(text: str) -> list[int]:
    """Returns the seeds that a number (how many, from 1) or a list of numbers stands for.

    Raises `InputError` for another text, a seed that occurs twice, or more than 1,000 seeds.

    Example:
        >>> parse_seeds("3"), parse_seeds("7,9"), parse_seeds("7,")
        ([1, 2, 3], [7, 9], [7])
    """
    words = [word.strip() for word in text.strip().removesuffix(",").split(",")]
    if not all(word.isascii() and word.isdigit() and len(word) <= 10 for word in words):
        raise InputError(
            f"--seeds {shortened(text)}: expected a number of seeds, such as 5, or a list of "
            "seeds, such as 1,2,3"
        )
    numbers = [int(word) for word in words]
    if "," not in text:
        if not 1 <= numbers[0] <= _MOST_SEEDS:
            raise InputError(f"--seeds {numbers[0]}: expected from 1 to {_MOST_SEEDS:,} seeds")
        return [*range(1, numbers[0] + 1)]
    if max(numbers) > _MAX_SEED or len({*numbers}) < len(numbers) or len(numbers) > _MOST_SEEDS:
        raise InputError(
            f"--seeds {shortened(text)}: expected at most {_MOST_SEEDS:,} different seeds from 0 "
            f"to {_MAX_SEED}"
        )
    return numbers


class Sampling(NamedTuple):
    """Settings of text sampling."""

    num: int = 5  # samples
    length: int = 100  # maximum number of new tokens per sample
    lines: int = 1  # number of `<eos>` after which a sample ends
    temperature: float = 1.0  # divisor of the logits; 0 is greedy
    top_k: int | None = None  # number of most probable tokens to sample from; None for all
    top_p: float | None = None  # probability of the smallest set to sample from; None for all
    seed: int = 1
    allow_unk: bool = False  # whether `<unk>` can be sampled


class Dynamics(NamedTuple):
    """Settings of dynamic evaluation (Krause et al. 2018, arXiv 1709.07432).

    `rate` and `decay` are eta and lambda in the paper; `steps` is the number of tokens between two
    updates. With `rms` each gradient is divided by its root mean square over the training split.
    """

    rate: float
    decay: float
    steps: int
    rms: bool


class ScoreRequest(NamedTuple):
    """Settings of `score`; `style` is "tsv" or "jsonl".

    With `stream`, each sentence starts from the carry of the previous one.
    """

    source: str
    style: str
    tokens: bool
    stream: bool
    log10: bool
    nbest: bool
    weight: float
    best: bool


class GradientRequest(NamedTuple):
    """Settings of `gradients`; `is_initial` selects an untrained model.

    `lags` is the number of steps back in time. `output` is the folder to write into; None for the
    folder of the run, or `gradients` without a run.
    """

    is_initial: bool
    split: str
    rows: int
    lags: int
    output: Path | None


def resumable(resume: str) -> RunFolder:
    """Returns the folder of an interrupted run; raises `InputError` if it cannot be resumed.

    Files that are not in the outputs folder are downloaded from the tracking store, which has them
    if the run was trained with `--upload_last=true`.
    """
    folder = find_local(resume)
    if folder is not None and folder.config.is_file() and folder.last.is_file():
        return folder
    return fetch_run(resume, folder)
