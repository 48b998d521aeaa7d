"""Reads checkpoints: from a file alone to a model that can be used, on any machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lightning.pytorch import LightningModule

from pipeline.checkpoints.build import build_model, class_at
from pipeline.checkpoints.contents import read_contents
from pipeline.checkpoints.locate import locate
from pipeline.checkpoints.trust import check_names, only_trusted_imports
from pipeline.errors import InputError, shortened
from pipeline.protocols import implements
from pipeline.text.state import check_state


class Trained(NamedTuple):
    """A trained model.

    Attributes:
        model: The task, in evaluation mode, on the CPU.
        data: State of the datamodule: vocabulary, labels, tokenizer.
        config: Configuration that the model was trained with.
        name: What the user called it: a run or a file.
    """

    model: LightningModule
    data: dict[str, Any]
    config: dict[str, Any]
    name: str = ""

    @property
    def unit(self) -> Any:  # noqa: ANN401 (one of `pipeline.text.units.Unit`)
        """Unit of the tokens of a language model: "word" or "character"."""
        return self.data.get("unit", "word")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint; raises `InputError` if it is damaged or from another program."""
    if not path.is_file():
        raise InputError(f"there is no checkpoint file {path}")
    checkpoint = read_contents(path)
    if not isinstance(checkpoint, dict) or not {"config", "state_dict"} <= checkpoint.keys():
        raise InputError(
            f"{path} is not a checkpoint of Unroll: it contains no configuration; expected a file "
            "written by `unroll train`"
        )
    return checkpoint


def load_trained(path: Path, needed: type = LightningModule, kind: str = "a model") -> Trained:
    """Loads the model of a checkpoint; raises `InputError` if it cannot be read or used.

    `needed` is the protocol of `pipeline.contracts` that the task must implement, and `kind` is
    what such a task is called in the error message, such as "a language model".
    """
    return require(assemble(read_checkpoint(path), str(path)), needed, kind)


def load_run(name: str, needed: type = LightningModule, kind: str = "a model") -> Trained:
    """Loads the model of a run or of a checkpoint file, as `load_trained` does."""
    try:
        path = Path(name) if Path(name).is_file() else locate(name, None)
    except InputError as error:
        raise InputError(f"{name} is no checkpoint file, and {error}") from error
    return require(assemble(read_checkpoint(path), name), needed, kind)


def require(trained: Trained, needed: type, kind: str) -> Trained:
    """Returns the model, or raises an `InputError` if it does not implement a protocol."""
    if not implements(trained.model, needed):
        raise InputError(
            f"{trained.name} contains a {type(trained.model).__name__}, but this command needs "
            f"{kind}; name another run or checkpoint"
        )
    return trained


def assemble(checkpoint: Mapping[str, Any], name: str) -> Trained:
    """Builds the model of a checkpoint; `name` is what the user called it.

    Raises `InputError`, before anything is imported, if its configuration names anything else than
    trusted classes.
    """
    check_names(checkpoint["config"], name)
    try:
        with only_trusted_imports():
            return _assemble(checkpoint, name)
    except InputError:
        raise
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = shortened(" ".join(str(error).split()))
        raise InputError(
            f"{name} cannot be rebuilt: its configuration does not fit its contents ({reason}); "
            "expected a file written by `unroll train`"
        ) from error


def _assemble(checkpoint: Mapping[str, Any], name: str) -> Trained:
    spec, data = checkpoint["config"]["model"], data_state(checkpoint)
    try:
        check_state(data)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    task = class_at(spec["class_path"])
    values = {key: read(data) for key, read in getattr(task, "from_data", {}).items()}
    if hasattr(task, "portable"):
        spec = {**spec, "init_args": task.portable(spec["init_args"], checkpoint)}
        values |= {key: spec["init_args"][key] for key in getattr(task, "trained", ())}
    model = build_model(spec, values)
    model.load_state_dict(checkpoint["state_dict"])
    return Trained(model.eval(), data, checkpoint["config"], name)


def data_state(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the state that the datamodule wrote into a checkpoint."""
    datamodule = checkpoint["config"]["data"]["class_path"].rpartition(".")[2]
    if datamodule not in checkpoint:
        task = checkpoint["config"]["model"]["class_path"]
        raise InputError(
            f"the checkpoint of a {task} has no state of its datamodule {datamodule}, which holds "
            "the vocabulary; expected a file written by `unroll train`"
        )
    state: dict[str, Any] = checkpoint[datamodule]
    return state
