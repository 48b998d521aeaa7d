"""Corpora of reviews in files that hold one label each: Movie Review, and folders of documents."""

from collections.abc import Sequence
from pathlib import Path

from datamodules.batching.splits import fill_splits, hold_out, stratified
from datamodules.batching.texts import LabelledCorpus, LabelledSource, LabelledText
from datamodules.files.lines import read_lines
from datamodules.files.paths import SENTIMENT, locate
from datamodules.sentiment.cleaning import refuse_damaged, treebank_words
from pipeline.errors import InputError

_POLARITIES = {"negative": "rt-polarity.neg", "positive": "rt-polarity.pos"}
_NUM_FOLDS = 10
_FLAG = "--data.source.encoding"
_VALID_FRACTION = 0.1
_MAX_DOCUMENT_BYTES = 1 << 24


class MovieReviews(LabelledSource):
    """Reads the sentence polarity corpus of Pang and Lee (2005), in ten folds.

    The folds are stratified and made by a seed, since the corpus has none of its own; a tenth of
    the sentences outside a fold, stratified too, validates (Kim 2014, arXiv 1408.5882).

    Args:
        corpus: "mr", or the path of a folder with `rt-polarity.neg` and `rt-polarity.pos`.
        fold: which of the ten is tested.
        seed: of the folds.
        encoding: of the files; "cp1252" reads them as Pang and Lee distribute them.

    Raises:
        InputError: there is no such fold.
    """

    name = "mr"
    num_folds = _NUM_FOLDS

    def __init__(
        self, corpus: str = "mr", fold: int = 0, seed: int = 1, encoding: str = "utf-8"
    ) -> None:
        if not 0 <= fold < _NUM_FOLDS:
            raise InputError(f"fold is {fold}; the ten folds are 0 to {_NUM_FOLDS - 1}")
        self._corpus, self._fold, self._seed, self._encoding = corpus, fold, seed, encoding

    def read(self) -> LabelledCorpus:
        """See `LabelledSource`."""
        folder = locate(self._corpus, SENTIMENT)
        texts: list[LabelledText] = []
        for label, name in _POLARITIES.items():
            path = folder / name
            if not path.is_file():
                raise InputError(
                    f"no file {path}; a folder with {' and '.join(_POLARITIES.values())} is "
                    "expected (`unroll prepare mr` gets it)"
                )
            lines = (
                line.split(" ") for line in read_lines(path, encoding=self._encoding, flag=_FLAG)
            )
            words = (tuple(w.strip("\r\n") for w in line if w.strip()) for line in lines)
            texts += [LabelledText(tokens, label) for tokens in words if tokens]
        folds = stratified(texts, _NUM_FOLDS, self._seed)
        tested = set(folds[self._fold])
        rest = [text for place, text in enumerate(texts) if place not in tested]
        train, valid = hold_out(rest, _VALID_FRACTION, self._seed, self.name)
        return LabelledCorpus(
            splits={"train": train, "valid": valid, "test": [texts[i] for i in folds[self._fold]]},
            files=dict.fromkeys(("train", "valid", "test"), folder),
            labels=tuple(_POLARITIES),
            notes=(
                f"fold {self._fold} of {_NUM_FOLDS}, stratified, made with seed {self._seed}; a "
                "tenth of the other sentences validates",
            ),
        )


class Folders(LabelledSource):
    """Reads a folder of documents, one folder a label, as IMDB is distributed.

    `train/pos/*.txt`, `train/neg/*.txt`, `test/pos/*.txt` and so on; `valid/` too, else a share of
    the training documents validates, and without `test/` another share tests. Folders of labels at
    the top (`pos/*.txt`, `neg/*.txt`) are one part, of which both shares are held out. Documents
    without a label (`train/unsup`) are left out.

    Args:
        corpus: "imdb", or the path of a folder.
        fraction: share of the texts that is held out where a split is missing, stratified.
        seed: of what is held out.
        encoding: of the files.
        labels: names of the folders that are labels, in their order; found if omitted.
    """

    def __init__(
        self,
        corpus: str,
        fraction: float = 0.1,
        seed: int = 1,
        encoding: str = "utf-8",
        labels: list[str] | None = None,
    ) -> None:
        self.name = Path(corpus).resolve().name
        self._corpus, self._fraction, self._seed = corpus, fraction, seed
        self._encoding, self._labels = encoding, labels

    def read(self) -> LabelledCorpus:
        """See `LabelledSource`."""
        folder = locate(self._corpus, SENTIMENT)
        found = {
            split: path for split in ("train", "valid", "test") if (path := folder / split).is_dir()
        } or {"train": folder}
        if "train" not in found:
            raise InputError(f"no folder {folder / 'train'}; train/<label>/*.txt is expected")
        labels = _labels_in(found["train"], self._labels)
        splits = {}
        for split, path in found.items():
            # A label that training lacks is read where labels were not chosen: it counts as missed.
            others = set() if self._labels else _folders_in(path) - {*labels}
            splits[split] = self._read(path, [*labels, *sorted(others)])
        splits, notes = fill_splits(splits, self._fraction, self._seed, self.name, "folder")
        return LabelledCorpus(
            splits=splits,
            files={split: found.get(split, found["train"]) for split in splits},
            labels=tuple(labels),
            notes=tuple(notes),
        )

    def _read(self, folder: Path, labels: Sequence[str]) -> list[LabelledText]:
        texts = []
        for label in labels:
            for path in sorted((folder / label).glob("*.txt")):
                text = "".join(read_lines(path, _MAX_DOCUMENT_BYTES, self._encoding, flag=_FLAG))
                refuse_damaged(text, str(path))
                tokens = treebank_words(text)
                if not tokens:
                    raise InputError(f"{path} is empty; a document is expected")
                texts.append(LabelledText(tokens, label))
        return texts


def _folders_in(folder: Path) -> set[str]:
    return {
        path.name
        for path in folder.iterdir()
        if path.is_dir() and path.name != "unsup" and any(path.glob("*.txt"))
    }


def _labels_in(folder: Path, named: Sequence[str] | None) -> list[str]:
    held = _folders_in(folder)
    if named is not None and (missing := [label for label in named if label not in held]):
        raise InputError(
            f"{folder} holds no folder {missing[0]!r} with .txt files, which --data.source.labels "
            f"names; there is {', '.join(sorted(held)) or 'none'}"
        )
    labels = list(named or sorted(held))
    if len(labels) < 2:
        raise InputError(
            f"{folder} holds the folders {', '.join(labels) or 'of no label'}; two folders of .txt "
            "files or more are expected, each called as its label (pos, neg)"
        )
    return labels
