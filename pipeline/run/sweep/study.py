"""The trials of a sweep in a database, suggested and pruned by Optuna."""

import contextlib
import logging
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import InputError
from pipeline.options import DIRECTIONS, PRUNERS, SAMPLERS
from pipeline.run.sweep.space import Choices, Range, Space, grid_of
from pipeline.run.sweep.storage import connect_args, refusing_storage
from pipeline.tracking.secrets import redact_address
from pipeline.tracking.store import reason

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

_HEARTBEAT, _GRACE = 60, 180  # seconds


class SweepSettings(NamedTuple):
    """The metric and direction ("min" or "max") of a sweep, and its sampler."""

    metric: str
    direction: str
    sampler: str
    pruner: str
    seed: int

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "SweepSettings":
        """Returns settings that were stored; raises `ValueError` for a wrong one."""
        settings = cls(**data)
        known = {"direction": DIRECTIONS, "sampler": SAMPLERS, "pruner": PRUNERS}
        wrong = [name for name in known if getattr(settings, name) not in known[name]]
        wrong += ["metric"] * (not isinstance(settings.metric, str))
        wrong += ["seed"] * (type(settings.seed) is not int or settings.seed < 0)
        if wrong:
            raise ValueError(f"settings.{wrong[0]} has a wrong value")
        return settings


class Finished(NamedTuple):
    """A trial that has ended; `value` is None if it failed or was pruned."""

    number: int
    state: str
    value: float | None
    params: dict[str, Any]


def require_optuna() -> None:
    """Raises `InputError` if Optuna is not installed."""
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise InputError(
            "`unroll sweep` needs the Python package optuna, which is not installed; install it "
            "with `pip install 'unroll[sweep]'`"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)


