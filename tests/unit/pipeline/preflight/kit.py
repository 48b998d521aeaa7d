"""A small project with classes and a configuration, and helpers to check flags of it."""

import contextlib
import inspect
import io

import pytest

from pipeline.errors import InputError
from pipeline.preflight import check, classes, modules

OPTIONS = {"precision": "str", "checkpoint.every_n": "int | None"}
PACKAGES = ("kit",)

BASE = """
    import abc
    from torch import nn

    class Encoder(nn.Module, abc.ABC):
        @abc.abstractmethod
        def read(self): ...
"""
ENCODERS = """
    from __future__ import annotations
    from enum import Enum
    from pathlib import Path
    from typing import Any, Literal, Optional, Union
    from .base import Encoder

    Kind = Literal["plain", "fancy", 3]

    class LSTM(Encoder):
        def __init__(self, input_size: int, hidden_size: int, dropout: float = 0.0,
                     kind: Kind = "plain", bidirectional: bool = False,
                     sizes: list[int] | None = None, folder: Path | None = None) -> None:
            super().__init__()
        def read(self): ...

    class GRU(Encoder):
        def __init__(self, input_size: int, hidden_size: Optional[int] = None, *,
                     reset: Literal["after", "before"] = "after") -> None:
            super().__init__()
        def read(self): ...

    class TwinGRU(GRU):
        pass

    class Free(Encoder):
        def __init__(self, **options: Any) -> None:
            super().__init__()
        def read(self): ...
"""
MODEL = """
    from collections.abc import Callable
    from typing import Any
    import enum
    import torch
    from lightning.pytorch import LightningDataModule, LightningModule
    from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
    from torch import nn
    from kit.encoders import Encoder

    class Pace(enum.Enum):
        FAST = 1
        SLOW = 2

    class Head(nn.Module):
        def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
            super().__init__()

    class Noise:
        def __init__(self, width: float = 1.0) -> None: ...

    class Start:
        def __init__(self, run: str, rate: float = 1.0) -> None: ...

    class Model(LightningModule):
        def __init__(self, encoder: Encoder, head: Callable[[int, int], Head] = Head,
                     optimizer: OptimizerCallable = torch.optim.Adam,
                     lr_scheduler: LRSchedulerCallable | None = None, rate: float = 0.1,
                     pace: Pace = Pace.FAST, anything: Any = None, untyped=3,
                     second: Encoder | None = None, noise: float | Noise = 0.0,
                     start: Start | str | None = None) -> None:
            super().__init__()

    class Data(LightningDataModule):
        def __init__(self, bptt: int = 35, files: dict[str, str] | None = None,
                     corpus: str = "builtin", shuffle: bool = False) -> None:
            super().__init__()
"""
CONFIG = """\
trainer:
  max_epochs: 3
  callbacks:
    - class_path: EarlyStopping
      init_args: {monitor: score, patience: 2}
data: {class_path: kit.tasks.Data, init_args: {bptt: 20, files: {train: a}}}
model:
  class_path: kit.tasks.Model
  init_args:
    encoder:
      class_path: kit.encoders.LSTM
      init_args: {input_size: 4, hidden_size: 5, dropout: 1e-1}
    optimizer: {class_path: torch.optim.SGD, init_args: {lr: 1.0}}
    lr_scheduler: {class_path: torch.optim.lr_scheduler.StepLR, init_args: {step_size: 2}}
"""


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(inspect.cleandoc(text) + "\n", encoding="utf-8")


def forget():
    for cached in (modules.locate, modules.read, modules._entries):
        cached.cache_clear()
    classes.find_class.cache_clear()
    classes._own_classes.cache_clear()


def accepted(parser, arguments):
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            parser.parse_args(list(arguments))
    except SystemExit as ended:
        return ended.code == 0
    except Exception:
        return False
    return True


def complaint(*arguments, **settings):
    with pytest.raises(InputError) as caught:
        check(arguments, OPTIONS, packages=PACKAGES, **settings)
    return str(caught.value)


def split(words):
    """Splits at spaces outside of braces and brackets."""
    arguments = []
    for word in words.split(" "):
        last = arguments[-1] if arguments else ""
        if last.count("{") > last.count("}") or last.count("[") > last.count("]"):
            arguments[-1] += f" {word}"
        else:
            arguments.append(word)
    return arguments
