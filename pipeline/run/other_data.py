"""Scores a trained model on other data than its own test split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch

from pipeline.checkpoints.locate import folder_of, locate
from pipeline.checkpoints.read import Trained, load_trained
from pipeline.console import print_note, print_result
from pipeline.contracts import OtherCorpus, ReadsOtherData
from pipeline.errors import InputError
from pipeline.float32 import tf32
from pipeline.inference.unseen_words import UnseenWords
from pipeline.metrics.labels import score_names
from pipeline.protocols import implements
from pipeline.run.devices import ends_determinism, explain_nondeterminism
from pipeline.run.evaluate import evaluation_trainer
from pipeline.run.experiment import build_data
from pipeline.tracking.lookup import add_values
from pipeline.tracking.run import run_state

_ENDINGS = (".txt", ".tsv", ".csv", ".json", ".jsonl", ".parquet", ".conll", ".conllu", ".gz")


class OtherData(NamedTuple):
    """Data to score a model on.

    Attributes:
        name: Name of its scores, `test/<name>/...`.
        path: File or folder.
    """

    name: str
    path: str


def parse_other_data(given: Sequence[str]) -> list[OtherData]:
    """Parses the values of `--on`: `PATH`, or `NAME=PATH` to name its scores.

    Raises `InputError` if a name occurs twice or contains other characters than scores may have.

    Example:
        >>> parse_other_data(["corpora/eng.testb", "old=news.txt"])[0].name
        'eng.testb'
    """
    found: list[OtherData] = []
    for value in given:
        name, sign, path = value.partition("=")
        if not sign or "/" in name or Path(value).exists():
            path, name = value, _name_of(value)
            [name] = score_names([name])
        elif not name or score_names([name]) != [name]:
            raise InputError(
                f"--on {value}: {name!r} cannot be part of the name of a score; use letters, "
                "digits and the characters _ . -"
            )
        if name in [other.name for other in found]:
            raise InputError(
                f"--on: two data sets have the name {name!r}; name them, for example "
                f"--on {name}-2={path}"
            )
        found.append(OtherData(name, path))
    return found


def _name_of(path: str) -> str:
    name = Path(path).absolute().name
    while name.lower().endswith(_ENDINGS):
        name = Path(name).stem
    return name


@tf32(False)
@ends_determinism()
@explain_nondeterminism()
def evaluate_on(
    run: str | None,
    checkpoint: Path | None,
    on: Sequence[OtherData],
    fields: Sequence[str],
    vectors: Path | None,
) -> int:
    """Prints the scores of a trained model on other data, and adds them to its run.

    `vectors` is the file of word vectors as in `UnseenWords`. Nothing is scored before all data has
    been read.
    """
    trained = load_trained(locate(run, checkpoint))
    reader, settings, _ = build_data(trained, fields)
    if not implements(reader, ReadsOtherData):
        raise InputError(
            f"{type(reader).__name__} reads no other data than that of training; leave out --on"
        )
    others = {other: cast(Any, reader).other(other.path, trained.data) for other in on}
    unseen = _unseen_words(trained, vectors)
    scores: dict[str, float] = {}
    for other, corpus in others.items():
        _add_words(trained, unseen, corpus, other.name)
        trainer = evaluation_trainer(settings, [])
        trainer.test(trained.model, cast(Any, corpus.module), verbose=False)
        for name, value in sorted(trainer.callback_metrics.items()):
            full = f"test/{other.name}/{name.removeprefix('test/')}"
            scores[full] = float(value)
            print_result(f"{full} {scores[full]:.10g}")
    if run is not None:
        tags = {f"unroll.on.{o.name}": _about(corpus) for o, corpus in others.items()}
        _record(run, scores, tags)
    return 0


def _unseen_words(trained: Trained, vectors: Path | None) -> UnseenWords | None:
    """Returns the source of pretrained vectors; None for a model without input parts."""
    if hasattr(trained.model, "inputs"):
        return UnseenWords(trained, vectors)
    if vectors is not None:
        raise InputError("--vectors: the model reads no pretrained word vectors; leave it out")
    return None


def _add_words(trained: Trained, unseen: UnseenWords | None, other: OtherCorpus, name: str) -> None:
    """Adds the words of other data to the model, and prints notes about the data."""
    if other.lexicon is not None and unseen is not None:
        places = {word: index for index, word in enumerate(other.lexicon.counts)}
        ids = torch.tensor([places[token] for token in other.tokens], dtype=torch.int64)
        counts = unseen.read(list(places), ids, other.num_items)
        cast(Any, trained.model).inputs.read(other.lexicon)
        print_note(f"{name}: {unseen.summary(counts, 'sentences or texts')}")
    for note in other.notes:
        print_note(f"note: {name}: {note}")


def _about(other: OtherCorpus) -> str:
    [split] = other.module.describe()
    return f"{split.path} (SHA-256 {split.sha256[:12]})"


def _record(run: str, scores: Mapping[str, float], tags: Mapping[str, str]) -> None:
    try:
        run_id = folder_of(run).run_id
        if run_state(run_id).status == "RUNNING":
            print_note(f"run {run_id} is still being trained: the scores are not added to it")
            return
        add_values(run_id, scores, tags)
    except InputError as error:
        print_note(f"the scores are not added to the run: {error}")
