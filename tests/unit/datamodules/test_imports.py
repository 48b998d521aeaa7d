"""Corpus readers can be imported without torch, also through each other."""

import pkgutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import datamodules

ROOT = Path(__file__).parents[3]


def test_readers_import_neither_torch_nor_lightning():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = (c for c in contracts["contracts"] if c["name"].startswith("corpus readers"))
    makes_tensors = [edge.split(" -> ")[0] for edge in contract["ignore_imports"]]
    modules = [m.name for m in pkgutil.walk_packages(datamodules.__path__, "datamodules.")]
    readers = [m for m in modules if not any(fnmatch(m, name) for name in makes_tensors)]
    assert len(readers) > 30
    code = (
        f"import importlib, sys; [importlib.import_module(name) for name in {readers}];"
        " print({'torch', 'lightning', 'mlflow', 'requests'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout == "set()\n"
