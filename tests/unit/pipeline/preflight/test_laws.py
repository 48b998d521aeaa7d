"""The check against Lightning's parser: it never refuses what the parser accepts."""

import inspect
import random
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.preflight import check, classes
from tests.unit.pipeline.preflight.kit import OPTIONS, PACKAGES, accepted, split, write

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    "words",
    [
        "--config=run.yaml",
        "-crun.yaml -c=more.yaml",
        "-c run.yaml --config more.yaml --model.encoder=GRU --model.encoder.reset before",
        "-c run.yaml --model.init_args.encoder.init_args.hidden_size 77",
        "-c run.yaml --model.encoder.init_args.hidden_size=77 --model.init_args={rate: 3}",
        "-c run.yaml --model.encoder.class_path=TwinGRU --model.encoder.reset=before",
        "-c run.yaml --model.encoder={class_path: GRU, init_args: {input_size: 1}}",
        "-c run.yaml --model.encoder={hidden_size: 5}",
        "-c run.yaml --model.encoder=gru.yaml",
        "-c run.yaml --model.encoder=Free --model.encoder.dict_kwargs.anything=3",
        "-c run.yaml --model.encoder=elsewhere.Mine --model.encoder.reset=before",
        "-c run.yaml --model.encoder=elsewhere.Mine --model.second=Mine "
        "--model.second.input_size=2",
        "-c run.yaml --model.second=null",
        "-c run.yaml --model.noise=0.5 --model.noise=Noise --model.noise.width=2",
        "-c run.yaml --model.start=a-run --model.start=v1.2 --model.start=lstm --model.start=null",
        "-c run.yaml --model.start=Start --model.start.run=a-run",
        "-c run.yaml --model.encoder.kind=3",
        "-c run.yaml --model.encoder.kind=fancy",
        "-c run.yaml --model.encoder.folder=nowhere.d",
        "-c run.yaml --model.encoder.sizes=[1,2] --model.encoder.sizes+=3",
        "-c run.yaml --model.optimizer=Adam --model.optimizer.betas=[0.8,0.9]",
        "-c run.yaml --model.optimizer={class_path: AdamW, init_args: {lr: 1e-3}}",
        "-c run.yaml --model.lr_scheduler=ExponentialLR --model.lr_scheduler.gamma=.5",
        "-c run.yaml --model.head.bias=no",
        "-c run.yaml --model.pace=SLOW",
        "-c run.yaml --model.anything.deep.er=3 --model.untyped=word",
        "-c run.yaml --model.rate -3",
        "-c run.yaml --model.rate=-1e-3 --model.rate=.inf --model.rate=1_0",
        "-c run.yaml --data.bptt=0x10 --data.files.train=b --data.corpus=3",
        "-c run.yaml --data.files={test: c} --data.shuffle=Off --data.bptt=null",
        "-c run.yaml --data=null",
        "-c run.yaml --precision=bf16 --checkpoint.every_n=4 --trainer.max_epochs=3",
        "-c run.yaml --trainer={max_epochs: 3} --seed_everything=false",
        "-c run.yaml --trainer.callbacks+=ModelSummary --trainer.callbacks.max_depth=2",
        "-c run.yaml --trainer.callbacks=[] --trainer.logger=CSVLogger --trainer.logger.save_dir=x",
        "-c run.yaml --trainer.strategy=ddp --trainer.devices=auto --trainer.precision=16-mixed",
        "-c run.yaml -c merged.yaml",
        "--config={model: Model} --model.encoder=kit.encoders.nets.LSTM "
        "--model.encoder.input_size=1 --model.encoder.hidden_size=2",
        "-c run.yaml --print_config",
        "-c run.yaml --model.encoder.help=LSTM",
        "--help --nonsense",
    ],
)
def test_what_is_right_passes(words, parser):
    arguments = split(words)
    assert accepted(parser, arguments), "the list of this test is wrong"
    check(arguments, OPTIONS, packages=PACKAGES)


@pytest.mark.parametrize("flag", ["--trainer.max_ep=3", "--prec=bf16", "--conf=run.yaml"])
def test_beginnings_of_names_are_not_completed(flag):
    """Nor are they by our parser (`allow_abbrev=False`)."""
    with pytest.raises(InputError, match="unknown flag"):
        check([flag], OPTIONS, packages=PACKAGES)


def test_what_cannot_be_read_passes(kit):
    write(
        kit / "odd.py",
        """
        import dataclasses
        from kit.encoders import GRU

        def __getattr__(name): ...

        @dataclasses.dataclass
        class Made:
            size: int

        def changed(function): ...

        class Wrapped:
            @changed
            def __init__(self, size: int) -> None: ...

        class Meta(type): ...

        class Dynamic(metaclass=Meta):
            def __init__(self, size: int) -> None: ...

        class Both(GRU, Dynamic): ...

        if dataclasses:
            class Perhaps:
                def __init__(self, size: int) -> None: ...

        class New:
            def __new__(cls, other): ...
        """,
    )
    for name in ("Made", "Wrapped", "Dynamic", "Both", "Perhaps", "New", "Unseen"):
        check([f"--model=odd.{name}", "--model.what=3"], OPTIONS, packages=PACKAGES)
    check(["--config=s3://bucket/run.yaml", "--model.what=3"], OPTIONS, packages=PACKAGES)


