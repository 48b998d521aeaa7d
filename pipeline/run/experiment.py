"""From flags, configuration files and checkpoints to a model, its data and trainer settings."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, cast

import jsonargparse
import yaml
from jsonargparse import ActionConfigFile  # type: ignore[attr-defined]
from jsonargparse.typing import PositiveInt
from lightning.pytorch import LightningDataModule, LightningModule, Trainer, seed_everything
from lightning.pytorch.cli import LightningArgumentParser

from pipeline.checkpoints.build import build_model, class_at, one_sentence_errors
from pipeline.checkpoints.read import Trained
from pipeline.checkpoints.trainer_parts import check_trainer_parts
from pipeline.checkpoints.trust import (
    check_module,
    check_modules,
    check_names,
    only_trusted_imports,
    refuse_functions,
)
from pipeline.contracts import Corpus, ReadsData, ReadsModels, Task
from pipeline.errors import InputError, shortened
from pipeline.mixtures import load_member
from pipeline.preflight import configurations_of, model_class_path
from pipeline.process import configure_process
from pipeline.protocols import implements, missing_members
from pipeline.run.devices import refuse_sharding, usable_accelerator
from pipeline.run.replaced_lists import replaced_lists

if TYPE_CHECKING:
    from pipeline.contracts import CorpusModule, TaskModule

Precision: TypeAlias = Literal["auto", "32-true", "tf32", "bf16-mixed", "16-mixed"]
_STACK = "Exception raised from"  # begins the C++ stack in messages of torch
_MAX_SEED = 2**32 - 1  # of NumPy


class Experiment(NamedTuple):
    """A configuration, built."""

    model: "TaskModule"
    data: "CorpusModule"
    trainer: dict[str, Any]  # arguments of `Trainer`, with callbacks and plugins built
    config: dict[str, Any]  # resolved, plain data; as `config.yaml` it gives the same experiment

    @property
    def group(self) -> str:
        """Name of the MLflow experiment: the flag, the environment variable, or task and corpus."""
        given = self.config["experiment"] or os.environ.get("MLFLOW_EXPERIMENT_NAME")
        return given or f"{self.model.experiment}/{self.data.name}"


def build(arguments: Sequence[str], kept_in: str = "") -> Experiment:
    """Builds the experiment that flags describe; later flags override earlier ones.

    With `kept_in`, what the user calls a run folder that the configuration comes from, the
    configuration can name only trusted classes (`pipeline.checkpoints.trust`), and in the section
    `trainer` only those that write no files (`pipeline.checkpoints.trainer_parts`).
    """
    if not kept_in:
        return _build(arguments, lambda config: refuse_functions(config, "the configuration"))
    if (task := model_class_path(arguments)) is not None and "." in task:
        check_module(task, kept_in)
    for name, text in configurations_of(arguments):
        check_modules(yaml.safe_load(text), name)
    with only_trusted_imports():
        return _build(arguments, lambda config: _check_kept(config, kept_in))


def _check_kept(config: dict[str, Any], kept_in: str) -> None:
    check_names(config, kept_in)
    check_trainer_parts(config, kept_in)


def _build(arguments: Sequence[str], check: Callable[[dict[str, Any]], None]) -> Experiment:
    configure_process()
    parser = _parser(_arguments_from_data(arguments))
    parsed = _parse(parser, arguments)
    config = yaml.safe_load(parser.dump(parsed, skip_unset=False))
    check(config)
    spec = config["model"]
    task = class_at(spec["class_path"])
    del parsed["model"]
    _seed(config)
    data, trainer = _instantiate(parser, parsed)
    values = {**_values_from(data, task), **_models_of(task, spec)}
    with _explain_sizes():
        model = _checked_task(build_model(spec, values))
    return Experiment(model, data, trainer, config)


def with_data(trained: Trained, fields: Sequence[str]) -> Experiment:
    """Returns a trained model together with its data.

    `fields` are flags that change the sections `data` and `trainer` of its configuration. Raises
    `InputError` if the data is not the corpus of training.
    """
    data, trainer, config = load_data(trained, fields)
    return Experiment(_checked_task(trained.model), data, trainer, config)


def load_data(
    trained: Trained, fields: Sequence[str]
) -> tuple["CorpusModule", dict[str, Any], dict[str, Any]]:
    """Builds the datamodule that a model was trained on.

    Returns the datamodule, the arguments of `Trainer`, and the configuration, changed by `fields`.
    Raises `InputError` if the data is not the corpus of training.
    """
    data, trainer, config = build_data(trained, fields)
    data.load_state_dict(trained.data)  # a datamodule refuses the state of another corpus
    return data, trainer, config


def build_data(
    trained: Trained, fields: Sequence[str]
) -> tuple["CorpusModule", dict[str, Any], dict[str, Any]]:
    """Builds the datamodule as `load_data` does, but reads no files of the corpus."""
    check_names(trained.config, trained.name)
    with only_trusted_imports():
        return _build_data(trained, fields)


def _build_data(
    trained: Trained, fields: Sequence[str]
) -> tuple["CorpusModule", dict[str, Any], dict[str, Any]]:
    configure_process()
    parser = _parser(None)
    # The trainer section describes the machine of training, which may be another one.
    sections = {k: v for k, v in trained.config.items() if k not in ("model", "trainer")}
    inline = yaml.safe_dump({**sections, "trainer": {"devices": 1}}, sort_keys=False)
    parsed = _parse(parser, [f"--config={inline}", *fields])
    config = {
        **yaml.safe_load(parser.dump(parsed, skip_unset=False)),
        "model": trained.config["model"],
    }
    check_names(config, trained.name)
    _seed(config)
    data, trainer = _instantiate(parser, parsed)
    return data, trainer, config


def _parser(from_data: set[str] | None) -> LightningArgumentParser:
    """Makes the parser of configurations.

    `from_data` are arguments of the task that come from the data; None for a parser without task.
    """
    parser = LightningArgumentParser(exit_on_error=False, allow_abbrev=False, prog="unroll train")
    parser.add_argument("-c", "--config", action=ActionConfigFile, help="Configuration file.")
    parser.add_argument(
        "--seed_everything", type=bool | int, default=1, help="Random seed; true draws one."
    )
    parser.add_lightning_class_args(Trainer, "trainer")
    parser.set_defaults(
        {"trainer.use_distributed_sampler": False, "trainer.num_sanity_val_steps": 0}
    )
    if from_data is not None:
        parser.add_subclass_arguments(
            LightningModule, "model", fail_untyped=False, required=True, skip=from_data
        )
    parser.add_subclass_arguments(LightningDataModule, "data", fail_untyped=False, required=True)
    # `pipeline.options.TOP_LEVEL` lists the same options.
    parser.add_argument(
        "--precision", type=Precision, default="auto", help="Precision of training."
    )
    parser.add_argument(
        "--cuda_graphs", type=bool, default=True, help="Whether to train by CUDA graphs on a GPU."
    )
    parser.add_argument(
        "--checkpoint_every", type=PositiveInt, default=200, help="Updates between checkpoints."
    )
    parser.add_argument(
        "--experiment", type=str | None, help="MLflow experiment (default: <task>/<corpus>)."
    )
    parser.add_argument(
        "--run_name", type=str | None, help="Run name (default: <encoder>-<hash>-s<seed>)."
    )
    parser.add_argument(
        "--upload_last", type=bool, default=False, help="Whether MLflow stores last.ckpt, too."
    )
    return parser


def _parse(parser: LightningArgumentParser, arguments: Sequence[str]) -> jsonargparse.Namespace:
    with one_sentence_errors(), replaced_lists():
        parsed: jsonargparse.Namespace = parser.parse_args(list(arguments))
    return parsed


def _seed(config: dict[str, Any]) -> None:
    """Seeds all random number generators, and records the seed."""
    seed = config["seed_everything"]
    if seed is False:
        return
    if seed is not True and not 0 <= seed <= _MAX_SEED:
        raise InputError(
            f"--seed_everything must be from 0 to {_MAX_SEED}, got {shortened(seed, limit=30)}"
        )
    config["seed_everything"] = seed_everything(None if seed is True else seed, workers=True)


@contextlib.contextmanager
def _explain_sizes() -> Iterator[None]:
    """Raises torch's errors about the sizes of tensors, or their memory, as `InputError`."""
    try:
        yield
    except (RuntimeError, MemoryError, OverflowError, InputError) as error:
        if isinstance(error, InputError) and _STACK not in str(error):
            raise
        why = shortened(str(error).partition("\n")[0].partition(_STACK)[0]) or "not enough memory"
        raise InputError(
            f"the model cannot be built ({why}); check the sizes in --model, which may be too large"
        ) from error


