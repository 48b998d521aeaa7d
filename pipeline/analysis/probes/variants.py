"""Configurations with variants: all combinations of the settings of several groups."""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pipeline.errors import InputError
from pipeline.preflight.limits import refuse_bombs

SEED, MEAN = "seed", "mean"
"""The group whose settings are averaged, and the name of the mean."""
_KEY = "variants"
_NAME = re.compile(r"\w[\w .-]*")


class Variant(NamedTuple):
    """One combination of settings.

    Example:
        >>> Variant({"encoder": "lstm", "clipping": "no clip"}, []).name
        'lstm-no-clip'
    """

    labels: dict[str, str]  # group -> setting
    overlays: list[dict[str, Any]]  # configurations that override the base, in that order

    @property
    def name(self) -> str:
        """Unique name, such as "lstm-clip"."""
        return joined(self.labels)


def joined(labels: Mapping[str, str]) -> str:
    """Joins the settings of a variant to a name for files, runs and metrics."""
    return "-".join(labels.values()).replace(" ", "-")


def is_setting(name: str) -> bool:
    """Returns whether a setting can have this name, which becomes part of file names."""
    return _NAME.fullmatch(name) is not None


def read_variants(path: Path) -> tuple[dict[str, Any], list[Variant]]:
    """Reads a configuration with a key `variants`: group -> setting -> overriding configuration.

    Returns the configuration without that key, and all combinations of the groups' settings.
    """
    try:
        text = path.read_text(encoding="utf-8")
        refuse_bombs(text, str(path))
        config = yaml.safe_load(text)
    except OSError as error:
        raise InputError(f"--config {path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: invalid YAML: {' '.join(str(error).split())}") from error
    groups = config.pop(_KEY, None) if isinstance(config, dict) else None
    if not isinstance(groups, dict) or not groups:
        raise InputError(
            f"{path}: the key '{_KEY}' is missing (group -> setting -> configuration, as in "
            "configs/probes/agreement.yaml); to probe one trained model use --run"
        )
    variants = list(_combined(path, groups))
    if len({variant.name for variant in variants}) < len(variants):
        raise InputError(f"{path}: two variants have the same name; a space counts as '-'")
    return config, variants


def _combined(path: Path, groups: Mapping[str, Any]) -> Iterator[Variant]:
    for group, settings in groups.items():
        if not isinstance(settings, dict) or not settings:
            raise InputError(
                f"{path}: {_KEY}.{group}: expected a mapping of setting names to configurations"
            )
        for setting, overlay in settings.items():
            if not (isinstance(setting, str) and is_setting(setting)):
                raise InputError(
                    f"{path}: {_KEY}.{group}: setting names become file names and must consist of "
                    f"letters, digits, spaces, '.', '_' and '-', got {setting!r} (YAML "
                    "needs quotes around the names yes, no, on, off and numbers)"
                )
            if (group, setting) == (SEED, MEAN):
                raise InputError(
                    f"{path}: {_KEY}.{group}: the name '{setting}' is reserved for the mean over "
                    "seeds; rename the setting"
                )
            if not isinstance(overlay, dict):
                raise InputError(
                    f"{path}: {_KEY}.{group}.{setting}: expected an overriding configuration, "
                    f"got {overlay!r}"
                )
    for chosen in product(*(settings.items() for settings in groups.values())):
        labels = {group: str(name) for group, (name, _) in zip(groups, chosen, strict=True)}
        yield Variant(labels, [overlay for _, overlay in chosen])
