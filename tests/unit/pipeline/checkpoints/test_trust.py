"""Names in checkpoints are checked before anything is imported, for any configuration."""

import contextlib
import copy
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Literal

import pytest
import torch
from beartype.roar import BeartypeException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.__main__ import ENTRY_POINT
from pipeline.checkpoints.read import assemble
from pipeline.checkpoints.slots import Slot, hints_of, slot_of
from pipeline.checkpoints.trust import check_names, refuse_functions, trust
from pipeline.encoders import LSTM, Encoder
from pipeline.errors import InputError
from pipeline.text.lexicon import VectorFile
from pipeline.text.state import read_is_list, read_max_tokens, read_scheme, read_unit
from pipeline.text.vocabulary import Vocabulary
from tasks.language_model import LanguageModel
from tests.configs import part

TRUSTED = ("pipeline", "tasks", "datamodules", "torch", "lightning")
CHECKERS = ("equinox", "beartype", "jaxtyping", "wadler_lindig")  # of the checks of types in tests
FOREIGN = [
    "evilmod",
    "antigravity",
    "this",
    "turtle",
    "idlelib.run",
    "lib2to3.main",
    "wsgiref.types",
]
NAMES = [
    "torch.optim.Adam",
    "torch.optim.SGD",
    "torch.optim.lr_scheduler.StepLR",
    "torch.hub.load",
    "torch.load",
    "torch.utils.tensorboard.SummaryWriter",
    "torch.testing._internal.common_utils.TestCase",
    "lightning.pytorch.Trainer",
    "lightning.pytorch.LightningModule",
    "lightning.pytorch.demos.mnist_datamodule.MNISTDataModule",
    "pipeline.encoders.LSTM",
    "pipeline.heads.FullSoftmax",
    "pipeline.heads.ClassSoftmax",
    "pipeline.console.os.system",
    "pipeline.console.Path",
    "pipeline.__main__.run",
    "pipeline.nothing.Here",
    "tasks.language_model.LanguageModel",
    "tasks.nothing.Here",
    "datamodules.language_model.datamodule.LanguageModelData",
    "LSTM",
    "GRU",
    "os.system",
    "posix.system",
    "subprocess.Popen",
    "runpy.run_path",
    "builtins.exec",
    "..evilmod.Evil",
    "evilmod..Evil",
    *(f"{module}.Evil" for module in FOREIGN),
    *FOREIGN,
]


def checkpoint() -> dict[str, Any]:
    """A checkpoint of an untrained language model."""
    words = ["<eos>", "<unk>", "cat"]
    model = LanguageModel(LSTM(2, 2), Vocabulary(words))
    encoder = part("pipeline.encoders.LSTM", input_size=2, hidden_size=2)
    optimizer = part("torch.optim.Adam", lr=0.1)
    init_args = {"encoder": encoder, "optimizer": optimizer, "lr_scheduler": None, "dropout": 0.0}
    config = {
        "seed_everything": 1,
        "trainer": {"max_epochs": 1, "callbacks": None},
        "model": {"class_path": "tasks.language_model.LanguageModel", "init_args": init_args},
        "data": part("datamodules.language_model.datamodule.LanguageModelData", corpus="builtin"),
    }
    data = {"vocabulary": words, "unit": "word"}
    return {"config": config, "state_dict": model.state_dict(), "LanguageModelData": data}


names = st.sampled_from(NAMES) | st.from_regex(r"evilmod(\.[a-z]{1,3}){0,2}\.Evil", fullmatch=True)
keys = st.sampled_from(
    ["class_path", "init_args", "dict_kwargs", "lr", "encoder", "input_size", "__path__", "a.b"]
)
plain = st.none() | st.booleans() | st.integers() | st.floats() | names
texts = names.map(lambda name: f"{{class_path: {name}, init_args: {{}}}}")
values = st.recursive(
    plain | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(keys, inner, max_size=3)
        | st.fixed_dictionaries({"class_path": names}, optional={"init_args": inner})
        | st.fixed_dictionaries({"class_path": names, "dict_kwargs": inner})
    ),
    max_leaves=8,
)
PLACES = [
    ("model",),
    ("data",),
    ("trainer",),
    ("seed_everything",),
    ("model", "class_path"),
    ("data", "class_path"),
    ("trainer", "callbacks"),
    ("trainer", "logger"),
    ("model", "dict_kwargs"),
    ("data", "init_args", "corpus"),
    ("data", "init_args", "files"),
    *(
        ("model", "init_args", name)
        for name in ("encoder", "optimizer", "lr_scheduler", "head", "penalty", "dropout", "other")
    ),
    ("model", "init_args", "encoder", "init_args", "input_size"),
    ("model", "init_args", "optimizer", "init_args", "lr"),
    ("model", "init_args", "optimizer", "dict_kwargs"),
]


