"""Text for language models: a corpus as streams of windows."""

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from lightning.pytorch import LightningDataModule
from torch import Tensor

from datamodules.files.lines import MAX_LINE_BYTES
from datamodules.files.paths import BUILTIN, COLOURS, find_files, find_list, locate
from datamodules.language_model.builtin import builtin_folder
from datamodules.language_model.colours import COLOURS as COLOUR_NAMES
from datamodules.language_model.corpus import Corpus, Settings, SplitStatistics, open_corpus
from datamodules.language_model.lists import HELD_OUT, SEED, Items, items_folder, read_items
from datamodules.language_model.random_windows import RandomWindows
from datamodules.language_model.streams import Streams
from pipeline.batches import IGNORE_INDEX, StreamWindow
from pipeline.errors import InputError
from pipeline.text.units import Unit
from pipeline.text.vocabulary import Vocabulary

Windows: TypeAlias = Streams | Items
_EVALUATED = 64  # items of a batch in evaluation


class LanguageModelData(LightningDataModule):
    """Streams of a corpus for language models.

    Training runs over `batch_size` columns, shared by all processes. Validation, test and
    prediction (of the test text) read the whole file as one column, on every process, so that their
    scores depend on neither. The items of a list are independent: each is a row of its own, in
    training and in evaluation, and starts with no memory.

    A checkpoint keeps the position in the epoch, the same on every process, and the vocabulary.

    Args:
        corpus: "builtin", a name (`$UNROLL_DATA/<name>`, else `data/<name>`), the path of a folder
            that holds train, valid and test text, "colours", or the path of a file: a list of
            items, one a line, a share of which is held out to validate and to test.
        unit: what a token is.
        batch_size: columns of the training stream, over all processes; of a list, items.
        bptt: steps of a training window; items of a list are read whole.
        reread: tokens before a training window that it reads again, so that gradients go at least
            so many steps back from each target.
        eval_bptt: most steps of a window in evaluation; it changes speed and memory, no score.
        max_vocab_size: the most entries of the vocabulary, `<eos>` and `<unk>` included; all words
            if omitted.
        min_count: words rarer than this in the training text become `<unk>`.
        files: split -> file name in the folder, for files that are not found by their names.
        max_line_bytes: a line of this length or longer is refused.
        random_bptt: training windows of random lengths about `bptt`, other ones in each epoch; the
            learning rate of a window's update is multiplied by its length / bptt (Merity et al.
            2018, arXiv 1708.02182, section 4.1).
        seed: of those lengths.
    """

    def __init__(
        self,
        corpus: str = BUILTIN,
        unit: Unit = "word",
        batch_size: int = 20,
        bptt: int = 35,
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
        self._settings = Settings(unit, max_vocab_size, min_count, max_line_bytes)
        self._batch_size, self._bptt, self._eval_bptt = batch_size, bptt, eval_bptt
        self._reread, self._random_bptt, self._seed = reread, random_bptt, seed
        self._train: Windows | None = None
        self._resumed: dict[str, Any] | None = None

    @property
    def name(self) -> str:  # type: ignore[override]  # None in Lightning, which never sets it
        """The corpus' name, that of its folder or file; "-char" where tokens are characters."""
        if self._corpus_name in (BUILTIN, COLOURS):
            name = self._corpus_name
        elif (path := find_list(self._corpus_name)) is not None:
            name = path.stem
        else:
            name = Path(os.path.abspath(locate(self._corpus_name))).name
        return name + ("-char" if self._settings.unit == "character" else "")

    @property
    def unit(self) -> Unit:
        """What a token is."""
        return self._settings.unit

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary, built from the training text.

        Raises:
            InputError: the corpus cannot be found or read, or cannot be cut as asked for.
        """
        return self._corpus.vocabulary

    @property
    def vocab_size(self) -> int:
        """The number of ids. Raises as `vocabulary`."""
        return len(self.vocabulary)

    def describe(self) -> list[SplitStatistics]:
        """Tells what each split holds. Raises as `vocabulary`."""
        return list(self._corpus.statistics.values())

    @property
    def summary(self) -> str:
        """Tokens of each split, and the size of the vocabulary. Raises as `vocabulary`."""
        if self._is_list:
            kind = f"a list, shares of {HELD_OUT:.0%} held out with seed {SEED}: items "
            counts = ", ".join(f"{s.split} {s.lines:,}" for s in self.describe())
            kind += counts + "; "
        else:
            kind = ""
        sizes = (
            f"{s.split} {s.tokens:,} ({s.unknown / s.tokens:.1%} <unk>)" for s in self.describe()
        )
        return f"{kind}tokens {', '.join(sizes)}; vocabulary {self.vocab_size:,}"

    def texts(self) -> dict[str, str]:
        """Gives what the run keeps of the corpus: file name -> contents."""
        return {"vocabulary.txt": "\n".join(self.vocabulary.words) + "\n"}

    def lines(self, batch: StreamWindow, outputs: tuple[Tensor, Tensor]) -> Iterator[str]:
        """Gives each token of a window with its log-probability in nats, TAB between them.

        Args:
            batch: the window.
            outputs: its targets and their log-probabilities, both [batch time].
        """
        targets, log_probs = (part.flatten().tolist() for part in outputs)
        for target, log_prob in zip(targets, log_probs, strict=True):
            if target != IGNORE_INDEX:
                yield f"{self.vocabulary.words[target]}\t{log_prob:.6f}"

    @cached_property
    def _corpus(self) -> Corpus:
        if self._eval_bptt < 1:
            raise InputError(f"eval_bptt is {self._eval_bptt}; 1 or more is expected")
        corpus = open_corpus(find_files(self._folder(), self._files), self._settings)
        self._cut(corpus)  # what cannot be cut is told before anything is built on the vocabulary
        return corpus

    def _folder(self) -> Path:
        if self._corpus_name == BUILTIN:
            return builtin_folder()
        if self._corpus_name == COLOURS:
            return items_folder(COLOUR_NAMES, COLOURS)
        if (path := find_list(self._corpus_name)) is not None:
            return items_folder(read_items(path), str(path))
        return locate(self._corpus_name)

    @property
    def _is_list(self) -> bool:
        return self._corpus_name == COLOURS or find_list(self._corpus_name) is not None

    def _cut(self, corpus: Corpus, rank: int = 0, world_size: int = 1) -> Windows:
        source, eos_id = str(corpus.statistics["train"].path), corpus.vocabulary.eos_id
        if self._is_list:
            ids, batch_size = corpus.ids["train"], self._batch_size
            return Items(ids, eos_id, batch_size, rank, world_size, self._corpus_name)
        random = RandomWindows(self._bptt, self._seed, self._epoch) if self._random_bptt else None
        how = (self._batch_size, self._bptt, rank, world_size, source, self._reread, random)
        return Streams(corpus.ids["train"], eos_id, *how)

    def _epoch(self) -> int:
        return self.trainer.current_epoch if self.trainer else 0

    @property
    def _how(self) -> dict[str, int]:
        """The settings, by name, without which a place within an epoch means nothing."""
        how = {"batch_size": self._batch_size, "bptt": self._bptt, "reread": self._reread}
        # Without random lengths the seed says nothing.
        return {**how, "random_bptt": self._random_bptt, "seed": self._seed * self._random_bptt}

    def train_dataloader(self) -> Windows:
        """Gives this process' columns of the training text, from a loaded checkpoint's position."""
        trainer = self.trainer
        rank, world_size = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        self._train = self._cut(self._corpus, rank, world_size)
        self._resume(self._train)
        return self._train

    def val_dataloader(self) -> Windows:
        """Gives the validation text as one column."""
        return self._whole("valid")

    def test_dataloader(self) -> Windows:
        """Gives the test text as one column."""
        return self._whole("test")

    def predict_dataloader(self) -> Windows:
        """Gives the test text as one column."""
        return self._whole("test")

    def _whole(self, split: str) -> Windows:
        ids, eos_id = self._corpus.ids[split], self.vocabulary.eos_id
        if self._is_list:
            return Items(ids, eos_id, _EVALUATED)
        return Streams(ids, eos_id, batch_size=1, bptt=min(self._eval_bptt, len(ids)))

    def state_dict(self) -> dict[str, Any]:
        """Gives the next training window, how windows are cut, and the vocabulary: plain data."""
        position = self._train.position if self._train else 0
        windows = self.trainer.num_training_batches if self.trainer else 0
        if isinstance(windows, int) and windows:  # limit_train_batches ends an epoch early
            position %= windows
        return {
            "position": position,
            **self._how,
            "unit": self._settings.unit,
            "vocabulary": list(self.vocabulary.words),
            "counts": self.vocabulary.counts,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave.

        Args:
            state_dict: the state.

        Raises:
            InputError: the state is of another corpus, or in the middle of an epoch that was cut
                otherwise.
        """
        unit, words = state_dict["unit"], state_dict["vocabulary"]
        if unit != self.unit or words != self.vocabulary.words:
            raise InputError(
                f"the checkpoint is of another corpus than {self.name}: it knows {len(words)}"
                f" {unit}s, and {self.name} has {self.vocab_size} {self.unit}s that are not the"
                " same; give the corpus and the vocabulary limits that it was trained with"
            )
        self._resumed = state_dict
        if self._train is not None:  # a schedule may ask for the length before the state is read
            self._resume(self._train)

    def _resume(self, windows: Windows) -> None:
        state, self._resumed = self._resumed, None
        if state is None:
            return
        for name, value in self._how.items():
            held = state.get(name, 0)
            if state["position"] and held != value:
                raise InputError(
                    f"the checkpoint is in the middle of an epoch with {name}={held}, and"
                    f" {name} is now {value}; go on with {name}={held}, or from a"
                    " checkpoint at the end of an epoch"
                )
        windows.position = state["position"]
