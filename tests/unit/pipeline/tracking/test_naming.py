import argparse
import copy

import jsonargparse
import pytest

from pipeline.tracking.naming import config_hash, flatten, run_name

CONFIG = {
    "config": ["configs/lm/small.yaml"],
    "seed_everything": 7,
    "run_name": None,
    "trainer": {
        "max_epochs": 13,
        "accelerator": "cpu",
        "enable_progress_bar": True,
        "gradient_clip_val": 5.0,
        "logger": False,
        "callbacks": [{"class_path": "x.EMA", "init_args": {"decay": 0.5}}],
    },
    "model": {
        "class_path": "tasks.language_model.LanguageModel",
        "init_args": {
            "encoder": {
                "class_path": "pipeline.encoders.LSTM",
                "init_args": {"hidden_size": 200, "num_layers": 2, "initializer": None},
            },
            "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 1e-5}},
            "tie_weights": False,
        },
    },
    "data": {"class_path": "d.Data", "init_args": {"corpus": "ptb", "files": {"train": "a b.txt"}}},
}


def changed(path, value):
    config = copy.deepcopy(CONFIG)
    place = config
    *groups, last = path.split(".")
    for group in groups:
        place = place[group]
    place[last] = value
    return config


def test_flatten_writes_the_flags_of_a_configuration():
    assert flatten(CONFIG) == {
        "seed_everything": "7",
        "run_name": "null",
        "trainer.max_epochs": "13",
        "trainer.accelerator": "cpu",
        "trainer.enable_progress_bar": "true",
        "trainer.gradient_clip_val": "5.0",
        "trainer.logger": "false",
        "trainer.callbacks": '[{"class_path": "x.EMA", "init_args": {"decay": 0.5}}]',
        "model": "tasks.language_model.LanguageModel",
        "model.encoder": "pipeline.encoders.LSTM",
        "model.encoder.hidden_size": "200",
        "model.encoder.num_layers": "2",
        "model.encoder.initializer": "null",
        "model.optimizer": "torch.optim.SGD",
        "model.optimizer.lr": "1e-05",
        "model.tie_weights": "false",
        "data": "d.Data",
        "data.corpus": "ptb",
        "data.files": '{"train": "a b.txt"}',
    }


class Leaf:
    def __init__(self, scale: float = 1.0, on: bool = True, sizes: tuple[int, int] = (1, 2)):
        pass


class Part:
    def __init__(self, size: int = 3, rate: float = 0.1, leaf: Leaf | None = Leaf()):  # noqa: B008
        pass


class Whole:
    def __init__(
        self,
        part: Part,
        name: str | None = None,
        limit: float = 1.0,
        sizes: list[int] | None = None,
        files: dict[str, str] | None = None,
        parts: list[Part] | None = None,
        leaf: Leaf | None = None,
    ):
        pass


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--whole.part.size=5", "--whole.part.rate=1e-5", "--whole.limit=.inf"],
        ["--whole.part.leaf.on=false", "--whole.part.leaf.scale=2", "--whole.name=a b, 'c'"],
        ["--whole.sizes=[1,2]", '--whole.files={"train": "a b.txt"}', "--group.depth=3"],
        ['--whole.parts=[{"class_path": "Part", "init_args": {"size": 4}}]', "--group.name=x"],
        pytest.param(
            ['--whole.part={"class_path": "Part", "init_args": {"leaf": null}}'],
            marks=pytest.mark.xfail(
                raises=argparse.ArgumentError,
                reason="jsonargparse 4.53 takes no null for an argument two classes deep",
            ),
        ),
    ],
)
def test_flags_pasted_back_make_the_same_configuration(flags):
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Whole, "whole")
    parser.add_argument("--group.depth", type=int, default=1)
    parser.add_argument("--group.name", type=str | None)
    config = parser.parse_args(["--whole=Whole", "--whole.part=Part", *flags])
    pasted = [f"--{key}={value}" for key, value in flatten(config.as_dict()).items()]
    assert parser.parse_args(pasted).as_dict() == config.as_dict()


@pytest.mark.parametrize(
    ("path", "value", "is_another_experiment"),
    [
        ("seed_everything", 8, False),
        ("config", [], False),
        ("run_name", "mine", False),
        ("trainer.accelerator", "gpu", False),
        ("trainer.enable_progress_bar", False, False),
        ("trainer.max_epochs", 14, True),
        ("trainer.callbacks", [], True),
        ("model.init_args.encoder.init_args.hidden_size", 201, True),
        ("model.init_args.optimizer.init_args.lr", 2e-5, True),
        ("data.init_args.corpus", "wikitext2", True),
    ],
)
def test_hash_is_of_what_makes_an_experiment(path, value, is_another_experiment):
    assert (config_hash(changed(path, value)) != config_hash(CONFIG)) == is_another_experiment


def test_hash_ignores_the_order_of_keys():
    backwards = dict(reversed(CONFIG.items()))
    assert config_hash(backwards) == config_hash(CONFIG)
    assert len(config_hash(CONFIG)) == 6
    int(config_hash(CONFIG), 16)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("run_name", None, "lstm-2x200-{}-s7"),
        ("seed_everything", None, "lstm-2x200-{}"),
        ("model.init_args.encoder.init_args", {"hidden_size": 30}, "lstm-30-{}-s7"),
        ("model.init_args.encoder.init_args", {}, "lstm-{}-s7"),
        ("model.init_args.encoder", None, "languagemodel-{}-s7"),
        ("model", {"class_path": "tasks.ngram.KneserNey"}, "kneserney-{}-s7"),
    ],
)
def test_run_name(path, value, expected):
    config = changed(path, value)
    assert run_name(config) == expected.format(config_hash(config))
