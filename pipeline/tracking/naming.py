"""Names of runs and of parameters, read off a resolved configuration; no MLflow here."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

# The hash says "the same experiment": not repetitions of it (seeds), not where it was computed
# (hardware), not where its output went, nor what it printed.
TOP_LEVEL_NOT_HASHED = frozenset(
    {"checkpoint_every", "ckpt_path", "config", "experiment", "run_name", "seed_everything"}
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
    """Writes a resolved configuration as the flags that would make it.

    Groups become dots. A class is a flag of its own (`model.encoder`), and its `init_args` stand
    right below it (`model.encoder.hidden_size`). A mapping that is an argument's value, and a list
    (of callbacks, say), are JSON. Each pair is valid as `--key value`, with one exception:
    jsonargparse 4.53 takes no null for an argument two classes deep.

    Args:
        config: The configuration as LightningCLI resolves it; its key `config` (the names of the
            files it came from) is left out, since all they say is in the other keys.

    Returns:
        Dotted names to values, in the configuration's order.
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
        return f"{value}".replace("inf", ".inf").replace("nan", ".nan")  # as YAML spells them
    return json.dumps(value, default=str)


def config_hash(config: Mapping[str, Any]) -> str:
    """Six hexadecimal digits that are the same for configurations of the same experiment.

    Left out are `TOP_LEVEL_NOT_HASHED` and, of the Trainer, `TRAINER_NOT_HASHED`: the seed, the
    hardware and the output.
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
    """The name of a run: `lstm-2x200-1a2b3c-s1`, `kneserney-5-1a2b3c-s1`.

    The parts are the class of the encoder or smoothing (the task's, if it has neither), the
    encoder's number of layers and their size or the smoothing's order where it has them,
    `config_hash`, and the seed if one is set.
    """
    flags = {name: value for name, value in flatten(config).items() if value != "null"}
    parts = ("model.encoder", "model.smoothing")
    owner = next((part for part in parts if part in flags), "model")
    kind = flags.get(owner, owner).rpartition(".")[2].lower()
    sizes = [f"{owner}.num_layers", f"{owner}.hidden_size"]
    sizes += ["model.order"] if owner == "model.smoothing" else []
    size = "x".join(flags[size] for size in sizes if size in flags)
    seed = flags.get("seed_everything", "null")
    suffix = f"s{seed}" if seed.isdigit() else ""
    return "-".join(part for part in (kind, size, config_hash(config), suffix) if part)
