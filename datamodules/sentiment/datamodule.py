"""Datamodule of labelled texts, in batches of texts of similar length."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from datamodules.batching.base import Batching, BucketedData
from datamodules.batching.buckets import EpochSampler
from datamodules.batching.encode import EncodedTexts
from datamodules.batching.folds import TextFolds, folds_config
from datamodules.batching.splits import SplitDigest
from datamodules.batching.texts import GivenTexts, LabelledCorpus, LabelledSource, LabelledText
from datamodules.files.lexicons import CoveredLexicon, build_lexicon
from datamodules.sentiment.preprocessing import subsample_training, truncate_texts
from datamodules.sentiment.reviews import Folders
from datamodules.sentiment.sampling import BalancedSampler, PhraseSampler
from datamodules.sentiment.statistics import (
    check_splits,
    describe_labelled,
    digest,
    statistics,
    unseen_notes,
)
from datamodules.sentiment.table import Table
from pipeline.batches import Texts
from pipeline.contracts import OtherCorpus
from pipeline.errors import InputError
from pipeline.text import treebank
from pipeline.text.lexicon import Labels, Lexicon, differing
from pipeline.text.state import read_max_tokens


class SentimentData(BucketedData[Texts, LabelledSource]):
    """A LightningDataModule of labelled texts.

    A batch contains texts of similar length, padded to the longest one. All ranks get the same
    number of batches, and no text occurs twice in evaluation. Texts longer than `max_tokens` are
    reduced to their beginning and end, where most opinions are stated: documents of thousands of
    tokens would need the states of each token. A checkpoint contains the words and labels and the
    position in the epoch.

    Args:
        source: Reader of the corpus.
        batch_size: Number of texts of a training batch, over all ranks.
        phrases: Labelled phrases to train on besides whole texts: "none", "all", or a number of
            random phrases per text and epoch.
        sampling: Training texts of an epoch: "all", or "balanced" to sample the same number for
            each label, with replacement.
        max_tokens: Maximum number of tokens of a text; longer texts keep their first and last
            `max_tokens` / 2 tokens.
        eval_batch_tokens: Maximum number of tokens of an evaluation batch, padding included. It
            affects speed and memory, not scores.
        num_train: Number of training texts, a stratified random sample; all if omitted.
        vectors: File of pretrained word vectors: a path, or a name in `$UNROLL_DATA/vectors` (by
            default `data/vectors`).
        seed: Random seed for the order of texts; independent of `seed_everything`.

    Raises:
        InputError: If a number is out of range, or if `sampling` is combined with `phrases`.

    Example:
        >>> from datamodules.sentiment.builtin import BuiltinReviews
        >>> data = SentimentData(BuiltinReviews(num_train=100), batch_size=50)
        >>> data.labels.names
        ('negative', 'positive')
        >>> [len(batch.labels) for batch in data.train_dataloader()]
        [50, 50]
    """

    def __init__(
        self,
        source: LabelledSource,
        batch_size: int = 32,
        phrases: Literal["none", "all"] | int = "none",
        sampling: Literal["all", "balanced"] = "all",
        max_tokens: int = 400,
        eval_batch_tokens: int = 8192,
        num_train: int | None = None,
        vectors: str | None = None,
        seed: int = 1,
    ) -> None:
        sizes = {
            "batch_size": batch_size,
            "max_tokens": max_tokens,
            "eval_batch_tokens": eval_batch_tokens,
            "num_train": 1 if num_train is None else num_train,
            "phrases": phrases if isinstance(phrases, int) else 1,
        }
        for name, size in sizes.items():
            if size < 1:
                raise InputError(f"{name} is {size}; 1 or more is expected")
        if sampling == "balanced" and phrases != "none":
            raise InputError("sampling=balanced cannot be combined with phrases; omit one of them")
        cut = {"batch_size": batch_size, "phrases": phrases, "sampling": sampling, "seed": seed}
        super().__init__(source, Batching(batch_size, eval_batch_tokens, seed), cut)
        self._vectors = vectors
        self._phrases, self._sampling = phrases, sampling
        self._max_tokens, self._num_train = max_tokens, num_train

    def folded(self, source: Mapping[str, Any], num_folds: int) -> dict[str, Any]:
        """See `pipeline.contracts.HasFolds`."""
        return folds_config(TextFolds, source, num_folds, self.name, self.corpus)

    @cached_property
    def corpus(self) -> LabelledCorpus:
        """The preprocessed texts. Raises `InputError` if they cannot be read."""
        corpus = self.source.read()
        if self._num_train is not None:
            corpus = subsample_training(corpus, self._num_train, self._batching.seed)
        corpus, num_cut = truncate_texts(corpus, self._max_tokens)
        labels = {text.label for text in corpus.splits["train"]}
        if len(labels) < 2:
            raise InputError(
                f"all training texts of {self.name} have the label {', '.join(labels)}; two or "
                "more labels are expected (check the label column)"
            )
        if self._phrases != "none" and not any(corpus.phrases):
            raise InputError(
                f"phrases is {self._phrases}, but {self.name} has no labelled phrases (or its "
                "reader skips them); omit --data.phrases"
            )
        notes = [*corpus.notes, *corpus.held_out.values(), *check_splits(corpus)]
        if num_cut:
            notes.append(
                f"{num_cut:,} texts are longer than {self._max_tokens} tokens and were reduced to "
                "their beginning and end (--data.max_tokens)"
            )
        return corpus._replace(notes=tuple(notes))

    @cached_property
    def labels(self) -> Labels:
        """Labels of the training texts and phrases, with their counts."""
        counts = Counter(text.label for text in self._trained)
        names = [label for label in self.corpus.labels if counts[label]]
        return Labels(names, [counts[label] for label in names], self.corpus.is_ordinal)

    @cached_property
    def _covered(self) -> CoveredLexicon:
        splits = self.corpus.splits
        words = Counter(token for text in splits["train"] for token in text.tokens)
        # A word occurs in many phrases of its text; words that occur in phrases only count once.
        words.update({token for text in self._trained for token in text.tokens} - words.keys())
        return build_lexicon(
            words.elements(),
            (
                token
                for split in ("valid", "test")
                for text in splits[split]
                for token in text.tokens
            ),
            {},
            self._vectors,
        )

    def other(self, path: str, state: Mapping[str, Any]) -> OtherCorpus:
        """See `pipeline.contracts.ReadsOtherData`."""
        labels, file = Labels.from_data(state), Path(path)
        corpus = self.source.read_other(file, labels.names) or _read_default(file, labels.names)
        max_tokens = read_max_tokens(state)
        corpus, _ = truncate_texts(corpus, max_tokens)
        texts = corpus.splits["test"]
        other = SentimentData(
            GivenTexts(corpus, file.name),
            max_tokens=max_tokens,
            eval_batch_tokens=self._batching.eval_tokens,
        )
        other.corpus, other.labels = corpus, labels
        tokens = [token for text in texts for token in text.tokens]
        lexicon = Lexicon.from_data(state).extended(tokens)
        other._covered = CoveredLexicon(lexicon, "")
        notes = (*corpus.notes, *unseen_notes(texts, labels.names))
        return OtherCorpus(other, len(texts), notes, lexicon, tokens)

    def split(self, name: str) -> Sequence[LabelledText]:
        """Returns the texts of a split: "train", "valid" or "test"."""
        return self.corpus.splits[name]

    def describe(self) -> list[SplitDigest]:
        """Returns path, digest and counts of each split."""
        train = self._train_words
        return [
            SplitDigest(split, self.corpus.files[split], digest(texts), statistics(texts, train))
            for split, texts in self.corpus.splits.items()
        ]

    @property
    def summary(self) -> str:
        """Description of the corpus in a few lines, shown before training."""
        lines = describe_labelled(self.corpus, self._train_words)
        lines.append(f"training: {self._trained_on}")
        lines += [f"note: {note}" for note in self.corpus.notes]
        return "\n".join([*lines, self._covered.coverage]).rstrip()

    @property
    def _trained_on(self) -> str:
        size = len(self._encoded["train"].lengths) if self._sampler is None else self._sampler.size
        if self._phrases == "none":
            kind = "whole texts" if self._sampling == "all" else "whole texts, labels balanced"
        elif self._phrases == "all":
            kind = "whole texts and all phrases"
        else:
            kind = f"whole texts and {self._phrases} random phrases of each"
        return f"{kind}, {size:,} per epoch"

    def texts(self) -> dict[str, str]:
        """Returns the files that a run records of the corpus: file name -> contents."""
        return {
            "vocabulary.txt": "".join(f"{word}\n" for word in self.lexicon.counts),
            "labels.txt": "".join(f"{label}\n" for label in self.labels.names),
            "corpus.txt": self.summary + "\n",
        }

    def lines(self, batch: Texts, outputs: dict[int, list[float]]) -> Iterator[str]:
        """Yields lines of gold label, predicted label, its probability and text, TAB-separated."""
        for row, probabilities in outputs.items():
            text = self.corpus.splits["test"][row]
            best = max(range(len(probabilities)), key=probabilities.__getitem__)
            label = self.labels.names[best]
            yield "\t".join(
                (text.label, label, f"{probabilities[best]:.4f}", " ".join(text.tokens))
            )

    @cached_property
    def _encoded(self) -> dict[str, EncodedTexts]:
        splits, names = self.corpus.splits, self.labels.names
        if "train" in splits:
            splits = splits | {"train": self._trained}
        return {split: EncodedTexts(rows, self.lexicon, names) for split, rows in splits.items()}

    @property
    def _trained(self) -> list[LabelledText]:
        texts = self.corpus.splits["train"]
        if self._phrases == "none":
            return texts
        return [*texts, *chain.from_iterable(self.corpus.phrases)]

    @cached_property
    def _sampler(self) -> EpochSampler | None:
        train = self.corpus.splits["train"]
        if self._sampling == "balanced":
            return BalancedSampler([self.labels.names.index(text.label) for text in train])
        if isinstance(self._phrases, int):
            sizes = [len(phrases) for phrases in self.corpus.phrases]
            return PhraseSampler(len(train), sizes, self._phrases)
        return None

    @cached_property
    def _fingerprint(self) -> str:
        return digest(self.corpus.splits["train"])[:12]

    def state_dict(self) -> dict[str, Any]:
        """Returns the position in the epoch and the vocabularies of a model, as plain data."""
        return {
            **self._place.state(),
            "lexicon": self.lexicon.to_state(),
            "labels": self.labels.to_state(),
            "max_tokens": self._max_tokens,
            "text": treebank.state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the position in the epoch.

        Raises `InputError` if the state is of another corpus or of an epoch with other batches.
        """
        lexicon, labels = (state_dict[name] for name in ("lexicon", "labels"))
        is_same = not differing(lexicon, self.lexicon.to_state())
        if not is_same or tuple(labels["names"]) != self.labels.names:
            raise InputError(
                f"the checkpoint belongs to another corpus than {self.name}: their words or labels "
                f"differ ({len(lexicon['words']):,} words and the labels "
                f"{', '.join(labels['names'])}; here {len(self.lexicon.counts):,} words and the "
                f"labels {', '.join(self.labels.names)}); use the corpus of the training, or "
                "score other texts with `unroll test --on PATH`"
            )
        self._place.load(state_dict)


def _read_default(path: Path, labels: Sequence[str]) -> LabelledCorpus:
    """Reads a folder of documents or a table with the usual columns."""
    folders = Folders(str(path)).read_other(path, labels) if path.is_dir() else None
    return folders or Table(str(path)).read_other(path, labels)
