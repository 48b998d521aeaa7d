"""Answers raw texts with a trained model of any task."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

from pipeline.checkpoints.read import Trained, load_trained, require
from pipeline.contracts import Generator, SentenceTagger, TextClassifier
from pipeline.errors import InputError
from pipeline.inference.annotation import sentence_tagger, text_classifier
from pipeline.inference.annotation.output_formats import classified_json, tagged_json
from pipeline.inference.generate import generate_texts
from pipeline.inference.scoring import InputLine, ScoreFormat, Scorer
from pipeline.inference.serving.signature import PARAMETERS
from pipeline.options import Sampling
from pipeline.protocols import implements

Answers = list[dict[str, Any]]


class TextModel:
    """A trained tagger, classifier or language model that answers raw texts.

    Args:
        trained: Trained model.

    Raises:
        InputError: If the model cannot read raw text.

    Example:
        >>> TextModel.load(Path("missing.ckpt"))
        Traceback (most recent call last):
        pipeline.errors.InputError: there is no checkpoint file missing.ckpt
    """

    def __init__(self, trained: Trained) -> None:
        self._answer: Callable[[Sequence[str], Mapping[str, Any]], Answers]
        if implements(trained.model, SentenceTagger):
            self._answer = _tagger(trained)
        elif implements(trained.model, TextClassifier):
            self._answer = _classifier(trained)
        else:
            kind = "a tagger, a text classifier or a language model"
            self._answer = _language_model(require(trained, Generator, kind))

    @classmethod
    def load(cls, checkpoint: Path) -> Self:
        """Loads the model of a checkpoint; raises `InputError` as `load_trained` does."""
        return cls(load_trained(checkpoint))

    def answer(self, texts: Sequence[str], params: Mapping[str, Any]) -> Answers:
        """Returns one answer per text, with the values that `unroll predict` and `score` write.

        A tagger returns "spans", a classifier "label" (None for a text without tokens) and
        "probabilities"; offsets are characters of the text. A language model returns scores or,
        with the parameter "verb" set to "generate", "texts" that begin with the text.

        Args:
            texts: Texts; each is one sentence of a tagger or language model.
            params: Parameters for language models, as in the signature of the logged model.

        Raises:
            InputError: If a parameter has an invalid value.
        """
        return self._answer(texts, params)


def _tagger(trained: Trained) -> Callable[[Sequence[str], Mapping[str, Any]], Answers]:
    tag = sentence_tagger(trained)

    def answer(texts: Sequence[str], params: Mapping[str, Any]) -> Answers:
        answers: Answers = [{"text": text, "spans": []} for text in texts]
        for tagged in tag(texts):
            answers[tagged.passage.line - 1]["spans"] = json.loads(tagged_json(tagged))["spans"]
        return answers

    return answer


def _classifier(trained: Trained) -> Callable[[Sequence[str], Mapping[str, Any]], Answers]:
    classify = text_classifier(trained)
    labels = cast(TextClassifier, trained.model).labels.names

    def answer(texts: Sequence[str], params: Mapping[str, Any]) -> Answers:
        answers: Answers = [{"text": text, "label": None, "probabilities": {}} for text in texts]
        for classified in classify(texts):
            row = json.loads(classified_json(classified, labels))
            answers[classified.passage.line - 1].update(
                label=row["label"], probabilities=row["probabilities"]
            )
        return answers

    return answer


def _language_model(trained: Trained) -> Callable[[Sequence[str], Mapping[str, Any]], Answers]:
    form = ScoreFormat("jsonl")

    def answer(texts: Sequence[str], params: Mapping[str, Any]) -> Answers:
        values = {name: params.get(name, default) for name, (_, default) in PARAMETERS.items()}
        if (verb := values.pop("verb")) not in ("score", "generate"):
            raise InputError(f"parameter verb must be score or generate, got {verb!r}")
        if verb == "generate":
            sampling = _sampling(values)
            return [{"text": t, "texts": generate_texts(trained, t, sampling)} for t in texts]
        lines = (InputLine(number, text) for number, text in enumerate(texts, 1))
        rows = (
            json.loads(line) for one in Scorer(trained).score(lines) for line in form.lines(one)
        )
        return [{key: row[key] for key in row if key != "line"} for row in rows]

    return answer


def _sampling(values: Mapping[str, Any]) -> Sampling:
    for name in ("num", "length", "lines"):
        if values[name] < 1:
            raise InputError(f"parameter {name} must be at least 1, got {values[name]}")
    if values["top_k"] < 0:
        raise InputError(f"parameter top_k must be 0 (all tokens) or more, got {values['top_k']}")
    if not 0 <= values["temperature"] < float("inf"):
        raise InputError(f"parameter temperature must be 0 or more, got {values['temperature']}")
    if not 0 < values["top_p"] <= 1:
        raise InputError(f"parameter top_p must be above 0 and at most 1, got {values['top_p']}")
    return Sampling(**{**values, "top_k": values["top_k"] or None})