def _loaded_subclasses(base):
    for subclass in base.__subclasses__():
        yield subclass
        yield from _loaded_subclasses(subclass)


@pytest.mark.parametrize(
    ("flag", "base"),
    [
        ("--model.optimizer", "torch.optim.Optimizer"),
        ("--model.lr_scheduler", "torch.optim.lr_scheduler.LRScheduler"),
        ("--trainer.callbacks", "lightning.pytorch.callbacks.Callback"),
        ("--trainer.logger", "lightning.pytorch.loggers.Logger"),
        ("--model", "lightning.pytorch.LightningModule"),
    ],
)
def test_signatures_read_as_text_are_those_of_the_imported_classes(flag, base, parser):
    module, _, name = base.rpartition(".")
    found = set(_loaded_subclasses(getattr(sys.modules[module], name)))
    libraries = ("torch.optim", "lightning.pytorch.call", "lightning.pytorch.log", "kit", "tasks")
    known = [
        c for c in found if c.__module__.startswith(libraries) and "<locals>" not in c.__qualname__
    ]
    assert known
    compared = 0
    for known_class in known:
        path = f"{known_class.__module__}.{known_class.__name__}"
        # The parser knows no private class by its short name.
        for spelling in {path, path if known_class.__name__[0] == "_" else known_class.__name__}:
            check(["-c", "run.yaml", f"{flag}={spelling}"], OPTIONS, (*PACKAGES, "tasks"))
        read = classes.find_or_none(path)
        if read is not None and read.signature is not None:
            assert list(read.signature) == list(inspect.signature(known_class).parameters), path
            compared += 1
    assert compared


def test_the_trainer_is_read_as_it_is(parser):
    from lightning.pytorch import Trainer

    read = classes.find_class("lightning.pytorch.Trainer")
    assert list(read.signature) == list(inspect.signature(Trainer).parameters)


KEYS = """model model.encoder model.encoder.hidden_size model.encoder.kind model.encoder.reset
    model.encoder.sizes model.encoder.folder model.optimizer model.optimizer.lr model.head.bias
    model.optimizer.momentum model.lr_scheduler model.lr_scheduler.gamma model.head model.pace
    model.anything model.untyped model.second model.second.dropout data data.bptt data.files
    data.files.train data.corpus data.shuffle trainer.max_epochs trainer.callbacks
    trainer.callbacks+ trainer.callbacks.patience trainer.logger trainer.precision
    trainer.limit_val_batches trainer.deterministic seed_everything checkpoint.every_n"""
VALUES = """Model|LSTM|GRU|Encoder|kit.encoders.GRU|SGD|torch.optim.AdamW|StepLR|Head|Data
    |lightning.pytorch.cli.ReduceLROnPlateau|EarlyStopping|CSVLogger|true|yes|null|3|-3|0x1f|3.5
    |1e-3|.inf|plain|before|warn|32|FAST|[1,2]|[]|{hidden_size: 4}|{class_path: ModelSummary}
    |{class_path: GRU, init_args: {input_size: 2, reset: before}}|{init_args: {hidden_size: 7}}
    |{class_path: SGD, init_args: {lr: 0.1}}|[ModelSummary]|{train: x}|'3'|'true'|x|gru.yaml"""


def test_whatever_the_parser_accepts_passes(parser):
    draw = random.Random(1)
    keys = KEYS.split()
    values = [value.strip() for value in VALUES.split("|")]
    passed = 0
    for _ in range(250):
        flags = [f"--{draw.choice(keys)}={draw.choice(values)}" for _ in range(draw.randint(1, 2))]
        arguments = ["-c", "run.yaml", *flags]
        if accepted(parser, arguments):
            passed += 1
            check(arguments, OPTIONS, packages=PACKAGES)
    assert passed > 20


def test_nothing_heavy_is_imported():
    program = """
import sys
from pipeline.errors import InputError
from pipeline.preflight import check
try:
    check(["--model=tasks.language_model.LanguageModel", "--model.optimizer=SDG"], {}, ["tasks"])
except InputError as error:
    print(error)
print(sorted({m.split(".")[0] for m in sys.modules} & set(sys.argv[1].split())))
"""
    heavy = "torch lightning mlflow jsonargparse numpy torchmetrics tasks datamodules"
    ran = subprocess.run(
        [sys.executable, "-c", program, heavy],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=100,
    )  # fmt: skip
    assert ran.stdout.splitlines() == [
        "flag --model.optimizer: unknown class SDG; did you mean SGD?",
        "[]",
    ]
