"""The datamodule of language models: a corpus as windows of streams, or as a list of items."""

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from lightning.pytorch import LightningDataModule
from torch import Tensor

from datamodules.batching.epoch_place import EpochPlace
from datamodules.files.lines import MAX_LINE_BYTES
from datamodules.files.paths import BUILTIN, COLORS, find_files, find_list, find_test_text, locate
from datamodules.files.shards import shards
from datamodules.language_model.builtin import builtin_folder
from datamodules.language_model.corpus import (
    SplitStatistics,
    TextCorpus,
    TextSettings,
    open_corpus,
    read_other,
)
from datamodules.language_model.item_batches import ItemBatches
from datamodules.language_model.item_list import COLORS as COLOR_NAMES
from datamodules.language_model.item_list import HELD_OUT, SEED, items_folder, read_items
from datamodules.language_model.random_windows import RandomWindows
from datamodules.language_model.streams import Streams
from pipeline.batches import IGNORE_INDEX, StreamWindow
from pipeline.contracts import OtherCorpus
from pipeline.errors import InputError
from pipeline.text.state import read_is_list, read_unit
from pipeline.text.units import Unit
from pipeline.text.vocabulary import UNK, Vocabulary

Windows: TypeAlias = Streams | ItemBatches
_EVAL_BATCH_SIZE = 64  # items
_LONG = 100_000  # steps of a window without a number of steps