def _instantiate(
    parser: LightningArgumentParser, parsed: jsonargparse.Namespace
) -> tuple["CorpusModule", dict[str, Any]]:
    """Builds the datamodule, and the parts in the trainer section."""
    with one_sentence_errors():
        built = parser.instantiate(parsed)
    refuse_sharding(built.trainer.strategy)
    trainer = {**built.trainer, "accelerator": usable_accelerator(built.trainer.accelerator)}
    _check(built.data, Corpus, "--data")
    return cast("CorpusModule", built.data), trainer


def _arguments_from_data(arguments: Sequence[str]) -> set[str]:
    """Returns the names of the task's arguments that come from the data."""
    path = model_class_path(arguments)
    if path is not None and "." in path:
        tasks = [class_at(path)]
    else:  # a short name of an imported class, or none
        tasks = [cls for cls in _subclasses(LightningModule) if path in (None, cls.__name__)]
    return {name for task in tasks if implements(task, ReadsData) for name in task.from_data}


def _subclasses(cls: type[Any]) -> list[type[Any]]:
    return [found for child in cls.__subclasses__() for found in (child, *_subclasses(child))]


def _values_from(data: LightningDataModule, task: type[Any]) -> dict[str, Any]:
    """Returns the arguments of a task that come from the data."""
    names = list(task.from_data) if implements(task, ReadsData) else []
    missing = [name for name in names if not hasattr(type(data), name) and name not in vars(data)]
    if missing:
        raise InputError(
            f"--data: {type(data).__name__} has no {' or '.join(missing)}, which {task.__name__} "
            "needs; choose the datamodule of this task, or another --model"
        )
    with one_sentence_errors():
        return {name: getattr(data, name) for name in names}


def _models_of(task: type[Any], spec: Mapping[str, Any]) -> dict[str, list[Trained]]:
    """Loads the trained models that a task's configuration names."""
    if not implements(task, ReadsModels):
        return {}
    given = spec.get("init_args") or {}
    models = {}
    for key in task.trained:
        try:
            models[key] = [load_member(name) for name in given.get(key) or []]
        except InputError as error:
            raise InputError(f"--model.{key}: {error}") from error
    return models


def _checked_task(model: LightningModule) -> "TaskModule":
    _check(model, Task, "--model")
    return cast("TaskModule", model)


def _check(part: object, protocol: type, flag: str) -> None:
    if missing := missing_members(part, protocol):
        raise InputError(
            f"{flag}: {type(part).__name__} has no {', '.join(missing)}; "
            f"pipeline.contracts.{protocol.__name__} describes what is needed"
        )
