"""Checkpoints that say what they are: a file alone is enough to use a model again, anywhere."""

import copy
import importlib
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jsonargparse import ArgumentParser
from lightning.pytorch import Callback, LightningModule, Trainer

from pipeline.errors import InputError
from pipeline.text.lexicon import Labels, Lexicon
from pipeline.text.vocabulary import Vocabulary

LANGUAGE_MODELS = ("LanguageModel", "NgramLanguageModel", "MixtureLanguageModel")
"""Tasks that score and generate text: `pipeline.contracts.Generator`."""


class ModelCard(Callback):
    """Writes the resolved configuration into each checkpoint.

    Args:
        config: plain data, as in `config.yaml`.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """See `Callback`."""
        checkpoint["config"] = self.config


_INSIDE = "::"


class Trained(NamedTuple):
    """A trained model, out of a checkpoint alone.

    Attributes:
        model: in evaluation mode, on the CPU.
        data: what the datamodule kept: the words and whatever else its batches are made of.
        config: the configuration that it was trained with.
    """

    model: LightningModule
    data: dict[str, Any]
    config: dict[str, Any]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint that this software wrote.

    Raises:
        InputError: the file is missing, torn, or not one of ours.
    """
    if not path.is_file():
        raise InputError(f"there is no checkpoint file {path}")
    try:
        # Mapped: who only wants the configuration reads no weights, and n-gram tables stay there.
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # the unpickler answers garbage with errors of any kind
        raise InputError(
            f"checkpoint {path} cannot be read, it is torn or of another program; expected a file "
            "written by `unroll train`, so take another checkpoint or train again"
        ) from error
    if not isinstance(checkpoint, dict) or not {"config", "state_dict"} <= checkpoint.keys():
        raise InputError(
            f"{path} is not a checkpoint of this software: it holds no configuration; expected a "
            "file written by `unroll train`"
        )
    return checkpoint


def load_trained(path: Path, *expected_tasks: str) -> Trained:
    """Builds the model of a checkpoint.

    Args:
        path: the checkpoint.
        expected_tasks: class names of tasks, as "LanguageModel", that will do.

    Raises:
        InputError: the file cannot be read, or holds a model of another task.
    """
    return assemble(path, read_checkpoint(path), *expected_tasks)


def assemble(path: Path, checkpoint: dict[str, Any], *expected_tasks: str) -> Trained:
    """Builds the model of a checkpoint that was read; as `load_trained`."""
    config = checkpoint["config"]
    class_path = config["model"]["class_path"]
    task = class_path.rpartition(".")[2]
    if task not in expected_tasks:
        raise InputError(
            f"checkpoint {path} holds a {task}, but this command needs a "
            f"{' or a '.join(expected_tasks)}"
        )
    data = data_state(checkpoint)
    model = _build_model(portable_model(path, checkpoint), _linked(data))
    model.load_state_dict(checkpoint["state_dict"])
    return Trained(model.eval(), data, config)


def portable_model(path: Path, checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Gives the configuration of a model, with nothing in it that the file itself does not hold.

    The members of a mixture are those inside the file, instead of runs that are somewhere else; so
    are the classes of words that were found with vectors.

    Args:
        path: of the checkpoint.
        checkpoint: what it holds.

    Returns:
        A class path and its arguments.
    """
    model: dict[str, Any] = copy.deepcopy(checkpoint["config"]["model"])
    if "members" in checkpoint:
        names = [f"{path}{_INSIDE}{index}" for index in range(len(checkpoint["members"]))]
        model["init_args"]["members"] = names
    head = model["init_args"].get("head")
    if head is not None:
        module, _, name = head["class_path"].rpartition(".")
        portable = getattr(getattr(importlib.import_module(module), name), "portable", None)
    if head is not None and portable is not None:
        weights = {
            key.removeprefix("head."): value
            for key, value in checkpoint["state_dict"].items()
            if key.startswith("head.")
        }
        model["init_args"]["head"] = portable(head, weights)
    return model


def split_member(name: str) -> tuple[Path, int] | None:
    """Takes apart what `portable_model` calls a member; None if it is another name."""
    path, _, index = name.rpartition(_INSIDE)
    return (Path(path), int(index)) if path and index.isdigit() else None


def data_state(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Returns what the datamodule kept in a checkpoint."""
    datamodule = checkpoint["config"]["data"]["class_path"].rpartition(".")[2]
    state: dict[str, Any] = checkpoint[datamodule]
    return state


def _linked(data: dict[str, Any]) -> dict[str, Any]:
    """Gives the arguments of a task that the command line takes from the data."""
    if "vocabulary" in data:
        return {"vocabulary": Vocabulary(data["vocabulary"], data.get("counts"))}
    linked: dict[str, Any] = {"lexicon": Lexicon.from_state(data["lexicon"])}
    if "tags" in data:
        return {**linked, "tags": data["tags"]}
    return {**linked, "labels": Labels.from_state(data["labels"])}


def _build_model(config: dict[str, Any], linked: dict[str, Any]) -> LightningModule:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningModule, "model")
    init_args = {**config["init_args"], **linked}
    parsed = parser.parse_object({"model": {**config, "init_args": init_args}})
    model: LightningModule = parser.instantiate(parsed).model
    return model
