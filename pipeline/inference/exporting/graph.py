"""The part of a trained model that is exported: a module from tensors to tensors."""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from pipeline.checkpoints.read import Trained
from pipeline.contracts import EmbeddedLanguageModel, SentenceTagger, TextClassifier
from pipeline.encoders.carry import flatten_carry, unflatten_carry
from pipeline.errors import InputError
from pipeline.protocols import implements


class Graph(NamedTuple):
    """A module with named inputs and outputs, whose first dimension is the batch.

    Attributes:
        module: Module that is called with the inputs.
        inputs: Names of the inputs. Those of `timed` have a second dimension time.
        outputs: Names of the outputs, of which those of `timed` have a second dimension time.
        timed: Names of inputs and outputs with a dimension time.
        spelled: Names of inputs with a third dimension, the characters of a word.
        example: Makes inputs from the lengths of the rows, int64 [batch], and a seed.
        metadata: Texts stored with the graph: kind of the model, and what numbers stand for.
    """

    module: nn.Module
    inputs: list[str]
    outputs: list[str]
    timed: frozenset[str]
    spelled: frozenset[str]
    example: Callable[[Tensor, int], list[Tensor]]
    metadata: dict[str, str]


def graph_of(trained: Trained) -> Graph:
    """Returns the graph of a tagger, a classifier or one step of a language model.

    Raises:
        InputError: If the model is of another kind, such as an n-gram model.
    """
    if implements(trained.model, SentenceTagger):
        return _of_texts(trained, "tagger")
    if implements(trained.model, TextClassifier):
        return _of_texts(trained, "classifier")
    if implements(trained.model, EmbeddedLanguageModel):
        return _of_language_model(trained)
    raise InputError(
        f"{trained.name} contains a {type(trained.model).__name__}, but this format needs a "
        "tagger, a text classifier or a neural language model; name another run or checkpoint"
    )


class _Texts(nn.Module):
    """A tagger up to the scores of tags, or a classifier up to the probabilities of labels."""

    def __init__(self, model: nn.Module, kind: str) -> None:
        super().__init__()
        self.model: Any = model
        self.kind = kind

    def forward(self, *inputs: Tensor) -> Tensor:
        """Returns scores [batch time tag], or probabilities [batch label]."""
        *numbers, lengths = inputs
        pairs = zip(self.model.inputs.parts, numbers, strict=True)
        vectors = torch.cat([part(rows) for part, rows in pairs], dim=-1)
        states = self.model.encoder(vectors, lengths).states
        if self.kind == "tagger":
            return cast(Tensor, self.model.decoder.linear(states))
        return cast(Tensor, self.model.layers(self.model.pooling(states, lengths)).softmax(-1))


def _of_texts(trained: Trained, kind: str) -> Graph:
    model: Any = trained.model
    parts, lexicon = model.inputs.parts, trained.data["lexicon"]
    names = [f"{type(part).__name__.lower()}_{index}" for index, part in enumerate(parts)]
    words = list(lexicon["words"])
    tables = model.inputs.index(words, lexicon["columns"])
    labels = model.decoder.tags if kind == "tagger" else model.labels.names
    metadata = {"kind": kind, "tags" if kind == "tagger" else "labels": json.dumps([*labels])}
    strings = [
        words if part.column is None else ["", *lexicon["columns"][part.column]] for part in parts
    ]
    for name, part, known, table in zip(names, parts, strings, tables, strict=True):
        numbers = dict(zip(known, table[:, 0].tolist(), strict=True))
        if table.shape[1] > 1:
            numbers = _numbers_of_characters(part, known)
        metadata[name] = json.dumps(numbers, ensure_ascii=False)

    def example(lengths: Tensor, seed: int) -> list[Tensor]:
        random = torch.Generator().manual_seed(seed)
        shape = (len(lengths), int(lengths.max()))
        rows = []
        for part, known in zip(parts, strings, strict=True):
            chosen = torch.randint(len(known), (shape[0] * shape[1],), generator=random).tolist()
            rows.append(part.index([known[index] for index in chosen]).view(*shape, -1))
        return [*rows, lengths]

    outputs = ["scores" if kind == "tagger" else "probabilities"]
    timed = frozenset(names + (outputs if kind == "tagger" else []))
    spelled = frozenset(
        name for name, table in zip(names, tables, strict=True) if table.shape[1] > 1
    )
    module = _Texts(model, kind).eval()
    return Graph(module, [*names, "lengths"], outputs, timed, spelled, example, metadata)


def _numbers_of_characters(part: Any, strings: Sequence[str]) -> dict[str, int]:  # noqa: ANN401
    """Returns the number of each character, of which the row of a string consists."""
    characters = sorted(set().union(*strings))
    return dict(zip(characters, part.index(characters)[:, 0].tolist(), strict=True))


class _Step(nn.Module):
    """A language model from tokens and a flat carry to the next token and a flat carry."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model

    def forward(self, tokens: Tensor, *carry: Tensor) -> tuple[Tensor, ...]:
        """Returns the log-probabilities of the next token [batch vocab], and the new carry."""
        like = self.model.encoder.initial_carry(1)
        states, new = self.model(tokens, unflatten_carry(carry, like))
        return self.model.head.log_distribution(states[:, -1]), *flatten_carry(new)


def _of_language_model(trained: Trained) -> Graph:
    model: Any = trained.model
    size = len(model.vocabulary)
    num_parts = len(flatten_carry(model.encoder.initial_carry(1)))
    old, new = ([f"{which}_{index}" for index in range(num_parts)] for which in ("carry", "new"))

    def example(lengths: Tensor, seed: int) -> list[Tensor]:
        random = torch.Generator().manual_seed(seed)
        shape = (len(lengths), int(lengths.max()))
        tokens = torch.randint(size, shape, generator=random)
        carry: Sequence[Tensor] = flatten_carry(model.encoder.initial_carry(len(lengths)))
        return [tokens, *(part.clone() for part in carry)]

    metadata = {
        "kind": "language model",
        "unit": str(trained.unit),
        "vocabulary": json.dumps(model.vocabulary.decode(range(size)), ensure_ascii=False),
    }
    outputs = ["log_probs", *new]
    timed = frozenset({"tokens"})
    module = _Step(model).eval()
    return Graph(module, ["tokens", *old], outputs, timed, frozenset(), example, metadata)
