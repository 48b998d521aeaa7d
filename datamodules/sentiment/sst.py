"""Reader of the Stanford Sentiment Treebank (Socher et al. 2013)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from datamodules.batching.texts import LabelledCorpus, LabelledSource, LabelledText
from datamodules.files.paths import SENTIMENT, locate
from datamodules.sentiment.trees import Phrase, read_trees
from pipeline.errors import InputError

FILES = {"train": "train.txt", "valid": "dev.txt", "test": "test.txt"}
_FINE = ("very negative", "negative", "neutral", "positive", "very positive")
_BINARY = {0: "negative", 1: "negative", 3: "positive", 4: "positive"}


class Treebank(LabelledSource):
    """Reads the Stanford Sentiment Treebank: a folder with `train.txt`, `dev.txt`, `test.txt`.

    Validation and test use whole sentences only. Binary labels (SST-2) exclude neutral sentences
    and phrases, as in published results; other phrases of a neutral sentence are kept.

    Args:
        corpus: Name "sst", or path of a folder.
        labels: "binary" for 2 labels, or "fine" for 5 ordered labels.
        phrases: Whether to read the labelled phrases of training sentences.

    Attributes:
        name: "sst2" or "sst5".

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("train.txt", "dev.txt", "test.txt"):
        ...         _ = pathlib.Path(folder, name).write_text("(4 (2 A) (4 (3 good) (2 film)))")
        ...     corpus = Treebank(folder, labels="fine").read()
        >>> [(" ".join(phrase.tokens), phrase.label) for phrase in corpus.phrases[0][:3]]
        [('A', 'neutral'), ('good film', 'very positive'), ('good', 'positive')]
    """

    def __init__(
        self,
        corpus: str = "sst",
        labels: Literal["binary", "fine"] = "binary",
        phrases: bool = True,
    ) -> None:
        self.name = "sst2" if labels == "binary" else "sst5"
        self._corpus, self._labels, self._phrases = corpus, labels, phrases

    def read(self) -> LabelledCorpus:
        """See `LabelledSource`."""
        folder = locate(self._corpus, SENTIMENT)
        files = {split: folder / name for split, name in FILES.items()}
        for path in files.values():
            if not path.is_file():
                raise InputError(
                    f"no file {path}; a folder with {', '.join(FILES.values())} is expected"
                    " (`unroll prepare sst` downloads it)"
                )
        splits: dict[str, list[LabelledText]] = {}
        phrases: list[tuple[LabelledText, ...]] = []
        of_neutral: list[tuple[LabelledText, ...]] = []
        neutral = 0
        for split, path in files.items():
            splits[split] = []
            for whole, *parts in read_trees(path):
                text = self._text(whole)
                if split == "train" and self._phrases:
                    bags = of_neutral if text is None else phrases
                    bags.append(tuple(t for part in parts if (t := self._text(part))))
                if text is None:
                    neutral += 1
                else:
                    splits[split].append(text)
        phrases += of_neutral
        self._refuse_empty(splits, files)
        notes = [f"{neutral:,} neutral sentences were excluded"] if neutral else []
        if self._phrases:
            count = sum(len(of_one) for of_one in phrases)
            notes.append(f"the training trees contain {count:,} labelled phrases")
        is_fine = self._labels == "fine"
        names = _FINE if is_fine else ("negative", "positive")
        return LabelledCorpus(splits, files, names, is_fine, tuple(phrases), tuple(notes))

    def read_other(self, path: Path, labels: Sequence[str]) -> LabelledCorpus | None:
        """See `LabelledSource`; the path is a file of trees, or a folder with `test.txt`."""
        path = path / FILES["test"] if path.is_dir() else path
        if not path.is_file() or path.suffix != ".txt":
            return None
        texts = [text for whole, *_ in read_trees(path) if (text := self._text(whole)) is not None]
        self._refuse_empty({"test": texts}, {"test": path})
        return LabelledCorpus({"test": texts}, {"test": path}, (*labels,))

    def _text(self, phrase: Phrase) -> LabelledText | None:
        if self._labels == "fine":
            return LabelledText(phrase.tokens, _FINE[phrase.label])
        label = _BINARY.get(phrase.label)
        return None if label is None else LabelledText(phrase.tokens, label)

    @staticmethod
    def _refuse_empty(splits: dict[str, list[LabelledText]], files: dict[str, Path]) -> None:
        for split, texts in splits.items():
            if not texts:
                raise InputError(f"{files[split]} contains no labelled sentence")
