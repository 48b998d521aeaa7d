"""Configurations by name: files in the current folder, and those shipped with the package."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import InputError

SHIPPED = Path(__file__).parents[1] / "configs"
"""Folder of the shipped configurations."""

_SUFFIXES = (".yaml", ".yml", ".json")


def find_configuration(name: str) -> Path:
    """Returns the file of a configuration.

    Local files come first: `name` as a path and below `configs/`, then the shipped configurations.
    The suffix `.yaml` and the prefix `configs/` can be omitted. A name that is a URL or YAML text
    is returned unchanged.
    """
    if "://" in name or name.lstrip().startswith("{"):
        return Path(name)
    short = name.removeprefix("./").removeprefix("configs/")
    for path in (Path(name), Path("configs", name), SHIPPED / short):
        for candidate in (path, *(Path(f"{path}{suffix}") for suffix in _SUFFIXES)):
            if candidate.is_file():
                return candidate
    if Path(name).is_dir():
        raise InputError(f"{name} is a folder; --config takes a YAML file or a name")
    raise InputError(f"no configuration {name}{_suggest(name)} (`unroll configs` lists all)")


def configurations() -> dict[str, Path]:
    """Returns the file of each configuration by name, local ones in place of shipped ones."""
    found: dict[str, Path] = {}
    for folder in (SHIPPED, Path("configs")):
        files = [path for path in folder.rglob("*") if path.suffix in _SUFFIXES]
        found |= {path.relative_to(folder).with_suffix("").as_posix(): path for path in files}
    return dict(sorted(found.items()))


def comments(path: Path) -> list[str]:
    """Returns the comment lines at the top of a configuration: its command, then its scores."""
    lines = []
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return lines


def is_overlay(path: Path) -> bool:
    """Returns whether the command of a configuration combines it with another one."""
    named = _named_in_command(path)
    return len(named) > 1 and _name(named[0]) != _name(str(path))


def incomplete(files: Sequence[Path], group: str) -> InputError:
    """Returns the error for configurations that name no class for `model` or `data`."""
    overlay = next((path for path in files if is_overlay(path)), None)
    if overlay is None:
        return InputError(f"{files[-1]} has no `{group}`; add its class, or give --{group}=CLASS")
    flags = " ".join(f"--config {name}" for name in _named_in_command(overlay))
    name = str(overlay.relative_to(SHIPPED)) if overlay.is_relative_to(SHIPPED) else str(overlay)
    return InputError(
        f"{name} is an overlay: it changes another configuration and cannot be used alone; combine "
        f"them, for example {flags}"
    )


def _named_in_command(path: Path) -> list[str]:
    """Returns the configurations that the command in the first line of a file names."""
    lines = comments(path) if path.is_file() else []
    return re.findall(r"--config[= ](\S+)", lines[0]) if lines else []


def _name(text: str) -> str:
    """Returns the part of a path that identifies a configuration."""
    return text.rpartition("configs/")[2].removesuffix(".yaml")


def _names() -> dict[str, str]:
    """Returns names and paths to suggest, by name and by their last parts."""
    found = configurations()
    shown = {n: n if p.is_relative_to(SHIPPED) else str(p) for n, p in found.items()}
    return {n.rpartition("/")[2]: text for n, text in reversed(shown.items())} | shown


def _suggest(name: str) -> str:
    beside = [path for path in Path(name).parent.glob("*") if path.suffix in _SUFFIXES]
    known = _names() | {path.stem: str(path) for path in beside}
    short = _name(name)
    last = short.rpartition("/")[2]
    for text, cutoff in ((last, 1.0), (short, 0.6), (last, 0.6)):  # the folder may be wrong
        if near := difflib.get_close_matches(text, known, n=1, cutoff=cutoff):
            return f"; did you mean {known[near[0]]}?"
    return ""


def configuration_name(path: Path) -> str:
    """Returns the name by which `--config` finds a file: below a folder `configs`, or its path."""
    for folder in (Path("configs"), SHIPPED):
        if path.is_relative_to(folder):
            return path.relative_to(folder).with_suffix("").as_posix()
    return path.as_posix()


_SCORE = re.compile(r"published|(test|validation) (perplexity|accuracy|f1)|test/|\bF1\b", re.I)


def expected_score(path: Path) -> str:
    """Returns the sentences of a configuration's comment that state scores, published or ours.

    Example:
        >>> expected_score(SHIPPED / "lm" / "ptb-kn3.yaml").partition(";")[0]
        'Test perplexity 148.281, validation 157.766'
    """
    if not path.is_file():
        return ""
    text = " ".join(comments(path)[1:])
    sentences = re.split(r"(?<=[.])\s+(?=[A-Z])", text)
    return " ".join(one for one in sentences if _SCORE.search(one) and re.search(r"\d", one))
