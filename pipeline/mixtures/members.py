"""The trained models that a mixture is made of."""

from pathlib import Path
from typing import Any, NamedTuple

from lightning.pytorch import LightningModule

from pipeline.checkpoints.locate import locate
from pipeline.checkpoints.read import (
    LANGUAGE_MODELS,
    assemble,
    data_state,
    read_checkpoint,
    split_member,
)
from pipeline.errors import InputError
from pipeline.text.vocabulary import Vocabulary


class Member(NamedTuple):
    """A trained model in a mixture.

    Attributes:
        model: in evaluation mode.
        card: what a checkpoint needs to build it again, without its numbers.
    """

    model: LightningModule
    card: dict[str, Any]


def load_member(name: str, vocabulary: Vocabulary) -> Member:
    """Builds a member.

    Args:
        name: a run, the file of a checkpoint, or a name that `portable_model` gave.
        vocabulary: of the mixture; the member must have the same.

    Raises:
        InputError: there is no such model, it is no language model, or it knows other words.
    """
    held = split_member(name)
    if held is not None:
        path, checkpoint = held[0], _held(*held)
    else:
        path = _find(name)
        checkpoint = read_checkpoint(path)
        if "members" in checkpoint:
            raise InputError(f"members: {name} is a mixture itself; name its members instead")
    trained = assemble(path, checkpoint, *LANGUAGE_MODELS)
    _check_words(name, trained.data["vocabulary"], vocabulary)
    kept = {"config": checkpoint["config"], "data": data_state(checkpoint)}
    kept["data"] = {key: value for key, value in kept["data"].items() if key != "vocabulary"}
    return Member(trained.model, kept)


def _find(name: str) -> Path:
    if Path(name).is_file():
        return Path(name)
    try:
        return locate(name, None)
    except InputError as error:
        raise InputError(f"members: {name} is no file of a checkpoint, and {error}") from error


def _held(path: Path, index: int) -> dict[str, Any]:
    """Cuts a member out of a mixture's checkpoint."""
    mixture = read_checkpoint(path)
    card = mixture["members"][index]
    prefix = f"members.{index}."
    weights = {
        key.removeprefix(prefix): value
        for key, value in mixture["state_dict"].items()
        if key.startswith(prefix)
    }
    datamodule = card["config"]["data"]["class_path"].rpartition(".")[2]
    words = {"vocabulary": data_state(mixture)["vocabulary"]}
    return {
        "config": card["config"],
        "state_dict": weights,
        datamodule: {**card["data"], **words},
    }


def _check_words(name: str, words: list[str], vocabulary: Vocabulary) -> None:
    if words == vocabulary.words:
        return
    pairs = enumerate(zip(words, vocabulary.words, strict=False))
    differing = next(((index, pair) for index, pair in pairs if pair[0] != pair[1]), None)
    if differing is None:
        longer = words if len(words) > len(vocabulary) else vocabulary.words
        place = min(len(words), len(vocabulary))
        what = f"one has {longer[place]!r} as word {place} where the other ends"
    else:
        place, (theirs, ours) = differing
        what = f"word {place} is {theirs!r} there and {ours!r} in the corpus"
    raise InputError(
        f"members: {name} has another vocabulary than the corpus: {what}; mix models that were "
        "trained on one corpus with the same vocabulary limits"
    )
