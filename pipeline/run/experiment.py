"""From files and flags to a built model and datamodule: LightningCLI, without its trainer."""

import re
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any, Literal, NamedTuple, TypeAlias, cast

import jsonargparse
import torch
import yaml
from jsonargparse.typing import PositiveInt
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from pipeline.contracts import Corpus, Task
from pipeline.errors import InputError
from pipeline.process import configure_process

LINKED = ("vocabulary", "lexicon", "tags", "labels", "problem")
"""Arguments of tasks that come from the data."""
Precision: TypeAlias = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]


class Experiment(NamedTuple):
    """What a configuration describes, built.

    Attributes:
        model: the task, for Lightning.
        task: the task, for tracking.
        data: the datamodule, for Lightning.
        corpus: the datamodule, for tracking.
        trainer: arguments of `Trainer`, with callbacks and plugins built.
        config: the resolved configuration, plain data; as `config.yaml` it gives the same
            experiment again.
    """

    model: LightningModule
    task: Task
    data: LightningDataModule
    corpus: Corpus
    trainer: dict[str, Any]
    config: dict[str, Any]


def build(arguments: Sequence[str]) -> Experiment:
    """Parses and builds an experiment.

    Args:
        arguments: flags, `--config=FILE` among them; later ones override earlier ones.

    Raises:
        InputError: a value does not fit, or a part refuses it.
    """
    configure_process()
    cli = _Parser(list(arguments))
    dumped = cli.parser.dump(cli.config, skip_unset=False)
    return Experiment(
        model=cli.model,
        task=cast(Task, cli.model),
        data=cli.datamodule,
        corpus=cast(Corpus, cli.datamodule),
        trainer={**cli.config_init.trainer, "accelerator": _accelerator(cli.config_init.trainer)},
        config=yaml.safe_load(dumped),
    )


class _Parser(LightningCLI):
    """LightningCLI up to the point where the trainer is built, which needs the tracker."""

    def __init__(self, arguments: list[str]) -> None:
        super().__init__(
            save_config_callback=None,
            subclass_mode_model=True,
            subclass_mode_data=True,
            args=arguments,
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            seed_everything_default=1,
            trainer_defaults={"use_distributed_sampler": False, "num_sanity_val_steps": 0},
            parser_kwargs={
                "exit_on_error": False,
                "allow_abbrev": False,
                "prog": "unroll train",
            },
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """See `LightningCLI`; `pipeline.options.TOP_LEVEL` lists the same options."""
        parser.add_argument(
            "--precision", type=Precision, default="auto", help="auto, or Trainer's precision"
        )
        parser.add_argument(
            "--checkpoint_every", type=PositiveInt, default=200, help="updates between checkpoints"
        )
        parser.add_argument("--experiment", type=str | None, default=None, help="<task>/<corpus>")
        parser.add_argument(
            "--run_name", type=str | None, default=None, help="<encoder>-<hash>-s<seed>"
        )
        for name in LINKED:  # those that the task does not have are left out
            parser.link_arguments(
                "data",
                f"model.init_args.{name}",
                compute_fn=partial(_linked, name=name),
                apply_on="instantiate",
            )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:  # noqa: ANN401
        """See `LightningCLI`."""
        try:
            self.config = parser.parse_args(args)
        except (jsonargparse.ArgumentError, TypeError) as error:
            raise InputError(_one_sentence(str(error))) from error

    def instantiate_classes(self) -> None:
        """Builds the datamodule and the model."""
        _check_pair(self.config.data.class_path, self.config.model.class_path)
        try:
            self.config_init = self.parser.instantiate(self.config)
        except InputError:
            raise
        except (ValueError, TypeError) as error:  # a part's constructor refuses its arguments
            raise (_cause(error) or InputError(_one_sentence(str(error)))) from error
        self.datamodule = self.config_init.data
        self.model = self.config_init.model


def _linked(data: LightningDataModule, name: str) -> Any:  # noqa: ANN401 (of any task)
    # jsonargparse asks for the links of all tasks, and drops those that the chosen one lacks.
    return getattr(data, name, None)


def _cause(error: BaseException | None) -> InputError | None:
    """Finds what we said ourselves below what jsonargparse made of it."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__ or error.__context__
    return error


def _check_pair(data_path: str, task_path: str) -> None:
    """Refuses a task on a corpus of another task."""
    data, task = (_class_at(path) for path in (data_path, task_path))
    wanted = [name for name in LINKED if name in signature(task).parameters]
    missing = [name for name in wanted if not hasattr(data, name)]
    if missing:
        raise InputError(
            f"--data: {data.__name__} has no {' or '.join(missing)}, which {task.__name__} needs: "
            "give the datamodule of this task, or another --model"
        )


def _class_at(path: str) -> type[Any]:
    module, _, name = path.rpartition(".")
    return cast(type[Any], getattr(import_module(module), name))


def _accelerator(trainer: Any) -> Any:  # noqa: ANN401 (a namespace; a name or a built accelerator)
    """Prefers the CPU to Apple's GPU, which has no float64 for the sums of the scores."""
    is_automatic = trainer.accelerator == "auto"
    return "cpu" if is_automatic and not torch.cuda.is_available() else trainer.accelerator


_NOISE = re.compile(
    r"Does not validate|Subtypes:|Errors:|Given value|Expected a <class 'NoneType'>|Parser key|"
    r"Problem with given class_path|Type typing\.|Expected a path but|Expected a dot import path"
)


# The repr of a whole part, whose linked arguments (vectors, say) may fill many lines.
_DUMP = re.compile(r"(Got|Given) value: Namespace\(.*?(?=\n\s*- |\n *(?:Given|Parser)|\Z)", re.S)


def _one_sentence(message: str) -> str:
    """Keeps what a person needs of jsonargparse's message: which flag, what is wrong, what came."""
    message = _DUMP.sub(r"\1 value", message)
    lines = [line.strip(" -") for line in message.splitlines()]
    kept = [re.sub(r"<class '(\w+)'>", r"\1", x) for x in lines if x and not _NOISE.match(x)]
    keys = re.findall(r'Parser key "([\w.]+)"', message)
    value = re.search(r"NestedArg\(key='[^']*', val=(.*)\)", message)
    where = f"--{'.'.join(keys)}: " if keys else ""
    came = f", got {value[1]}" if value else ""
    return where + "; ".join(kept or lines[:1]) + came