class Spy:
    """Hears each module that is looked for and not loaded yet, and each process that is started.

    `import` raises an audit event, `importlib.import_module` does not; both ask `sys.meta_path`.
    """

    is_listening = False
    heard: ClassVar[list[str]] = []

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> None:
        if cls.is_listening and name.partition(".")[0] not in (*TRUSTED, *CHECKERS):
            cls.heard.append(name)

    @classmethod
    def audit(cls, event: str, arguments: object) -> None:
        if cls.is_listening and event in ("os.system", "subprocess.Popen", "os.exec"):
            cls.heard.append(event)

    @classmethod
    @contextlib.contextmanager
    def listening(cls) -> Iterator[list[str]]:
        cls.heard.clear()
        cls.is_listening = True
        try:
            yield cls.heard
        finally:
            cls.is_listening = False


@pytest.fixture(scope="module")
def honest():
    """A checkpoint, loaded once so that its modules are imported; imports are listened to."""
    ENTRY_POINT.load()
    assemble(checkpoint(), "warm")
    sys.addaudithook(Spy.audit)
    sys.meta_path.insert(0, Spy)
    yield checkpoint()
    sys.meta_path.remove(Spy)


def test_the_spy_hears_imports(honest, tmp_path, monkeypatch):
    (tmp_path / "evilmod.py").write_text("class Evil:\n    pass\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with Spy.listening() as heard:
        importlib.import_module("evilmod")
        os.system("true")
    assert heard == ["evilmod", "os.system"]
    sys.modules.pop("evilmod")


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.dictionaries(st.sampled_from(PLACES), values, min_size=1, max_size=2))
def test_no_configuration_imports_foreign_modules(honest, changes):
    given = {**honest, "config": copy.deepcopy(honest["config"])}
    for keys, value in changes.items():
        place: Any = given["config"]
        for key in keys[:-1]:
            place = place.get(key) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place[keys[-1]] = value
    with Spy.listening() as heard:
        try:
            assemble(given, "stranger.ckpt")
        except InputError:
            pass  # refused in one sentence
        except BeartypeException:
            pass  # a trusted part with an argument of another type, which only tests check
    assert heard == []


def test_an_honest_configuration_passes(honest):
    check_names(honest["config"], "x")
    refuse_functions(honest["config"], "x")


def changed(honest: dict[str, Any], **arguments: object) -> dict[str, Any]:
    config = copy.deepcopy(honest["config"])
    config["model"]["init_args"] |= arguments
    return config


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"optimizer": part("os.system", command="x")},
            "F: model.init_args.optimizer.class_path: os.system is not trusted: files can name "
            "only classes of pipeline, tasks, datamodules, torch, lightning and of modules given "
            "by --trust",
        ),
        (
            {"optimizer": part("my_code.Slow")},
            "F: model.init_args.optimizer.class_path: my_code.Slow is not trusted: files can name "
            "only classes of pipeline, tasks, datamodules, torch, lightning and of modules given "
            "by --trust; if you trust its author, add --trust my_code",
        ),
        (
            {"optimizer": part("torch.hub.load")},
            "F: model.init_args.optimizer.class_path: torch.hub.load is not a class; functions are "
            "never called",
        ),
        (
            {"encoder": part("torch.optim.Adam")},
            "F: model.init_args.encoder.class_path: torch.optim.Adam is no Encoder",
        ),
        (
            {"lr_scheduler": part("torch.optim.Adam")},
            "F: model.init_args.lr_scheduler.class_path: torch.optim.Adam is no LRScheduler or "
            "ReduceLROnPlateau",
        ),
        (
            {"tie_weights": part("torch.optim.Adam")},
            "F: model.init_args.tie_weights.class_path: torch.optim.Adam stands where no class is "
            "expected",
        ),
    ],
)
def test_messages(honest, arguments, message):
    with pytest.raises(InputError) as raised:
        check_names(changed(honest, **arguments), "F")
    assert str(raised.value) == message


def test_lists_that_contain_one_another_are_refused(honest):
    bomb = [1] * 9
    for _ in range(30):
        bomb = [bomb] * 9  # 9 ** 31 values in 31 lists
    with pytest.raises(InputError, match=r"is one of more than 100,000 values$"):
        check_names(changed(honest, optimizer=bomb), "F")


