"""Small configurations for tests that train."""

from pathlib import Path

import yaml


def part(class_path: str, **init_args: object) -> dict:
    """The configuration of a class and its arguments."""
    return {"class_path": class_path, "init_args": init_args}


def small_config(corpus: Path, **changes: object) -> dict:
    """A model that trains in seconds; `changes` are dotted keys."""
    encoder = part("LSTM", input_size=8, hidden_size=12, num_layers=2, dropout=0.2)
    data = part("LanguageModelData", corpus=str(corpus), batch_size=8, bptt=20, eval_bptt=50)
    return _small(data, part("LanguageModel", encoder=encoder), changes, checkpoint_every=7)


def small_tagger(corpus: Path, **changes: object) -> dict:
    """A tagger that trains in seconds on a folder of column files; `changes` are dotted keys."""
    source = part("Columns", corpus=str(corpus), features={"pos": 1})
    words = part("pipeline.inputs.Words", size=12, unknown_chance=0.1)
    encoder = part("LSTM", input_size=16, hidden_size=10, bidirectional=True, num_layers=2)
    encoder["init_args"]["dropout"] = 0.2
    inputs = [words, part("pipeline.inputs.Column", column="pos", size=4)]
    model = part("Tagger", inputs=inputs, encoder=encoder, decoder="pipeline.decoders.CRF")
    model["init_args"]["variational"] = True
    return _small(part("TaggingData", source=source, batch_size=16), model, changes)


def small_classifier(**changes: object) -> dict:
    """A classifier that trains in seconds on the built-in reviews; `changes` are dotted keys."""
    source = part("BuiltinReviews", num_train=301)
    encoder = part("LSTM", input_size=16, hidden_size=10, bidirectional=True)
    model = part("SentenceClassifier", encoder=encoder, pooling="pipeline.pooling.Attention")
    model["init_args"]["word_dropout"] = 0.1
    data = part("SentimentData", source=source, batch_size=16, sampling="balanced")
    return _small(data, model, changes)


def _small(data: dict, model: dict, changes: dict, checkpoint_every: int = 5) -> dict:
    model["init_args"] |= {"dropout": 0.2, "optimizer": part("torch.optim.Adam", lr=0.01)}
    config = {
        "seed_everything": 3,
        "precision": "32-true",
        "checkpoint_every": checkpoint_every,
        "trainer": {"max_epochs": 2, "gradient_clip_val": 1.0, "log_every_n_steps": 1},
        "data": data,
        "model": model,
    }
    for key, value in changes.items():
        place = config
        *path, last = key.split(".")
        for name in path:
            place = place[name]
        place[last] = value
    return config


def write_config(folder: Path, config: dict, name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path
