"""Describes what a trained model reads and returns, in the JSON of MLflow's model signatures."""

import json
from typing import Any

from lightning.pytorch import LightningModule

from pipeline.contracts import Generator, SentenceTagger, TextClassifier
from pipeline.protocols import implements

_TEXT = {"type": "string", "name": "text", "required": True}
_SPANS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "label": {"type": "string", "required": True},
            "start": {"type": "long", "required": True},
            "end": {"type": "long", "required": True},
            "text": {"type": "string", "required": True},
            "confidence": {"type": "double", "required": True},
        },
    },
    "name": "spans",
    "required": True,
}
_LABEL = [
    {"type": "string", "name": "label", "required": False},
    {"type": "map", "values": {"type": "double"}, "name": "probabilities", "required": True},
]
_SCORES = [
    {"type": "double", "name": "log_prob", "required": False},
    {"type": "long", "name": "num_tokens", "required": False},
    {"type": "long", "name": "num_unknown", "required": False},
    {"type": "double", "name": "perplexity", "required": False},
    {"type": "array", "items": {"type": "string"}, "name": "texts", "required": False},
]
PARAMETERS: dict[str, tuple[str, Any]] = {
    "verb": ("string", "score"),
    "num": ("long", 1),
    "length": ("long", 100),
    "lines": ("long", 1),
    "temperature": ("double", 1.0),
    "top_k": ("long", 0),
    "top_p": ("double", 1.0),
    "seed": ("long", 1),
    "allow_unk": ("boolean", False),
}
"""Parameters of requests to a language model: type and default. A `top_k` of 0 keeps all tokens."""


def description(task: LightningModule) -> dict[str, str]:
    """Returns the kind of a model and its signature; only the kind if it cannot read raw text.

    The values of "inputs", "outputs" and "params" are JSON as MLflow reads it, and "example" is a
    JSON table to try the model with. A tagger that reads columns besides words reads no raw text.
    """
    if implements(task, SentenceTagger):
        if any(part.column is not None for part in task.inputs):
            return {"kind": "tagger"}
        return _described("tagger", [_TEXT, _SPANS], "This is a sentence .")
    if implements(task, TextClassifier):
        return _described("classifier", [_TEXT, *_LABEL], "This is a sentence .")
    if implements(task, Generator):
        found = _described("language model", [_TEXT, *_SCORES], "this is a sentence")
        params = [
            {"name": name, "type": kind, "default": default, "shape": None}
            for name, (kind, default) in PARAMETERS.items()
        ]
        return {**found, "params": json.dumps(params)}
    return {"kind": "other"}


def _described(kind: str, outputs: list[dict[str, Any]], example: str) -> dict[str, str]:
    return {
        "kind": kind,
        "inputs": json.dumps([_TEXT]),
        "outputs": json.dumps(outputs),
        "example": json.dumps({"columns": ["text"], "data": [[example]]}),
    }