def test_deep_nesting_is_refused(honest):
    value: object = 1
    for _ in range(10_000):
        value = [value]
    with pytest.raises(InputError, match="nested more than 50 levels"):
        check_names(changed(honest, optimizer=value), "F")


@pytest.mark.parametrize("config", [None, [], 3, "x", {}, {"model": 1}, {1: 2}, {"model": {}}])
def test_what_is_no_configuration(config):
    with pytest.raises(InputError, match="F: "):
        check_names(config, "F")


COLUMN = {"token": 0, "tag": -1, "features": {"pos": "upos"}}
FILE = ["/v.bin", 3, "0a" * 32]
STATES = {
    "unit": ["byte", ["word"], None, 1],
    "is_list": [0, "no", None],
    "max_tokens": [0, -1, True, 2.0, "9", None],
    "scheme": ["BIOX", ["IOB2"], {}, None],
    "layout": [
        [],
        "x",
        {"tokens": 0},
        {1: 0},
        *(
            {**COLUMN, **change}
            for change in (
                {"token": 1.5},
                {"tag": True},
                {"features": ["pos"]},
                {"features": {"pos": None}},
                {"features": {1: 1}},
                {"separator": "comma"},
                {"comments": ["skip"]},
                {"scheme": "x"},
                {"default_type": 1},
            )
        ),
    ],
}


@pytest.mark.parametrize("key", STATES)
def test_states_of_datamodules_that_none_writes(honest, key):
    for value in STATES[key]:
        state = {**honest["LanguageModelData"], key: value}
        with pytest.raises(InputError, match=rf"^F: {key}[.a-z_]* is .*; expected ") as raised:
            assemble({**honest, "LanguageModelData": state}, "F")
        assert "as in a file written by `unroll train`" in str(raised.value)
    values = {"unit": "character", "is_list": True, "max_tokens": 1, "scheme": "labels"}
    values |= {"layout": {**COLUMN, "comments": "skip", "separator": "tab"}}
    state = {**honest["LanguageModelData"], key: values[key]}
    assert assemble({**honest, "LanguageModelData": state}, "F").data[key] == values[key]


def test_vector_files_that_none_writes():
    assert VectorFile.of(FILE) == tuple(FILE)
    for place, value in [(0, 1), (1, -1), (1, True), (1, "3"), (2, "0a"), (2, "0g" * 32), (2, 1)]:
        with pytest.raises(InputError, match=r"^lexicon\.vectors\.file is "):
            VectorFile.of([*FILE[:place], value, *FILE[place + 1 :]])
    for state in (None, {}, "abc", FILE[:2], [*FILE, 1]):
        with pytest.raises(InputError, match=r"^lexicon\.vectors\.file is "):
            VectorFile.of(state)


@pytest.mark.parametrize("read", [read_unit, read_is_list, read_max_tokens, read_scheme])
def test_states_of_datamodules_that_lack_a_value(read):
    with pytest.raises(InputError, match=r" is None in the state of the datamodule; expected "):
        read({})


def test_trust_replaces_earlier_modules(honest):
    config = changed(honest, optimizer=part("their_code.Slow"))
    try:
        trust("their_code")
        with pytest.raises(InputError, match=r"there is no class their_code\.Slow"):
            check_names(config, "F")
        trust("their")  # not a parent package
        with pytest.raises(InputError, match="not trusted"):
            check_names(config, "F")
    finally:
        trust()


Optimizers = Callable[[Iterable[torch.Tensor]], torch.optim.Optimizer]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, Slot()),
        (float | None, Slot()),
        (str, Slot(takes_text=True)),
        (Literal["a", "b"], Slot(takes_text=True)),
        (Encoder, Slot(bases=(Encoder,))),
        (Encoder | str | None, Slot(bases=(Encoder,), takes_text=True)),
        (type[Encoder], Slot(bases=(Encoder,))),
        (list[Encoder], Slot(elements=(Encoder,))),
        (dict[str, Encoder], Slot(elements=(Encoder,))),
        (tuple[Encoder, ...], Slot(elements=(Encoder,))),
        (Optimizers, Slot(bases=(torch.optim.Optimizer,), is_callable=True)),
        (Callable[[int], float], Slot(is_callable=True)),
        (Callable, Slot(is_callable=True)),
        (Any, Slot(is_open=True)),
        (dict, Slot(is_open=True)),
        (object, Slot(is_open=True)),
    ],
)
def test_annotations(annotation, expected):
    assert slot_of(annotation) == expected


def test_annotations_that_cannot_be_read_expect_no_class():
    class Odd:
        def __init__(self, part: "NoSuchName", size: int) -> None:
            pass

    assert "part" not in hints_of(Odd)
