"""Folds of a corpus that has none of its own."""

from random import Random

from datamodules.batching.sentences import Source, TaggedCorpus
from datamodules.batching.splits import stratified
from datamodules.batching.texts import LabelledCorpus, LabelledSource
from pipeline.errors import InputError


class Folds(Source):
    """Cuts the training and validation sentences of a corpus into folds.

    The sentences of one fold are the test split, those of the next one the validation split, and
    the others the training split. The corpus' own test split is left alone, so that nothing is
    chosen by it.

    Args:
        source: reads the corpus.
        num_folds: how many, 3 or more.
        fold: which of them is tested.
        seed: of the shuffle before sentences are dealt out.

    Raises:
        InputError: there are too few folds or sentences, or there is no such fold.
    """

    def __init__(self, source: Source, num_folds: int = 10, fold: int = 0, seed: int = 1) -> None:
        _check(num_folds, fold)
        self._source, self.num_folds, self._fold, self._seed = source, num_folds, fold, seed
        self.name = source.name

    def read(self) -> TaggedCorpus:
        """See `Source`."""
        corpus = self._source.read()
        sentences = [s for split in ("train", "valid") for s in corpus.splits[split]]
        if len(sentences) < self.num_folds:
            raise InputError(
                f"{self.name} has {len(sentences)} sentences to train and validate with, fewer "
                f"than the {self.num_folds} folds; lower num_folds"
            )
        order = Random(self._seed).sample(range(len(sentences)), len(sentences))  # noqa: S311
        valid = (self._fold + 1) % self.num_folds
        roles = {self._fold: "test", valid: "valid"}
        splits: dict[str, list[int]] = {"train": [], "valid": [], "test": []}
        for place, index in enumerate(order):
            splits[roles.get(place % self.num_folds, "train")].append(index)
        note = (
            f"fold {self._fold} of {self.num_folds}, made with seed {self._seed} from the "
            f"{len(sentences):,} training and validation sentences, those of a document in any of "
            "them; the corpus' own test split is not used"
        )
        return corpus._replace(
            splits={split: [sentences[i] for i in sorted(rows)] for split, rows in splits.items()},
            files=dict.fromkeys(splits, corpus.files["train"]),
            notes=(*corpus.notes, note),
        )


class TextFolds(LabelledSource):
    """Cuts the training and validation texts of a corpus into folds, stratified.

    Roles and arguments are those of `Folds`. Phrases are left out: a text may be in any fold.

    Args:
        source: reads the corpus.
        num_folds: how many, 3 or more.
        fold: which of them is tested.
        seed: of the shuffle before texts are dealt out.

    Raises:
        InputError: there are too few folds or texts, or there is no such fold.
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
        texts = [text for split in ("train", "valid") for text in corpus.splits[split]]
        if len(texts) < self.num_folds:
            raise InputError(
                f"{self.name} has {len(texts)} texts to train and validate with, fewer than the "
                f"{self.num_folds} folds; lower num_folds"
            )
        parts = stratified(texts, self.num_folds, self._seed)
        roles = {self._fold: "test", (self._fold + 1) % self.num_folds: "valid"}
        splits: dict[str, list[int]] = {"train": [], "valid": [], "test": []}
        for number, part in enumerate(parts):
            splits[roles.get(number, "train")] += part
        note = (
            f"fold {self._fold} of {self.num_folds}, stratified, made with seed {self._seed} from "
            f"the {len(texts):,} training and validation texts; the corpus' own test split is not "
            "used"
        )
        return corpus._replace(
            splits={split: [texts[i] for i in sorted(rows)] for split, rows in splits.items()},
            files=dict.fromkeys(splits, corpus.files["train"]),
            phrases=(),
            notes=(*corpus.notes, note),
        )


def _check(num_folds: int, fold: int) -> None:
    if num_folds < 3:
        raise InputError(
            f"num_folds is {num_folds}; 3 or more are expected: one to test, one to validate, the "
            "others to train"
        )
    if not 0 <= fold < num_folds:
        raise InputError(f"fold is {fold}; the {num_folds} folds are 0 to {num_folds - 1}")
