"""Computes what the page shows for a text that was typed."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.errors import InputError
from pipeline.inference.serving import TextModel

_COLORS = ("#f59e0b", "#06b6d4", "#d946ef", "#22c55e", "#3b82f6", "#ef4444")  # as in a terminal


class Marked(NamedTuple):
    """A text with marked spans, as `gradio.HighlightedText` takes it.

    Attributes:
        value: The text, and its "entities": name, start and end in characters.
        colors: Color of each name of an entity.
    """

    value: dict[str, Any]
    colors: dict[str, str]


def tagged(model: TextModel, text: str, colors: dict[str, str]) -> Marked:
    """Tags a text, and names each span by its label and confidence, such as "PER 0.98".

    Args:
        model: Tagger.
        text: Text with one sentence per line.
        colors: Colors by label; new labels are added.

    Returns:
        The spans; those with the same label have the same color, whatever their confidence.
    """
    lines = text.split("\n")
    marked, start = Marked({"text": text, "entities": []}, {}), 0
    for line, answer in zip(lines, model.answer(lines, {}), strict=True):
        for span in answer["spans"]:
            label = span["label"]
            name = f"{label} {span['confidence']:.2f}"
            marked.value["entities"].append(
                {"entity": name, "start": start + span["start"], "end": start + span["end"]}
            )
            color = colors.setdefault(label, _COLORS[len(colors) % len(_COLORS)])
            marked.colors[name] = color
        start += len(line) + 1
    return marked


def classified(model: TextModel, text: str) -> dict[str, float]:
    """Returns the probability of each label of a classifier; none for a text without tokens."""
    (answer,) = model.answer([text], {})
    probabilities: dict[str, float] = answer["probabilities"]
    return probabilities


def continued(model: TextModel, text: str, settings: Mapping[str, Any]) -> tuple[str, str]:
    """Continues a text with a language model, and computes the perplexity of the text itself.

    Args:
        model: Language model.
        text: Beginning of the text; line ends count as spaces.
        settings: Values of "temperature", "length" (maximum number of new tokens), "lines" and
            "seed", as of `unroll generate`.

    Returns:
        The text with its continuation, and a sentence about its perplexity.

    Raises:
        InputError: If a setting is missing or invalid.
    """
    for name, value in settings.items():
        if value is None:
            raise InputError(f"the field {name} is empty; enter a number")
    line = text.replace("\n", " ")
    (generated,) = model.answer([line], {"verb": "generate", **settings})
    (scores,) = model.answer([line], {"verb": "score"})
    value = scores["perplexity"]
    number = "infinite" if value is None else f"{value:.2f}"
    sentence = f"{number} (tokens: {scores['num_tokens']} with the end of the line"
    sentence += f", of which {scores['num_unknown']} unknown)"
    return generated["texts"][0], sentence