class Study:
    """The trials of one sweep.

    A trial is RUNNING from `ask` until `end`, also after the process was killed; `unfinished` are
    those that are to be continued. Heartbeats are written to the database meanwhile. All methods
    raise `InputError` if the database cannot be used, or has trials of another search space.

    Args:
        url: Address of the database.
        name: Name of the study, which is created if missing.
        space: Search space.
        settings: Sampler, pruner and direction.
        is_new: Whether the study is created; else it must exist.
    """

    def __init__(
        self, url: str, name: str, space: Space, settings: SweepSettings, is_new: bool = True
    ) -> None:
        import optuna

        require_optuna()
        self._url, self._name = url, name
        with warnings.catch_warnings(), self._refusing():
            warnings.simplefilter("ignore")  # heartbeats are an experimental feature
            self._storage = optuna.storages.RDBStorage(
                url,
                engine_kwargs={"connect_args": connect_args(url)},
                heartbeat_interval=_HEARTBEAT,
                grace_period=_GRACE,
            )
            if not is_new and name not in optuna.get_all_study_names(self._storage):
                raise InputError(
                    f"--storage {redact_address(url)} has no study {name}; give the address with "
                    "which the sweep began"
                )
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=name,
                direction="minimize" if settings.direction == "min" else "maximize",
                load_if_exists=True,
            )
            # Trials end in a study without sampler, because `GridSampler` calls `study.stop()` at
            # the last one, which raises an error outside of `optimize`.
            self._study.sampler = optuna.samplers.RandomSampler()
            self._source = optuna.load_study(
                study_name=name,
                storage=self._study._storage,  # with its cache of trials
                sampler=_sampler(settings, space, self.num_trials),
                pruner=_pruner(settings.pruner),
            )
        self._space = space
        self._beats: dict[int, float] = {}
        self._trials: dict[int, optuna.trial.Trial] = {}
        self._reported: dict[int, set[int]] = {}

    @property
    def num_trials(self) -> int:
        """Number of trials, whatever their state."""
        with self._refusing():
            return len(self._study.get_trials(deepcopy=False))

    def ask(self) -> tuple[int, dict[str, Any]]:
        """Starts a trial, and returns its number and parameters."""
        with warnings.catch_warnings(), self._refusing():
            warnings.simplefilter("ignore")  # Optuna expects that its own loop writes heartbeats
            return self._suggest(self._source.ask(), ())

    def unfinished(self) -> list[tuple[int, dict[str, Any]]]:
        """Returns the numbers and parameters of trials that were interrupted."""
        from optuna.trial import Trial, TrialState

        with self._refusing():
            return [
                self._suggest(Trial(self._source, one._trial_id), one.intermediate_values)
                for one in self._study.get_trials(deepcopy=False)
                if one.state == TrialState.RUNNING
            ]

    def report(self, number: int, scores: Mapping[int, float]) -> bool:
        """Stores new scores by validation, from 0, and returns whether to prune the trial."""
        trial, known = self._trials[number], self._reported[number]
        new = {step: score for step, score in scores.items() if step not in known}
        with self._refusing():
            for step, score in new.items():
                trial.report(score, step)
            known.update(new)
            return bool(new) and trial.should_prune()

    def beat(self, number: int) -> None:
        """Records that a trial is running, once a minute."""
        now = time.monotonic()
        if now - self._beats.get(number, -_HEARTBEAT) >= _HEARTBEAT:
            self._beats[number] = now
            with self._refusing():
                self._storage.record_heartbeat(self._trials[number]._trial_id)

    def end(self, number: int, value: float | None, is_pruned: bool = False) -> None:
        """Ends a trial with its value; without a value it has failed, or was pruned."""
        from optuna.trial import TrialState

        state = TrialState.PRUNED if is_pruned else TrialState.FAIL
        with self._refusing():
            if value is not None:
                self._study.tell(number, value)
            else:
                self._study.tell(number, state=state)

    def finished(self) -> list[Finished]:
        """Returns the trials that have ended, by number."""
        with self._refusing():
            return [
                Finished(one.number, one.state.name, _value(one), dict(one.params))
                for one in self._study.get_trials(deepcopy=False)
                if one.state.is_finished()
            ]

    def importances(self) -> dict[str, float]:
        """Returns the share of each flag in the variance of the score (PED-ANOVA), largest first.

        Needs at least two completed trials. Source: Watanabe et al. 2023, arXiv 2304.10255.
        """
        from optuna.importance import get_param_importances

        with warnings.catch_warnings(), self._refusing():
            warnings.simplefilter("ignore")  # of few trials
            return dict(get_param_importances(self._study))

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """Converts errors of the database, and of trials that do not fit, to `InputError`."""
        with refusing_storage(self._url):
            try:
                yield
            except InputError:
                raise
            except ValueError as error:
                raise InputError(
                    f"--storage {redact_address(self._url)}: the study {self._name} has trials "
                    f"that do not fit the sweep ({reason(error)}); restore the database, or start "
                    "the sweep again"
                ) from error

    def _suggest(
        self,
        trial: Any,  # noqa: ANN401 (optional package)
        reported: Iterable[int],
    ) -> tuple[int, dict[str, Any]]:
        self._trials[trial.number], self._reported[trial.number] = trial, {*reported}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a range whose last step ends below `high`
            return trial.number, {
                flag: _suggested(trial, flag, values) for flag, values in self._space.items()
            }


def _value(trial: "FrozenTrial") -> float | None:
    return trial.value if trial.state.name == "COMPLETE" else None


def _suggested(trial: Any, flag: str, values: Choices | Range) -> Any:  # noqa: ANN401
    if isinstance(values, Choices):
        return trial.suggest_categorical(flag, values.values)
    if values.is_integer:
        step = values.step or 1
        return trial.suggest_int(flag, values.low, values.high, step=step, log=values.log)
    return trial.suggest_float(flag, values.low, values.high, step=values.step, log=values.log)


def _sampler(settings: SweepSettings, space: Space, done: int) -> "BaseSampler":
    from optuna import samplers

    seed = settings.seed + done  # a resumed sweep would else repeat its first suggestions
    if settings.sampler == "grid":
        return samplers.GridSampler(grid_of(space), seed=settings.seed)
    if settings.sampler == "random":
        return samplers.RandomSampler(seed=seed)
    return samplers.TPESampler(seed=seed)


def _pruner(name: str) -> "BasePruner":
    from optuna import pruners

    if name == "median":
        return pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1)
    return pruners.HyperbandPruner() if name == "hyperband" else pruners.NopPruner()
