"""The trained language models in a mixture, and their form in the mixture's checkpoint."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.checkpoints.read import Trained, assemble, data_state, load_run
from pipeline.contracts import Generator
from pipeline.mixtures.arpa import ArpaLanguageModel, load_arpa
from pipeline.ngrams.arpa_lines import is_arpa
from pipeline.text.vocabulary import Vocabulary


def card(member: Trained, vocabulary: Vocabulary) -> dict[str, Any]:
    """Returns what a checkpoint needs besides weights to rebuild a member of a mixture.

    The member's vocabulary is left out if it is that of the mixture.
    """
    is_same = member.data["vocabulary"] == vocabulary.words
    data = {key: value for key, value in member.data.items() if key != "vocabulary" or not is_same}
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
        data = {**words, **held["data"]}
        if not held["config"]:  # of an ARPA file
            members.append(_arpa_member(weights, data, held["name"]))
            continue
        datamodule = held["config"]["data"]["class_path"].rpartition(".")[2]
        own = {"config": held["config"], "state_dict": weights, datamodule: data}
        members.append(assemble(own, held["name"]))
    return members


def load_member(name: str) -> Trained:
    """Loads a language model: an ARPA file, a run or a checkpoint file."""
    if Path(name).is_file() and is_arpa(Path(name)):
        return load_arpa(Path(name))
    return load_run(name, Generator, "a language model")


def _arpa_member(weights: Mapping[str, Any], data: dict[str, Any], name: str) -> Trained:
    model = ArpaLanguageModel(Vocabulary.from_data(data))
    model.load_state_dict(weights)
    return Trained(model.eval(), data, {}, name)
