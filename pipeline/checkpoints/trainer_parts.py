"""Parts of a Trainer that a run folder from someone else can name, since they write no files."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.checkpoints.build import class_at
from pipeline.checkpoints.trust import is_trusted_by_user
from pipeline.errors import InputError

_OURS = frozenset({"FiniteGuard", "GradientMonitor", "TriggeredAveraging"})
_LIGHTNING = frozenset(
    {
        "DDPStrategy",
        "DeviceStatsMonitor",
        "EMAWeightAveraging",
        "EarlyStopping",
        "GradientAccumulationScheduler",
        "LearningRateMonitor",
        "ModelSummary",
        "PassThroughProfiler",
        "RichModelSummary",
        "RichProgressBar",
        "SingleDeviceStrategy",
        "StochasticWeightAveraging",
        "TQDMProgressBar",
        "ThroughputMonitor",
        "Timer",
        "WeightAveraging",
    }
)


def check_trainer_parts(config: Mapping[str, Any], source: str) -> None:
    """Checks that the section `trainer` of a resolved configuration names no part that can do harm.

    Some callbacks, loggers, profilers and plugins write or remove files at paths in their arguments
    or in their state in the checkpoint, e.g. `ModelCheckpoint`. They must be of a module given by
    `--trust`. `source` is what the user called the run folder. The classes must have been checked
    by `pipeline.checkpoints.trust.check_names`.

    Raises:
        InputError: For the first class that is neither known to be harmless nor trusted.
    """
    for where, name in _names(config.get("trainer") or {}, "trainer"):
        cls = class_at(name)
        known = {"pipeline": _OURS, "lightning": _LIGHTNING}
        allowed = known.get(cls.__module__.partition(".")[0], frozenset[str]())
        if cls.__name__ not in allowed and not is_trusted_by_user(cls.__module__):
            raise InputError(
                f"{source}: {where}: a run folder cannot name {name}, which can write, remove or "
                "send files outside of it; if you trust its author, add "
                f"--trust {cls.__module__}"
            )


def _names(value: object, where: str) -> Iterator[tuple[str, str]]:
    """Yields the place and the name of each class."""
    if isinstance(value, Mapping):
        if isinstance(name := value.get("class_path"), str):
            yield where, name
        for key, each in value.items():
            yield from _names(each, f"{where}.{key}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _names(each, f"{where}[{number}]")
