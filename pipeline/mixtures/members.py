"""The trained language models in a mixture, and their form in the mixture's checkpoint."""

from collections.abc import Mapping
from typing import Any

from pipeline.checkpoints.read import Trained, assemble, data_state
from pipeline.errors import InputError
from pipeline.text.vocabulary import Vocabulary


def card(member: Trained) -> dict[str, Any]:
    """Returns what a checkpoint needs besides weights and vocabulary to rebuild a member."""
    data = {key: value for key, value in member.data.items() if key != "vocabulary"}
    return {"name": member.name, "config": member.config, "data": data}


def members_of(checkpoint: Mapping[str, Any]) -> list[Trained]:
    """Builds the members in the checkpoint of a mixture."""
    words = {"vocabulary": data_state(checkpoint)["vocabulary"]}
    members = []
    for index, held in enumerate(checkpoint["members"]):
        prefix = f"members.{index}."
        weights = {
            key.removeprefix(prefix): value
            for key, value in checkpoint["state_dict"].items()
            if key.startswith(prefix)
        }
        datamodule = held["config"]["data"]["class_path"].rpartition(".")[2]
        own = {
            "config": held["config"],
            "state_dict": weights,
            datamodule: {**held["data"], **words},
        }
        members.append(assemble(own, held["name"]))
    return members


def check_vocabulary(member: Trained, vocabulary: Vocabulary) -> None:
    """Raises an `InputError` if the vocabularies of a member and the mixture differ."""
    words = member.data["vocabulary"]
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
        f"members: {member.name} has another vocabulary than the corpus: {what}; mix models that "
        "were trained on one corpus with the same vocabulary limits"
    )
