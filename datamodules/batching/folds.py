"""Cross-validation folds for corpora without folds of their own."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, TypeVar

from datamodules.batching.sentences import TaggedCorpus, TaggedSource
from datamodules.batching.splits import stratified
from datamodules.batching.texts import LabelledCorpus, LabelledSource
from pipeline.errors import InputError

_Row = TypeVar("_Row")


class SentenceFolds(TaggedSource):
    """Splits the training and validation sentences of a tagged corpus into folds.

    One fold is the test split, the next one the validation split and all others the training split.
    A test file of the corpus is not used, so that it stays unseen; without such a file, each
    sentence of the corpus is tested once.

    Args:
        source: Reader of the corpus.
        num_folds: Number of folds, at least 3.
        fold: Index of the fold to test on, from 0.
        seed: Random seed for assigning sentences to folds.

    Raises:
        InputError: If `num_folds` is below 3 or above the number of sentences, or if `fold` is out
            of range.

    Example:
        >>> from datamodules.tagging.builtin import BuiltinOpinions
        >>> corpus = SentenceFolds(BuiltinOpinions(num_train=100), num_folds=6, fold=2).read()
        >>> {split: len(sentences) for split, sentences in corpus.splits.items()}
        {'train': 400, 'valid': 100, 'test': 100}
    """

    def __init__(
        self, source: TaggedSource, num_folds: int = 10, fold: int = 0, seed: int = 1
    ) -> None:
        _check(num_folds, fold)
        self._source, self.num_folds, self._fold, self._seed = source, num_folds, fold, seed
        self.name = source.name

    def read(self) -> TaggedCorpus:
        """See `TaggedSource`."""
        corpus = self._source.read()
        sentences = [s for split in _split_again(corpus) for s in corpus.splits[split]]
        _check_size(len(sentences), self.num_folds, f"{self.name} has", "lower num_folds")
        order = Random(self._seed).sample(range(len(sentences)), len(sentences))  # noqa: S311
        parts = [sorted(order[part :: self.num_folds]) for part in range(self.num_folds)]
        splits = _roles(sentences, parts, self._fold)
        note = (
            f"fold {self._fold} of {self.num_folds}, made with seed {self._seed} from "
            f"{_sources(corpus, len(sentences), 'sentences')}; sentences of one document may be in "
            "different folds"
        )
        return corpus._replace(
            splits=splits,
            files=dict.fromkeys(splits, corpus.files["train"]),
            notes=(*corpus.notes, note),
            held_out={},
        )


class TextFolds(LabelledSource):
    """Splits the training and validation texts of a labelled corpus into stratified folds.

    One fold is the test split, the next one the validation split and all others the training split.
    A test file of the corpus is not used; without such a file, each text of the corpus is tested
    once. Phrases with labels are dropped.

    Args:
        source: Reader of the corpus.
        num_folds: Number of folds, at least 3.
        fold: Index of the fold to test on, from 0.
        seed: Random seed for assigning texts to folds.

    Raises:
        InputError: If `num_folds` is below 3 or above the number of texts, or if `fold` is out of
            range.

    Example:
        >>> from datamodules.sentiment.builtin import BuiltinReviews
        >>> corpus = TextFolds(BuiltinReviews(num_train=200), num_folds=4).read()
        >>> {split: len(texts) for split, texts in corpus.splits.items()}
        {'train': 600, 'valid': 300, 'test': 300}
    """

    def __init__(
        self, source: LabelledSource, num_folds: int = 10, fold: int = 0, seed: int = 1
    ) -> None:
        _check(num_folds, fold)
        self._source, self.num_folds, self._fold, self._seed = source, num_folds, fold, seed
        self.name = source.name

    def read(self) -> LabelledCorpus:
        """See `LabelledSource`."""
        corpus = self._source.read()
        texts = [text for split in _split_again(corpus) for text in corpus.splits[split]]
        _check_size(len(texts), self.num_folds, f"{self.name} has", "lower num_folds")
        splits = _roles(texts, stratified(texts, self.num_folds, self._seed), self._fold)
        note = (
            f"fold {self._fold} of {self.num_folds}, stratified, made with seed {self._seed} from "
            + _sources(corpus, len(texts), "texts")
        )
        return corpus._replace(
            splits=splits,
            files=dict.fromkeys(splits, corpus.files["train"]),
            phrases=(),
            notes=(*corpus.notes, note),
            held_out={},
        )


def folds_config(
    kind: type[SentenceFolds] | type[TextFolds],
    source: Mapping[str, Any],
    num_folds: int,
    name: str,
    corpus: TaggedCorpus | LabelledCorpus,
) -> dict[str, Any]:
    """Returns the configuration of a source that splits the configured `source` into folds.

    Raises `InputError` if the corpus, named `name` in the message, has fewer rows than folds.
    """
    num_rows = sum(len(corpus.splits[split]) for split in _split_again(corpus))
    _check_size(num_rows, num_folds, f"--folds {num_folds}: {name} has", "lower --folds")
    return {
        "class_path": f"{kind.__module__}.{kind.__qualname__}",
        "init_args": {"source": dict(source), "num_folds": num_folds, "fold": 0},
    }


def _split_again(corpus: TaggedCorpus | LabelledCorpus) -> list[str]:
    """Returns the splits whose rows are divided into folds."""
    is_part = "test" in corpus.held_out
    return ["train", "valid", "test"] if is_part else ["train", "valid"]


def _sources(corpus: TaggedCorpus | LabelledCorpus, num_rows: int, unit: str) -> str:
    if "test" in corpus.held_out:
        return f"all {num_rows:,} {unit}"
    return (
        f"the {num_rows:,} training and validation {unit}; the test split of the corpus is not used"
    )


def _roles(
    rows: Sequence[_Row], parts: Sequence[Sequence[int]], tested: int
) -> dict[str, list[_Row]]:
    roles = {tested: "test", (tested + 1) % len(parts): "valid"}
    splits: dict[str, list[int]] = {"train": [], "valid": [], "test": []}
    for number, part in enumerate(parts):
        splits[roles.get(number, "train")] += part
    return {split: [rows[i] for i in sorted(indices)] for split, indices in splits.items()}


def _check(num_folds: int, fold: int) -> None:
    if num_folds < 3:
        raise InputError(
            f"num_folds is {num_folds}; at least 3 are needed: one for testing, one for validation "
            "and the others for training"
        )
    if not 0 <= fold < num_folds:
        raise InputError(
            f"fold is {fold}; with {num_folds} folds, 0 to {num_folds - 1} is expected"
        )


def _check_size(num_rows: int, num_folds: int, where: str, advice: str) -> None:
    if num_rows < num_folds:
        raise InputError(
            f"{where} {num_rows:,} training and validation rows, fewer than {num_folds} folds; "
            f"{advice}"
        )
