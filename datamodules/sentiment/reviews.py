"""Readers of corpora with one file or folder per label: Movie Review and folders of documents."""

from collections.abc import Sequence
from pathlib import Path

from datamodules.batching.splits import fill_splits, hold_out, stratified
from datamodules.batching.texts import LabelledCorpus, LabelledSource, LabelledText
from datamodules.files.lines import read_lines, refuse_damaged
from datamodules.files.paths import SENTIMENT, locate
from datamodules.sentiment.preprocessing import treebank_words
from pipeline.errors import InputError

_POLARITIES = {"negative": "rt-polarity.neg", "positive": "rt-polarity.pos"}
_NUM_FOLDS = 10
_FLAG = "--data.source.encoding"
_VALID_FRACTION = 0.1
_MAX_DOCUMENT_BYTES = 1 << 24


class MovieReviews(LabelledSource):
    r"""Reads the sentence polarity corpus of Pang and Lee (2005), in ten folds.

    The corpus defines no folds; stratified ones are made with a seed. A stratified tenth of the
    sentences outside the test fold is used for validation (Kim 2014, arXiv 1408.5882).

    Args:
        corpus: Name "mr", or path of a folder with `rt-polarity.neg` and `rt-polarity.pos`.
        fold: Index of the fold to test on, 0 to 9.
        seed: Random seed of the folds.
        encoding: Encoding of the files; the distribution of Pang and Lee uses "cp1252".

    Raises:
        InputError: If `fold` is out of range.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("rt-polarity.neg", "rt-polarity.pos"):
        ...         _ = pathlib.Path(folder, name).write_text("a film .\n" * 20)
        ...     splits = MovieReviews(folder, fold=3).read().splits
        >>> {split: len(texts) for split, texts in splits.items()}
        {'train': 32, 'valid': 4, 'test': 4}
    """

    name = "mr"
    num_folds = _NUM_FOLDS

    def __init__(
        self, corpus: str = "mr", fold: int = 0, seed: int = 1, encoding: str = "utf-8"
    ) -> None:
        if not 0 <= fold < _NUM_FOLDS:
            raise InputError(f"fold is {fold}; Movie Review has the folds 0 to {_NUM_FOLDS - 1}")
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
                    "expected (`unroll prepare mr` downloads it)"
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
                "tenth of the other sentences is used for validation",
            ),
        )


class Folders(LabelledSource):
    """Reads a folder of documents with one subfolder per label, in the layout of IMDB.

    The layout is `train/pos/*.txt`, `train/neg/*.txt`, `test/pos/*.txt` and so on. If `valid` or
    `test` is missing, a stratified fraction of the training documents is held out. Folders of
    labels at the top (`pos/*.txt`, `neg/*.txt`) are read as `train`. Documents without a label
    (`train/unsup`) are skipped.

    Args:
        corpus: Name "imdb", or path of a folder.
        fraction: Fraction of the training documents to hold out for each missing split; 0 for
            cross-validation only.
        seed: Random seed of the held-out documents.
        encoding: Encoding of the files.
        labels: Names of the label folders, in order; by default all folders, alphabetically.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for label in ("neg", "pos"):
        ...         pathlib.Path(folder, label).mkdir()
        ...         for i in range(10):
        ...             _ = pathlib.Path(folder, label, f"{i}.txt").write_text(f"Film {i}.")
        ...     corpus = Folders(folder, fraction=0.2).read()
        >>> corpus.labels, [len(texts) for texts in corpus.splits.values()]
        (('neg', 'pos'), [13, 3, 4])
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
            # Labels that never occur in training are evaluated too, unless labels are given.
            others = set() if self._labels else _folders_in(path) - {*labels}
            splits[split] = self._read(path, [*labels, *sorted(others)])
        splits, held_out = fill_splits(splits, self._fraction, self._seed, self.name, "folder")
        return LabelledCorpus(
            splits=splits,
            files={split: found.get(split, found["train"]) for split in splits},
            labels=tuple(labels),
            held_out=held_out,
        )

    def read_other(self, path: Path, labels: Sequence[str]) -> LabelledCorpus | None:
        """See `LabelledSource`; the path is a folder with one subfolder per label, or `test`."""
        path = path / "test" if (path / "test").is_dir() else path
        if not path.is_dir() or not (found := sorted(_folders_in(path))):
            return None
        return LabelledCorpus({"test": self._read(path, found)}, {"test": path}, (*labels,))

    def _read(self, folder: Path, labels: Sequence[str]) -> list[LabelledText]:
        texts = []
        for label in labels:
            for path in sorted((folder / label).glob("*.txt")):
                text = "".join(read_lines(path, _MAX_DOCUMENT_BYTES, self._encoding, flag=_FLAG))
                refuse_damaged(text, str(path))
                tokens = treebank_words(text)
                if not tokens:
                    raise InputError(f"{path} is empty; a text is expected")
                texts.append(LabelledText(tokens, label))
        return texts


def _folders_in(folder: Path) -> set[str]:
    return {
        path.name
        for path in folder.iterdir()
        if path.is_dir() and path.name != "unsup" and any(path.glob("*.txt"))
    }


def _labels_in(folder: Path, named: Sequence[str] | None) -> list[str]:
    found = _folders_in(folder)
    if named is not None and (missing := [label for label in named if label not in found]):
        raise InputError(
            f"{folder} has no folder {missing[0]!r} with .txt files, which --data.source.labels "
            f"names; it has {', '.join(sorted(found)) or 'none'}"
        )
    labels = list(named or sorted(found))
    if len(labels) < 2:
        raise InputError(
            f"{folder} has {', '.join(labels) or 'no folder'} with .txt files; two or more folders "
            "named after labels (pos, neg) are expected"
        )
    return labels
