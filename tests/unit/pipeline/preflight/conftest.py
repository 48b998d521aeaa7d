import sys

import pytest

from tests.unit.pipeline.preflight.kit import BASE, CONFIG, ENCODERS, MODEL, forget, write


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kit")
    write(folder / "kit/__init__.py", "")
    write(folder / "kit/encoders/__init__.py", "from .base import Encoder\nfrom .nets import *")
    write(folder / "kit/encoders/base.py", BASE)
    write(folder / "kit/encoders/nets.py", ENCODERS)
    write(folder / "kit/tasks.py", MODEL)
    write(folder / "elsewhere.py", "from kit.encoders import GRU\n\nclass Mine(GRU):\n    pass\n")
    write(folder / "run.yaml", CONFIG)
    write(folder / "gru.yaml", "class_path: GRU\ninit_args: {input_size: 1, reset: before}")
    write(folder / "more.yaml", "trainer.max_epochs: '9'\nmodel: {init_args: {rate: 2}}")
    write(folder / "merged.yaml", "trainer: &t {max_epochs: 3}\nconfig: null\nprecision: '16'")
    sys.path.insert(0, str(folder))
    forget()
    yield folder
    sys.path.remove(str(folder))
    forget()


@pytest.fixture(autouse=True)
def inside(kit, monkeypatch):
    monkeypatch.chdir(kit)


@pytest.fixture(scope="module")
def parser(kit):
    """Lightning's parser, set up as LightningCLI does in subclass mode."""
    import lightning.pytorch as pl
    from lightning.pytorch.cli import LightningArgumentParser

    __import__("kit.tasks")
    made = LightningArgumentParser(exit_on_error=False, allow_abbrev=False)
    made.add_argument("-c", "--config", action="config")
    made.add_argument("--seed_everything", type=bool | int, default=True)
    made.add_argument("--precision", type=str, default="auto")
    made.add_argument("--checkpoint.every_n", type=int | None, default=None)
    made.add_lightning_class_args(pl.Trainer, "trainer")
    made.add_lightning_class_args(pl.LightningModule, "model", subclass_mode=True)
    made.add_lightning_class_args(
        pl.LightningDataModule, "data", subclass_mode=True, required=False
    )
    return made
