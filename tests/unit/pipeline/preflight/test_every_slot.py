"""Class names, right and misspelt, in every place of a configuration that takes a class of ours."""

import json
from collections.abc import Iterator

import pytest

from pipeline.__main__ import SHORT_NAMES
from pipeline.errors import InputError
from pipeline.options import TOP_LEVEL
from pipeline.preflight import check
from tests.unit.pipeline.preflight.slots import Slot, all_slots, ours, path_of

SLOTS = {
    f"{slot.around[-1][2].__name__}.{slot.key}" if slot.around else slot.key: slot
    for slot in all_slots()
}


def spellings(slot: Slot, name: str) -> Iterator[list[str]]:
    """A class's name as a flag, and in a configuration with and without `class_path`."""
    yield slot.flags(name)
    yield slot.flags(f"{{class_path: {name}}}")
    for value in (name, {"class_path": name}):
        yield [f"--config={json.dumps(slot.config(value))}"]


def cases(slot: Slot) -> Iterator[str]:
    """The short name and the path of each class that fits."""
    for base in slot.bases:
        for kind in ours(base):
            yield from (kind.__name__, path_of(kind))


def test_the_introspection_finds_the_slots():
    assert {
        "model",
        "data",
        "trainer.callbacks",
        "Tagger.inputs",
        "Tagger.decoder",
        "SentenceFolds.source",
        "LanguageModel.encoder",
        "LanguageModel.dropout",
        "LanguageModel.penalty",
        "LanguageModel.lr_scheduler",
        "LSTM.initializer",
        "ClassSoftmax.classes",
        "Sampled.criterion",
        "NgramLanguageModel.smoothing",
        "MixtureLanguageModel.cache",
        "SentimentData.source",
    } <= SLOTS.keys()


@pytest.mark.parametrize("slot", SLOTS.values(), ids=SLOTS)
def test_right_names_pass(slot):
    for name in cases(slot):
        for arguments in spellings(slot, name):
            check(arguments, TOP_LEVEL, packages=SHORT_NAMES)


@pytest.mark.parametrize("slot", SLOTS.values(), ids=SLOTS)
def test_misspelt_names_are_reported_with_the_right_one(slot):
    for name in cases(slot):
        for wrong in (name + name[-1], name[:-2] + name[-1] + name[-2]):
            if wrong == name:
                continue
            for arguments in spellings(slot, wrong):
                with pytest.raises(InputError) as caught:
                    check(arguments, TOP_LEVEL, packages=SHORT_NAMES)
                assert f"unknown class {wrong}" in str(caught.value), arguments
                assert str(caught.value).endswith(f"did you mean {name}?"), arguments
