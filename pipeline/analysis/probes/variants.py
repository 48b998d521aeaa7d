"""A configuration with variants: the settings of each group, each with each of the others."""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pipeline.errors import InputError

SEED, MEAN = "seed", "mean"
"""The group whose settings are averaged, and what their mean is called."""
_KEY = "variants"
_NAME = re.compile(r"\w[\w .-]*")


class Variant(NamedTuple):
    """One of the models to be compared.

    Attributes:
        labels: of each group the setting, as {"encoder": "lstm", "clipping": "clip"}.
        overlays: what is laid over the configuration, in that order.
    """

    labels: dict[str, str]
    overlays: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """Tells it from the others, as "lstm-clip"."""
        return joined(self.labels)


def joined(labels: Mapping[str, str]) -> str:
    """Makes one name of the settings of a variant, for files, runs and metrics."""
    return "-".join(labels.values()).replace(" ", "-")


def read_variants(path: Path) -> tuple[dict[str, Any], list[Variant]]:
    """Reads a configuration with a key `variants`: group -> setting -> what is laid over.

    Args:
        path: of the YAML file.

    Returns:
        The configuration without that key, and each setting of each group with each of the others.

    Raises:
        InputError: there is no such file, or no such key in it, or what stands there is something
            else.
    """
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--config {path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: no YAML: {' '.join(str(error).split())}") from error
    groups = config.pop(_KEY, None) if isinstance(config, dict) else None
    if not isinstance(groups, dict) or not groups:
        raise InputError(
            f"{path}: a key '{_KEY}' is missing, as in configs/probes/agreement.yaml: group -> "
            "setting -> what is laid over the rest; to probe one trained model give --run"
        )
    variants = list(_combined(path, groups))
    if len({variant.name for variant in variants}) < len(variants):
        raise InputError(f"{path}: two variants have one name, since a space counts as '-'")
    return config, variants


def _combined(path: Path, groups: Mapping[str, Any]) -> Iterator[Variant]:
    for group, settings in groups.items():
        if not isinstance(settings, dict) or not settings:
            raise InputError(f"{path}: {_KEY}.{group}: settings with a name each are expected")
        for setting, overlay in settings.items():
            if not (isinstance(setting, str) and _NAME.fullmatch(setting)):
                raise InputError(
                    f"{path}: {_KEY}.{group}: a setting is named by letters, digits, spaces, '.', "
                    f"'_' and '-', since files are named after it, got {setting!r} (in quotes YAML "
                    "takes yes, no, on, off and numbers as names)"
                )
            if (group, setting) == (SEED, MEAN):
                raise InputError(
                    f"{path}: {_KEY}.{group}: '{setting}' is how the mean over seeds is called; "
                    "name the seed otherwise"
                )
            if not isinstance(overlay, dict):
                raise InputError(
                    f"{path}: {_KEY}.{group}.{setting}: a configuration to be laid over is "
                    f"expected, got {overlay!r}"
                )
    for chosen in product(*(settings.items() for settings in groups.values())):
        labels = {group: str(name) for group, (name, _) in zip(groups, chosen, strict=True)}
        yield Variant(labels, [overlay for _, overlay in chosen])
