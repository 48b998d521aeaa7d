"""Data sets of the Hugging Face hub, by name."""

import hashlib
import re
from pathlib import Path

from pipeline.cache import cached
from pipeline.errors import InputError, shortened

HUB = "hf://"
"""Beginning of the name of a data set of the hub, such as `hf://rotten_tomatoes`."""


def is_on_hub(name: str) -> bool:
    """Returns whether a corpus is given as the name of a data set of the hub.

    Example:
        >>> is_on_hub("hf://conll2002:es"), is_on_hub("conll2002")
        (True, False)
    """
    return name.startswith(HUB)


def short_name(name: str) -> str:
    """Returns the name of a data set without its owner.

    Example:
        >>> short_name("hf://tner/conll2002:es")
        'conll2002-es'
    """
    return Path(name.removeprefix(HUB)).name.replace(":", "-")


def hub_folder(name: str) -> Path:
    """Returns a folder with a Parquet file for each split of a data set.

    The package `datasets` downloads the data set once; the files are kept in the cache. A
    configuration follows the name after a colon. Raises `InputError` if the package is missing or
    cannot load the data set.
    """
    try:
        import datasets
    except ImportError as error:
        raise InputError(
            f"{name} needs the package datasets; install it with `pip install 'unroll[hub]'`"
        ) from error

    path, _, configuration = name.removeprefix(HUB).partition(":")

    def download(folder: Path) -> None:
        try:
            loaded = datasets.load_dataset(path, configuration or None)
            for split, part in loaded.items():
                part.to_parquet(folder / f"{split}.parquet")
        except Exception as error:  # the package and its dependencies have dozens of errors
            why = shortened(" ".join(str(error).split()) or type(error).__name__)
            raise InputError(
                f"the package datasets cannot load {name} ({why}); check the name, and give a "
                f"configuration as {HUB}NAME:CONFIGURATION if the data set has several"
            ) from error

    key = hashlib.sha256(name.encode()).hexdigest()[:16]
    return cached(
        f"hub-{re.sub(r'[^A-Za-z0-9.-]', '_', short_name(name))[:40]}-{key}", download, Path
    )
