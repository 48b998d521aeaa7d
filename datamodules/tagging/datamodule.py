"""Datamodule of tagged sentences, in batches of sentences of similar length."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from datamodules.batching.base import Batching, BucketedData
from datamodules.batching.encode import EncodedSentences
from datamodules.batching.folds import SentenceFolds, folds_config
from datamodules.batching.sentences import GivenSentences, Sentence, TaggedCorpus, TaggedSource
from datamodules.batching.splits import SplitDigest
from datamodules.files.lexicons import CoveredLexicon, build_lexicon
from datamodules.tagging.columns import Columns
from datamodules.tagging.statistics import describe_tagged, digest, statistics, unseen_notes
from pipeline.batches import Sentences
from pipeline.contracts import OtherCorpus
from pipeline.errors import InputError
from pipeline.text import treebank
from pipeline.text.lexicon import Lexicon, differing
from pipeline.text.state import read_scheme
from pipeline.text.tags import are_labels, tag_set, types_of


class TaggingData(BucketedData[Sentences, TaggedSource]):
    """A LightningDataModule of tagged sentences.

    A batch contains sentences of similar length, padded to the longest one. All ranks get the same
    number of batches, and no sentence occurs twice in an epoch, in training and in evaluation. A
    checkpoint contains the words, columns and tags and the position in the epoch.

    Args:
        source: Reader of the corpus.
        batch_size: Size of a training batch over all ranks, in `batch_unit`.
        batch_unit: Unit of `batch_size`; "tokens" includes padding.
        eval_batch_tokens: Maximum number of tokens of an evaluation batch, padding included. It
            affects speed and memory, not scores.
        vectors: File of pretrained word vectors: a path, or a name in `$UNROLL_DATA/vectors` (by
            default `data/vectors`).
        seed: Random seed for the order of sentences; independent of `seed_everything`.

    Raises:
        InputError: If a size is below 1.

    Example:
        >>> from datamodules.tagging.builtin import BuiltinOpinions
        >>> data = TaggingData(BuiltinOpinions(num_train=64), batch_size=32)
        >>> data.tags
        ('O', 'B-DSE', 'I-DSE', 'B-ESE', 'I-ESE')
        >>> [len(batch.lengths) for batch in data.train_dataloader()]
        [32, 32]
    """

    def __init__(
        self,
        source: TaggedSource,
        batch_size: int = 32,
        batch_unit: Literal["sentences", "tokens"] = "sentences",
        eval_batch_tokens: int = 8192,
        vectors: str | None = None,
        seed: int = 1,
    ) -> None:
        for name, size in (("batch_size", batch_size), ("eval_batch_tokens", eval_batch_tokens)):
            if size < 1:
                raise InputError(f"{name} is {size}; 1 or more is expected")
        super().__init__(
            source,
            Batching(batch_size, eval_batch_tokens, seed, batch_unit),
            {"batch_size": batch_size, "batch_unit": batch_unit, "seed": seed},
        )
        self._vectors = vectors

    def folded(self, source: Mapping[str, Any], num_folds: int) -> dict[str, Any]:
        """See `pipeline.contracts.HasFolds`."""
        return folds_config(SentenceFolds, source, num_folds, self.name, self.corpus)

    @cached_property
    def corpus(self) -> TaggedCorpus:
        """The sentences. Raises `InputError` if they cannot be read."""
        return self.source.read()

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """All labels of the training split, or the BIO tags of its span types."""
        found = {tag for sentence in self.corpus.splits["train"] for tag in sentence.tags}
        if are_labels(found):
            return tuple(sorted(found))
        types = types_of(found)
        if not types:
            raise InputError(
                f"all tags in the training split of {self.name} are O; sentences with spans are "
                "expected (check the tag column)"
            )
        return tag_set(types)

    @cached_property
    def _covered(self) -> CoveredLexicon:
        corpus = self.corpus
        return build_lexicon(
            (token for s in corpus.splits["train"] for token in s.tokens),
            (t for split in ("valid", "test") for s in corpus.splits[split] for t in s.tokens),
            {
                name: (value for s in corpus.splits["train"] for value in s.columns[i])
                for i, name in enumerate(corpus.column_names)
            },
            self._vectors,
        )

    def other(self, path: str, state: Mapping[str, Any]) -> OtherCorpus:
        """See `pipeline.contracts.ReadsOtherData`."""
        scheme = read_scheme(state)
        corpus = self.source.read_other(Path(path), scheme)
        corpus = corpus or Columns(path).read_other(Path(path), scheme)
        known = Lexicon.from_data(state)
        if missing := sorted(known.columns.keys() - set(corpus.column_names)):
            raise InputError(
                f"the model reads the columns {', '.join(missing)}, which are not known for {path};"
                " state their indices, for example --data.source.features={" + missing[0] + ": 1}"
            )
        tags = tuple(state["tags"])
        if are_labels(tags) != are_labels({tag for s in corpus.splits["test"] for tag in s.tags}):
            kinds = ("labels", "spans")[:: 1 if are_labels(tags) else -1]
            raise InputError(
                f"the model predicts {kinds[0]}, but {path} has {kinds[1]}; select the tag column "
                "with --data.source.tag"
            )
        source = GivenSentences(corpus, Path(path).name)
        other = TaggingData(source, eval_batch_tokens=self._batching.eval_tokens)
        other.tags = tags
        tokens = [token for sentence in corpus.splits["test"] for token in sentence.tokens]
        lexicon = known.extended(tokens)
        other._covered = CoveredLexicon(lexicon, "")
        notes = (*corpus.notes, *unseen_notes(corpus.splits["test"], tags))
        return OtherCorpus(other, len(corpus.splits["test"]), notes, lexicon, tokens)

    def sentences(self, split: str) -> Sequence[Sentence]:
        """Returns the sentences of a split: "train", "valid" or "test"."""
        return self.corpus.splits[split]

    def describe(self) -> list[SplitDigest]:
        """Returns path, digest and counts of each split."""
        train = self._train_words
        return [
            SplitDigest(split, self.corpus.files[split], digest(rows), statistics(rows, train))
            for split, rows in self.corpus.splits.items()
        ]

    @property
    def summary(self) -> str:
        """Description of the corpus in a few lines, shown before training."""
        lines = [describe_tagged(self.corpus, self._train_words), self._covered.coverage]
        return "\n".join(line for line in lines if line)

    def texts(self) -> dict[str, str]:
        """Returns the files that a run records of the corpus: file name -> contents."""
        return {
            "vocabulary.txt": "".join(f"{word}\n" for word in self.lexicon.counts),
            "tags.txt": "".join(f"{tag}\n" for tag in self.tags),
            "corpus.txt": self.summary + "\n",
        }

    def lines(self, batch: Sentences, outputs: dict[int, Any]) -> Iterator[str]:
        """Yields lines in the format of conlleval: token, columns, gold tag and predicted tag."""
        for row, predicted in outputs.items():
            sentence = self.corpus.splits["test"][row]
            for fields in zip(
                sentence.tokens, *sentence.columns, sentence.tags, predicted.tags, strict=True
            ):
                yield "\t".join(fields)
            yield ""

    @cached_property
    def _encoded(self) -> dict[str, EncodedSentences]:
        return {
            split: EncodedSentences(sentences, self.lexicon, self.tags)
            for split, sentences in self.corpus.splits.items()
        }

    @cached_property
    def _fingerprint(self) -> str:
        return digest(self.corpus.splits["train"])[:12]

    def state_dict(self) -> dict[str, Any]:
        """Returns the position in the epoch and the vocabularies of a model, as plain data."""
        return {
            **self._place.state(),
            "lexicon": self.lexicon.to_state(),
            "tags": list(self.tags),
            "scheme": self.corpus.scheme,
            "layout": self._layout,
            "text": treebank.state(),
        }

    @property
    def _layout(self) -> dict[str, Any] | None:
        layout = self.corpus.layout
        return None if layout is None else {**layout._asdict(), "features": dict(layout.features)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the position in the epoch.

        Raises `InputError` if the state is of another corpus or of an epoch with other batches.
        """
        theirs = {**state_dict["lexicon"], "tags": state_dict["tags"]}
        ours = {**self.lexicon.to_state(), "tags": list(self.tags)}
        if names := differing(theirs, ours):
            sizes = ", ".join(
                f"{len(theirs[name]):,} and {len(ours[name]):,} {name}"
                for name in ("words", "tags")
            )
            raise InputError(
                f"the checkpoint belongs to another corpus than {self.name}: their "
                f"{' and '.join(names)} differ ({sizes}); use the corpus of the training, or score "
                "other sentences with `unroll test --on PATH`"
            )
        self._place.load(state_dict)
