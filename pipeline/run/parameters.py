"""Chooses the settings that are logged as parameters of a run."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch import Trainer

from pipeline.checkpoints.build import class_at
from pipeline.tracking.naming import flatten

ALWAYS = frozenset(
    {
        "seed_everything",
        "precision",
        "trainer.max_epochs",
        "trainer.gradient_clip_val",
        "model",
        "model.encoder",
        "model.encoder.input_size",
        "model.encoder.hidden_size",
        "model.encoder.num_layers",
        "model.encoder.bidirectional",
        "model.encoder.dropout",
        "model.head",
        "model.decoder",
        "model.pooling",
        "model.dropout",
        "model.optimizer",
        "model.optimizer.lr",
        "model.optimizer.weight_decay",
        "model.smoothing",
        "model.order",
        "data",
        "data.corpus",
        "data.batch_size",
        "data.bptt",
    }
)
"""Settings that are compared most, and therefore logged even if they have their defaults."""
_OURS = {"trainer.use_distributed_sampler": "false", "trainer.num_sanity_val_steps": "0"}
_TOP_LEVEL = {
    "cuda_graphs": "true",
    "checkpoint_every": "200",
    "experiment": "null",
    "run_name": "null",
    "upload_last": "false",
}


def relevant_parameters(config: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, str]:
    """Returns the flags in `ALWAYS`, those given as arguments, and those that are no defaults.

    Args:
        config: Resolved configuration.
        arguments: Arguments of the command, such as "--model.encoder=GRU".

    Example:
        >>> encoder = {"class_path": "pipeline.encoders.LSTM",
        ...            "init_args": {"input_size": 8, "skip": "none", "normalize": True}}
        >>> config = {"model": encoder, "trainer": {"max_epochs": 2, "devices": 1}}
        >>> sorted(relevant_parameters(config, ["--trainer.devices=1"]))
        ['model', 'model.input_size', 'model.normalize', 'trainer.devices', 'trainer.max_epochs']
    """
    given = {word[2:].partition("=")[0] for word in arguments if word.startswith("--")}
    defaults = dict(_TOP_LEVEL)
    defaults |= {f"trainer.{key}": text for key, text in _defaults(Trainer).items()} | _OURS
    for section in ("model", "data"):
        defaults |= _nested(section, config.get(section))
    return {
        key: value
        for key, value in flatten(config).items()
        if key in given or (key in ALWAYS and value != "null") or value != defaults.get(key, "null")
    }


def _nested(path: str, value: object) -> dict[str, str]:
    """Returns the defaults of a part and of the parts in it, as flags."""
    if not isinstance(value, Mapping) or "class_path" not in value:
        return {}
    found = {f"{path}.{k}": v for k, v in _defaults(class_at(value["class_path"])).items()}
    for name, child in (value.get("init_args") or {}).items():
        found |= _nested(f"{path}.{name}", child)
    return found


def _defaults(part: type[Any]) -> dict[str, str]:
    """Returns the defaults of a constructor as the texts of `flatten`."""
    found: dict[str, Any] = {}
    for cls in reversed(part.__mro__):
        if "__init__" in vars(cls):
            found |= {
                name: _plain(parameter.default)
                for name, parameter in inspect.signature(cls.__init__).parameters.items()  # type: ignore[misc]
                if parameter.default is not inspect.Parameter.empty
            }
    return {key: text for key, text in flatten(found).items() if "." not in key}


def _plain(value: object) -> object:
    """Returns a default as it is in a resolved configuration."""
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    return list(value) if isinstance(value, tuple) else value
