"""Names of runs and parameters, made from a resolved configuration."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

GROUP_TAG = "unroll.group"
"""Tag whose value, `group_name`, is the same for runs that differ only in seed and name."""

# The hash identifies an experiment, so seed, hardware, output folders and progress output are
# excluded.
TOP_LEVEL_NOT_HASHED = frozenset(
    {
        "checkpoint_every",
        "ckpt_path",
        "config",
        "cuda_graphs",
        "experiment",
        "run_name",
        "seed_everything",
        "upload_last",
    }
)
TRAINER_NOT_HASHED = frozenset(
    {
        "accelerator",
        "default_root_dir",
        "devices",
        "enable_checkpointing",
        "enable_model_summary",
        "enable_progress_bar",
        "log_every_n_steps",
        "logger",
        "num_nodes",
        "num_sanity_val_steps",
        "plugins",
        "profiler",
        "strategy",
    }
)


def flatten(config: Mapping[str, Any]) -> dict[str, str]:
    """Converts a resolved configuration to flags: dotted names and values, in its order.

    A class is a flag (`model.encoder`), and its `init_args` are the level below
    (`model.encoder.hidden_size`). Mappings as values, and lists, are JSON. Each pair is valid as
    `--key value`, except null for an argument two classes deep, which jsonargparse 4.53 does not
    accept. The key `config` (names of the files) is left out.

    Example:
        >>> encoder = {"class_path": "pipeline.encoders.LSTM", "init_args": {"hidden_size": 8}}
        >>> flatten({"model": {"encoder": encoder}})
        {'model.encoder': 'pipeline.encoders.LSTM', 'model.encoder.hidden_size': '8'}
    """
    return {
        key: _text(value)
        for name, child in config.items()
        if name != "config"
        for key, value in _leaves(name, child, inside_class=False)
    }


def _leaves(path: str, value: object, inside_class: bool) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping) and "class_path" in value:
        yield path, value["class_path"]
        for name, child in (value.get("init_args") or {}).items():
            yield from _leaves(f"{path}.{name}", child, inside_class=True)
        for name, child in (value.get("dict_kwargs") or {}).items():
            yield f"{path}.dict_kwargs.{name}", child
    elif isinstance(value, Mapping) and value and not inside_class:
        for name, child in value.items():
            yield from _leaves(f"{path}.{name}", child, inside_class=False)
    else:
        yield path, value


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value}".replace("inf", ".inf").replace("nan", ".nan")  # YAML spelling
    return json.dumps(value, default=str)


def config_hash(config: Mapping[str, Any]) -> str:
    """Returns six hexadecimal digits, equal for configurations of the same experiment.

    `TOP_LEVEL_NOT_HASHED` and `TRAINER_NOT_HASHED` (seed, hardware, output) are excluded.
    """
    kept = {
        key: value
        for key, value in flatten(config).items()
        if key.split(".")[0] not in TOP_LEVEL_NOT_HASHED and not _is_hardware(key)
    }
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:6]


def _is_hardware(key: str) -> bool:
    group, _, rest = key.partition(".")
    return group == "trainer" and rest.split(".")[0] in TRAINER_NOT_HASHED


def run_name(config: Mapping[str, Any]) -> str:
    """Returns a run name such as `lstm-2x200-1a2b3c-s1`: `group_name`, and the seed if set."""
    seed = config.get("seed_everything")
    return f"{group_name(config)}-s{seed}" if type(seed) is int else group_name(config)


def group_name(config: Mapping[str, Any]) -> str:
    """Returns a name such as `lstm-2x200-1a2b3c` or `kneserney-5-1a2b3c` without the seed.

    The parts are: the class of the encoder or smoothing (else of the task), number and size of
    layers or the n-gram order if any, and `config_hash`.
    """
    flags = {name: value for name, value in flatten(config).items() if value != "null"}
    parts = ("model.encoder", "model.smoothing")
    owner = next((part for part in parts if part in flags), "model")
    kind = flags.get(owner, owner).rpartition(".")[2].lower()
    sizes = [f"{owner}.num_layers", f"{owner}.hidden_size"]
    sizes += ["model.order"] if owner == "model.smoothing" else []
    size = "x".join(flags[size] for size in sizes if size in flags)
    return "-".join(part for part in (kind, size, config_hash(config)) if part)
