"""Tagged sentences: any BIO corpus, in batches of sentences of like lengths."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from datamodules.batching.base import Batching, BucketedData
from datamodules.batching.encode import EncodedSentences
from datamodules.batching.folds import SentenceFolds, folds_config
from datamodules.batching.sentences import Sentence, Source, TaggedCorpus
from datamodules.batching.statistics import SplitDigest, describe_tagged, digest, statistics
from datamodules.files.lexicons import CoveredLexicon, build_lexicon
from pipeline.batches import Sentences
from pipeline.errors import InputError
from pipeline.text import treebank
from pipeline.text.lexicon import Lexicon, differing
from pipeline.text.tags import are_labels, tag_set, types_of


class TaggingData(BucketedData[Sentences]):
    """A tagged corpus in batches.

    Sentences of like lengths stand together, padded to the longest of them. All ranks get the same
    number of batches and no sentence twice, in training and in evaluation.

    A checkpoint keeps the words, columns and tags, and the position in the epoch.

    Args:
        source: reads the corpus.
        batch_size: sentences (or tokens, padding included) of a training batch, over all ranks.
        batch_unit: what `batch_size` counts.
        eval_batch_tokens: most tokens of a batch in evaluation, padding included; it changes speed
            and memory, no score.
        vectors: file of pretrained word vectors: a path, or a name in `$UNROLL_DATA/vectors`, else
            in `data/vectors`.
        seed: of the order of sentences, which `seed_everything` does not set.

    Raises:
        InputError: a size is below 1.
    """

    def __init__(
        self,
        source: Source,
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
            Batching(batch_size, eval_batch_tokens, seed, batch_unit),
            {"batch_size": batch_size, "batch_unit": batch_unit, "seed": seed},
        )
        self.source, self._vectors = source, vectors

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
        return folds_config(SentenceFolds, source, num_folds, self.name, self.corpus)

    @cached_property
    def corpus(self) -> TaggedCorpus:
        """The sentences. Raises `InputError` where they cannot be read."""
        return self.source.read()

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """The tags that training holds."""
        found = {tag for sentence in self.corpus.splits["train"] for tag in sentence.tags}
        if are_labels(found):
            return tuple(sorted(found))
        types = types_of(found)
        if not types:
            raise InputError(
                f"the training text of {self.name} has no tag but O; sentences with spans are "
                "expected (is the right column read as the tag?)"
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

    @property
    def lexicon(self) -> Lexicon:
        """The words and columns. Raises as `corpus`, and where vectors cannot be read."""
        return self._covered.lexicon

    def sentences(self, split: str) -> Sequence[Sentence]:
        """Gives the sentences of a split: "train", "valid" or "test"."""
        return self.corpus.splits[split]

    def describe(self) -> list[SplitDigest]:
        """Tells what each split holds. Raises as `corpus`."""
        train = {word for word, count in self.lexicon.counts.items() if count}
        return [
            SplitDigest(
                split, self.corpus.files[split], digest(sentences), statistics(sentences, train)
            )
            for split, sentences in self.corpus.splits.items()
        ]

    @property
    def summary(self) -> str:
        """What a person should see before training, in a few lines."""
        lines = [describe_tagged(self.corpus, self.lexicon), self._covered.coverage]
        return "\n".join(line for line in lines if line)

    def texts(self) -> dict[str, str]:
        """Gives what the run keeps of the corpus: file name -> contents."""
        return {
            "vocabulary.txt": "".join(f"{word}\n" for word in self.lexicon.counts),
            "tags.txt": "".join(f"{tag}\n" for tag in self.tags),
            "corpus.txt": self.summary + "\n",
        }

    def lines(self, batch: Sentences, outputs: dict[int, Any]) -> Iterator[str]:
        """Gives token, columns, gold tag and predicted tag, TAB between them, as conlleval reads.

        Args:
            batch: the batch.
            outputs: row -> what was predicted of it, with `tags`.
        """
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
        """Gives the next training batch, and what a model needs to be built again: plain data."""
        return {
            **self._position(),
            "lexicon": self.lexicon.to_state(),
            "tags": list(self.tags),
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
        theirs = {**state_dict["lexicon"], "tags": state_dict["tags"]}
        ours = {**self.lexicon.to_state(), "tags": list(self.tags)}
        if names := differing(theirs, ours):
            sizes = ", ".join(
                f"{len(theirs[name]):,} {name} there and {len(ours[name]):,} here"
                for name in ("words", "tags")
            )
            raise InputError(
                f"the checkpoint is of another corpus than {self.name}: its "
                f"{' and '.join(names)} are not the same ({sizes}); give the data that it was "
                "trained with"
            )
        self._go_on(state_dict)
