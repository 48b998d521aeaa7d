"""Labelled texts: any corpus with a label a text, in batches of texts of like lengths."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, Literal

from datamodules.batching.base import Batching, BucketedData
from datamodules.batching.buckets import EpochSampler
from datamodules.batching.encode import EncodedTexts
from datamodules.batching.folds import TextFolds, folds_config
from datamodules.batching.splits import SplitDigest
from datamodules.batching.texts import LabelledCorpus, LabelledSource, LabelledText
from datamodules.files.lexicons import CoveredLexicon, build_lexicon
from datamodules.sentiment.cleaning import (
    describe_labelled,
    digest,
    first_of_each,
    oddities,
    shortened,
    statistics,
)
from datamodules.sentiment.sampling import BalancedSampler, PhraseSampler
from pipeline.batches import Texts
from pipeline.errors import InputError
from pipeline.text import treebank
from pipeline.text.labels import Labels
from pipeline.text.lexicon import Lexicon, differing


class SentimentData(BucketedData[Texts]):
    """A corpus of labelled texts in batches.

    Texts of like lengths stand together, padded to the longest of them. All ranks get the same
    number of batches and no text twice in evaluation. Texts are scored whole or, above
    `max_tokens`, by their beginning and end: an opinion is mostly stated in either, and a whole
    document of thousands of words would need the states of each.

    A checkpoint keeps the words and labels, and the position in the epoch.

    Args:
        source: reads the corpus.
        batch_size: texts of a training batch, over all ranks.
        phrases: what else is trained on where the corpus labels phrases: "none", "all" of them, or
            so many of each text, drawn anew in every epoch.
        sampling: "balanced" draws as many training texts of each label, with replacement.
        max_tokens: of a longer text the first and last halves of so many tokens are read.
        eval_batch_tokens: most tokens of a batch in evaluation, padding included; it changes speed
            and memory, no score.
        num_train: the first so many of the shuffled training texts alone are trained on, each label
            as often as in the whole; all if omitted.
        vectors: file of pretrained word vectors: a path, or a name in `$UNROLL_DATA/vectors`, else
            in `data/vectors`.
        seed: of the order of texts, which `seed_everything` does not set.

    Raises:
        InputError: a number is out of its range.
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
            raise InputError("sampling is balanced, which phrases do not go with; leave out either")
        cut = {"batch_size": batch_size, "phrases": phrases, "sampling": sampling, "seed": seed}
        super().__init__(Batching(batch_size, eval_batch_tokens, seed), cut)
        self.source, self._vectors = source, vectors
        self._phrases, self._sampling = phrases, sampling
        self._max_tokens, self._num_train = max_tokens, num_train

    @property
    def name(self) -> str:  # type: ignore[override]  # None in Lightning, which never sets it
        """The corpus' name."""
        return self.source.name

    @property
    def num_folds(self) -> int:
        """Number of folds that the corpus defines; 0 if `folded` has to make them."""
        return self.source.num_folds

    def folded(self, source: Mapping[str, Any], num_folds: int) -> dict[str, Any]:
        """See `pipeline.contracts.HasFolds`."""
        return folds_config(TextFolds, source, num_folds, self.name, self.corpus)

    @cached_property
    def corpus(self) -> LabelledCorpus:
        """The texts, as they are read. Raises `InputError` where they cannot be read."""
        corpus = self.source.read()
        if self._num_train is not None:
            corpus = first_of_each(corpus, self._num_train, self._batching.seed)
        corpus, num_cut = shortened(corpus, self._max_tokens)
        held = {text.label for text in corpus.splits["train"]}
        if len(held) < 2:
            raise InputError(
                f"all training texts of {self.name} have the label {', '.join(held)}; two labels "
                "or more are expected (is the right column read as the label?)"
            )
        if self._phrases != "none":
            self._refuse_no_phrases(corpus)
        notes = [*corpus.notes, *oddities(corpus)]
        if num_cut:
            notes.append(
                f"{num_cut:,} texts are longer than {self._max_tokens} tokens: their first and "
                "last halves of so many are read (--data.max_tokens)"
            )
        return corpus._replace(notes=tuple(notes))

    def _refuse_no_phrases(self, corpus: LabelledCorpus) -> None:
        if not any(corpus.phrases):
            raise InputError(
                f"{self.name} labels no phrases (or was told not to read them), but phrases is "
                f"{self._phrases}; leave --data.phrases out"
            )

    @cached_property
    def labels(self) -> Labels:
        """The labels that are trained on, those of phrases among them. Raises as `corpus`."""
        counts = Counter(text.label for text in self._trained)
        names = [label for label in self.corpus.labels if counts[label]]
        return Labels(names, [counts[label] for label in names], self.corpus.is_ordinal)

    @cached_property
    def _covered(self) -> CoveredLexicon:
        splits = self.corpus.splits
        words = Counter(token for text in splits["train"] for token in text.tokens)
        # A word of a sentence stands in many phrases of it: those of phrases alone count once.
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

    @property
    def lexicon(self) -> Lexicon:
        """The words. Raises as `corpus`, and where vectors cannot be read."""
        return self._covered.lexicon

    def split(self, name: str) -> Sequence[LabelledText]:
        """Gives the texts of a split: "train", "valid" or "test"."""
        return self.corpus.splits[name]

    def describe(self) -> list[SplitDigest]:
        """Tells what each split holds. Raises as `corpus`."""
        train = self._train_words
        return [
            SplitDigest(split, self.corpus.files[split], digest(texts), statistics(texts, train))
            for split, texts in self.corpus.splits.items()
        ]

    @cached_property
    def _train_words(self) -> set[str]:
        return {word for word, count in self.lexicon.counts.items() if count}

    @property
    def summary(self) -> str:
        """What a person should see before training, in a few lines."""
        lines = describe_labelled(self.corpus, self._train_words)
        lines.append(f"trained on: {self._trained_on}")
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
            kind = f"whole texts and {self._phrases} phrases of each, drawn anew"
        return f"{kind}, {size:,} in an epoch"

    def texts(self) -> dict[str, str]:
        """Gives what the run keeps of the corpus: file name -> contents."""
        return {
            "vocabulary.txt": "".join(f"{word}\n" for word in self.lexicon.counts),
            "labels.txt": "".join(f"{label}\n" for label in self.labels.names),
            "corpus.txt": self.summary + "\n",
        }

    def lines(self, batch: Texts, outputs: dict[int, list[float]]) -> Iterator[str]:
        """Gives gold label, predicted label, its probability and the text, TAB between them.

        Args:
            batch: the batch.
            outputs: row -> probabilities of the labels.
        """
        for row, probabilities in outputs.items():
            text = self.corpus.splits["test"][row]
            best = max(range(len(probabilities)), key=probabilities.__getitem__)
            label = self.labels.names[best]
            yield "\t".join(
                (text.label, label, f"{probabilities[best]:.4f}", " ".join(text.tokens))
            )

    @cached_property
    def _encoded(self) -> dict[str, EncodedTexts]:
        splits = self.corpus.splits | {"train": self._trained}
        names = self.labels.names
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
        """Gives the next training batch, and what a model needs to be built again: plain data."""
        return {
            **self._place.state(),
            "lexicon": self.lexicon.to_state(),
            "labels": self.labels.to_state(),
            "max_tokens": self._max_tokens,
            "text": treebank.state(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave.

        Args:
            state_dict: the state.

        Raises:
            InputError: the state is of another corpus, or in the middle of an epoch that was cut
                otherwise.
        """
        lexicon, labels = (state_dict[name] for name in ("lexicon", "labels"))
        is_same = not differing(lexicon, self.lexicon.to_state())
        if not is_same or tuple(labels["names"]) != self.labels.names:
            raise InputError(
                f"the checkpoint is of another corpus than {self.name}: it knows "
                f"{len(lexicon['words']):,} words and the labels {', '.join(labels['names'])}, and "
                f"{self.name} has {len(self.lexicon.counts):,} and {', '.join(self.labels.names)} "
                "that are not the same; give the data that it was trained with"
            )
        self._place.load(state_dict)