class LanguageModelData(LightningDataModule):
    """A datamodule for language models.

    Training divides the text into `batch_size` columns, which are distributed among all processes.
    Validation, test and prediction (of the test text) read the whole file as one column in every
    process, so their scores do not depend on batch size and number of processes. The items of a
    list are independent: each one is a row of its own and starts with the initial carry, in
    training and in evaluation. A checkpoint contains the vocabulary and the position in the epoch.

    Args:
        corpus: "builtin"; a name, searched as `$UNROLL_DATA/<name>`, else `data/<name>`; the path
            of a folder with train, valid and test text; "colors"; or the path of a file with a list
            of items, one per line, a part of which is held out for validation and test.
        unit: The unit of a token.
        batch_size: Number of columns of the training stream (of a list: items of a batch), over all
            processes.
        bptt: Number of steps of a training window; null reads windows of 100,000 steps or the
            whole columns, for models that do not learn by gradients, such as n-grams. The items of
            a list are read whole.
        eval_bptt: Maximum number of steps of an evaluation window. It affects speed and memory, not
            scores.
        max_vocab_size: Maximum size of the vocabulary, including `<eos>` and `<unk>`; unlimited if
            omitted.
        min_count: Minimum number of occurrences in the training text of a word in the vocabulary;
            rarer words become `<unk>`.
        files: Split -> file name in the folder, for files that are not found by their names.
        max_line_bytes: Length in bytes from which on a line is rejected.
        reread: Number of tokens before a training window that it reads again, so that gradients
            reach at least this number of steps back from each target.
        random_bptt: Whether to draw the lengths of training windows around `bptt`, anew in each
            epoch; the learning rate of an update is multiplied by length / bptt (Merity et al.
            2018, arXiv 1708.02182, section 4.1).
        seed: Random seed of these lengths.

    Example:
        >>> data = LanguageModelData("colors", unit="character", batch_size=2)
        >>> batch = next(iter(data.train_dataloader()))
        >>> "".join(data.vocabulary.words[token] for token in batch.targets[0] if token >= 0)
        'plum<eos>'
    """

    def __init__(
        self,
        corpus: str = BUILTIN,
        unit: Unit = "word",
        batch_size: int = 20,
        bptt: int | None = 35,
        eval_bptt: int = 500,
        max_vocab_size: int | None = None,
        min_count: int = 1,
        files: dict[str, str] | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
        reread: int = 0,
        random_bptt: bool = False,
        seed: int = 1,
    ) -> None:
        super().__init__()
        self._corpus_name, self._files = corpus, files
        self._settings = TextSettings(unit, max_vocab_size, min_count, max_line_bytes)
        self._batch_size, self._bptt, self._eval_bptt = batch_size, bptt, eval_bptt
        self._reread, self._random_bptt, self._seed = reread, random_bptt, seed
        self._place = EpochPlace(self, self._epoch_settings)

    @property
    def name(self) -> str:  # type: ignore[override]  # None in Lightning, which never sets it
        """Name of the corpus (that of its folder or file); "-char" is appended for characters."""
        if self._corpus_name in (BUILTIN, COLORS):
            name = self._corpus_name
        elif (path := find_list(self._corpus_name)) is not None:
            name = path.stem
        else:
            name = Path(os.path.abspath(locate(self._corpus_name))).name
        return name + ("-char" if self._settings.unit == "character" else "")

    @property
    def unit(self) -> Unit:
        """The unit of a token."""
        return self._settings.unit

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary, built from the training text.

        Raises:
            InputError: If the corpus cannot be found or read, or is too short for the batches.
        """
        return self._corpus.vocabulary

    @property
    def vocab_size(self) -> int:
        """Size of the vocabulary. Raises as `vocabulary`."""
        return len(self.vocabulary)

    def other(self, path: str, state: Mapping[str, Any]) -> OtherCorpus:
        """See `pipeline.contracts.ReadsOtherData`."""
        file = find_test_text(Path(path)) if Path(path).is_dir() else Path(path)
        if not all(path.is_file() for path in shards(file) or [file]):
            raise InputError(f"no file or folder {path}; a text is expected")
        unit, vocabulary = read_unit(state), Vocabulary.from_data(state)
        settings = self._settings._replace(unit=unit)
        other = LanguageModelData(path, unit, eval_bptt=self._eval_bptt)
        other._corpus = read_other(file, vocabulary, settings)
        other._is_list = read_is_list(state)
        return OtherCorpus(other, notes=tuple(other._notes()))

    def describe(self) -> list[SplitStatistics]:
        """Returns the statistics of each split. Raises as `vocabulary`."""
        return list(self._corpus.statistics.values())

    @property
    def summary(self) -> str:
        """Number of tokens of each split, and size of the vocabulary. Raises as `vocabulary`."""
        kind = ""
        if self._is_list:
            counts = ", ".join(f"{s.split} {s.lines:,}" for s in self.describe())
            kind = f"list of items ({HELD_OUT:.0%} held out per split, seed {SEED}): {counts}; "
        sizes = (
            f"{s.split} {s.tokens:,} ({s.unknown / s.tokens:.1%} <unk>)" for s in self.describe()
        )
        counted = f"{kind}tokens {', '.join(sizes)}; vocabulary {self.vocab_size:,}"
        return "\n".join([counted, *(f"note: {note}" for note in self._notes())])

    def _notes(self) -> Iterator[str]:
        """Yields what is unusual about the text."""
        if marked := sum(s.marked for s in self.describe()):
            yield f"<s> and </s> around {marked:,} line{'s' * (marked != 1)} are left out"
        if with_returns := sum(s.with_returns for s in self.describe()):
            yield (
                f"carriage returns (CR) inside of lines ({with_returns:,}) are read as "
                "spaces; if they end lines, convert them, for example with `tr '\\r' '\\n'`"
            )
        unknown = {s.split: s.unknown for s in self.describe()}
        if unknown.pop("train", None) == 0 and any(unknown.values()):
            yield (
                f"the training text has no {UNK}, so that its probability cannot be "
                "estimated; compare models by test/perplexity_known (and choose the best "
                "checkpoint with --model.monitor=val/perplexity_known)"
            )

    def texts(self) -> dict[str, str]:
        """Returns the texts that a run stores: file name -> contents."""
        return {"vocabulary.txt": "\n".join(self.vocabulary.words) + "\n"}

    def lines(self, batch: StreamWindow, outputs: tuple[Tensor, Tensor]) -> Iterator[str]:
        """Yields lines of a token and its log-probability in nats, separated by TAB."""
        targets, log_probs = (part.flatten().tolist() for part in outputs)
        for target, log_prob in zip(targets, log_probs, strict=True):
            if target != IGNORE_INDEX:
                yield f"{self.vocabulary.words[target]}\t{log_prob:.6f}"

    @cached_property
    def _corpus(self) -> TextCorpus:
        if self._eval_bptt < 1:
            raise InputError(f"eval_bptt must be at least 1, got {self._eval_bptt}")
        corpus = open_corpus(find_files(self._folder(), self._files), self._settings)
        self._train_batches(corpus)  # checks the sizes before a model is built
        return corpus

    def _folder(self) -> Path:
        if self._corpus_name == BUILTIN:
            return builtin_folder()
        if self._corpus_name == COLORS:
            return items_folder(COLOR_NAMES, COLORS)
        if (path := find_list(self._corpus_name)) is not None:
            return items_folder(read_items(path), str(path))
        return locate(self._corpus_name)

    @cached_property
    def _is_list(self) -> bool:
        return self._corpus_name == COLORS or find_list(self._corpus_name) is not None

    def _train_batches(self, corpus: TextCorpus, rank: int = 0, world_size: int = 1) -> Windows:
        source, eos_id = str(corpus.statistics["train"].path), corpus.vocabulary.eos_id
        if self._is_list:
            ids, batch_size = corpus.ids["train"], self._batch_size
            return ItemBatches(ids, eos_id, batch_size, rank, world_size, self._corpus_name)
        random, bptt = None, self._bptt
        if bptt is None:
            shortest = len(corpus.ids["train"]) // max(self._batch_size, 1)
            bptt = min(_LONG, max(shortest, 1))
        if self._random_bptt:
            random = RandomWindows(bptt, self._seed, self._place.epoch)
        how = (self._batch_size, bptt, rank, world_size, source, self._reread, random)
        return Streams(corpus.ids["train"], eos_id, *how)

    def _epoch_settings(self) -> dict[str, Any]:
        return {
            "batch_size": self._batch_size,
            "bptt": self._bptt,
            "reread": self._reread,
            "random_bptt": self._random_bptt,
            "seed": self._seed if self._random_bptt else None,  # nothing else is random
        }

    def check_processes(self, world_size: int) -> None:
        """See `pipeline.contracts.ChecksProcesses`."""
        self._train_batches(self._corpus, 0, world_size)

    def train_dataloader(self) -> Windows:
        """Returns this process's training windows, from the position of a loaded checkpoint on."""
        windows = self._train_batches(self._corpus, *self._place.ranks)
        self._place.start(windows)
        return windows

    def val_dataloader(self) -> Windows:
        """Returns the validation text as one column."""
        return self._eval_batches("valid")

    def test_dataloader(self) -> Windows:
        """Returns the test text as one column."""
        return self._eval_batches("test")

    def predict_dataloader(self) -> Windows:
        """Returns the same windows as `test_dataloader`."""
        return self.test_dataloader()

    def _eval_batches(self, split: str) -> Windows:
        ids, eos_id = self._corpus.ids[split], self.vocabulary.eos_id
        windows: Windows
        if self._is_list:
            windows = ItemBatches(ids, eos_id, _EVAL_BATCH_SIZE)
        else:
            windows = Streams(ids, eos_id, batch_size=1, bptt=min(self._eval_bptt, len(ids)))
        windows.map = self._place.lazy_map()
        return windows

    def state_dict(self) -> dict[str, Any]:
        """Returns the position in the epoch, the unit and the vocabulary, as plain data."""
        return {
            **self._place.state(),
            "unit": self._settings.unit,
            "is_list": self._is_list,
            "vocabulary": list(self.vocabulary.words),
            "counts": self.vocabulary.counts,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the position in the epoch.

        Raises `InputError` if the state is of another corpus or of an epoch with other settings.
        """
        unit, words = read_unit(state_dict), state_dict["vocabulary"]
        if unit != self.unit or words != self.vocabulary.words:
            raise InputError(
                f"the vocabulary of the checkpoint ({len(words)} {unit}s) differs from that of "
                f"{self.name} ({self.vocab_size} {self.unit}s); use the corpus and the vocabulary "
                "limits of the checkpoint, or score other text with `unroll test --on PATH`"
            )
        self._place.load(state_dict)
