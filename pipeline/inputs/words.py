"""Input parts that are lookup tables: words, and the values of a column."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.inputs.base import InputPart
from pipeline.text.lexicon import Lexicon, Vectors
from pipeline.text.vector_formats import Row

UNKNOWN = 0
"""The index of unknown strings."""


class Words(InputPart):
    """Word embeddings, pretrained for words with a vector in the lexicon and random for others.

    A word has its own vector if it has a pretrained one or occurs often enough in the training
    text. All other words share the vector of the unknown word, which is always trained.

    Args:
        size: Number of features of each vector; must be that of the pretrained vectors, if any.
        tuned: Whether the vectors are trained. If not, pretrained vectors are required.
        unknown_chance: Probability of reading a word as unknown in training.
        min_count: Minimum frequency of words in the training text to have their own vector.
        lower: Whether words are converted to lower case.
        pretrained: Whether the pretrained vectors of the lexicon are used. If not, small trained
            vectors can complement fixed pretrained ones (channels of Kim 2014, arXiv 1408.5882).
        init_scale: Bound of the uniform distribution of random vectors.
        unseen: How words are read that do not occur in the training text: by the "vectors" of the
            pretrained file, or all as the "unknown" word. If vectors are tuned, those of unseen
            words are not.

    Attributes:
        has_given: Whether some words have a pretrained vector; set by `fit`.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> from pipeline.text.lexicon import Lexicon
        >>> part = Words(size=4, min_count=2)
        >>> part.fit(Lexicon({"the": 2, "cat": 1}, {}))
        >>> part.index(["the", "cat", "dog"]).flatten()  # 0: unknown
        tensor([1, 0, 0])
    """

    table: nn.Embedding

    def __init__(
        self,
        size: int = 300,
        tuned: bool = True,
        unknown_chance: float = 0.0,
        min_count: int = 1,
        lower: bool = False,
        pretrained: bool = True,
        init_scale: float = 0.1,
        unseen: Literal["vectors", "unknown"] = "vectors",
    ) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"size of Words must be at least 1, got {size}")
        if not 0 <= unknown_chance < 1:
            raise ValueError(f"unknown_chance must be at least 0 and below 1, got {unknown_chance}")
        self.output_size, self.tuned, self.unknown_chance = size, tuned, unknown_chance
        self.min_count, self.lower = min_count, lower
        self.pretrained, self.init_scale, self.unseen = pretrained, init_scale, unseen
        self.unknown = nn.Parameter(torch.empty(size).uniform_(-init_scale, init_scale))
        self.has_given = False
        self._rows: dict[str, int] = {}
        self._added: list[str] = []
        self._looked_up: list[str] = []

    @property
    def looks_up(self) -> bool:
        """Whether `look_up` can add the pretrained vectors of words that are not in the lexicon."""
        return self.has_given and self.unseen == "vectors"

    @property
    def num_words(self) -> int:
        """Number of words with their own vector."""
        return len(self._rows)

    def add(self, words: Sequence[str]) -> None:
        """Adds zero vectors for words without a vector, after `fit`; the state dict stores them."""
        before = len(self._rows)
        for word in words:
            if self._rows.setdefault(self._spelling(word), len(self._rows) + 1) > before:
                self._added.append(word)
        more = self.table.weight.new_zeros(len(self._rows) - before, self.output_size)
        if len(more):
            weight = torch.cat((self.table.weight.detach(), more))
            self.table = nn.Embedding(
                len(weight), self.output_size, padding_idx=UNKNOWN, _weight=weight
            )
            self.table.weight.requires_grad_(self.tuned)

    def look_up(self, vectors: Mapping[str, Row]) -> None:
        """Adds pretrained vectors [size] of words that have none, in place of those added before.

        They are for inference: the model must not be trained or saved afterwards.
        """
        if not (vectors or self._looked_up):
            return
        for word in self._looked_up:
            del self._rows[word]
        known = self.table.weight.detach()[: len(self._rows) + 1]
        new: dict[str, Row] = {}
        for word, row in vectors.items():
            if (spelling := self._spelling(word)) not in self._rows:
                new.setdefault(spelling, row)
        self._looked_up = list(new)
        for spelling in new:
            self._rows[spelling] = len(self._rows) + 1
        rows = np.stack(list(new.values())) if new else np.empty((0, self.output_size), np.float32)
        weight = torch.cat((known, torch.from_numpy(rows).to(known)))
        self.table = nn.Embedding(
            len(weight), self.output_size, padding_idx=UNKNOWN, _weight=weight
        ).requires_grad_(False)

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self._added:
            destination[f"{prefix}added"] = list(self._added)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        *rest: Any,  # noqa: ANN401 (five arguments of torch)
    ) -> None:
        # torch loads the table after this, so it must have its final size now.
        self.add(state_dict.get(f"{prefix}added", []))
        known = {name: value for name, value in state_dict.items() if name != f"{prefix}added"}
        super()._load_from_state_dict(known, prefix, *rest)

    def start(self, find: Callable[[str], Tensor | None], unknown: Tensor) -> int:
        """Copies the vectors of another model, after `fit`; other words get the vector `unknown`.

        `find` returns the vector [size] of a word, or None. Returns the number of words found.
        """
        num_found = 0
        with torch.no_grad():
            self.unknown.copy_(unknown)
            for word, row in self._rows.items():
                vector = find(word)
                num_found += vector is not None
                self.table.weight[row] = unknown if vector is None else vector
        return num_found

    def fit(self, lexicon: Lexicon) -> None:
        """See `InputPart`."""
        vectors = lexicon.vectors if self.pretrained else None
        self._check(vectors)
        given, values = self._given(lexicon, vectors)
        self._rows = {}
        for word in given:
            self._rows.setdefault(self._spelling(word), len(self._rows) + 1)
        num_given = len(self._rows)
        self.has_given = num_given > 0
        if self.tuned:
            for word, count in self._counts(lexicon).items():
                if count >= self.min_count:
                    self._rows.setdefault(word, len(self._rows) + 1)
        table = torch.empty(len(self._rows) + 1, self.output_size)
        nn.init.uniform_(table[num_given + 1 :], -self.init_scale, self.init_scale)
        table[UNKNOWN] = 0.0  # `unknown` is added in `forward`
        if num_given:
            rows = torch.tensor([self._rows[self._spelling(word)] for word in reversed(given)])
            # Of words with equal spelling the first one wins, because it is written last.
            table[rows] = torch.from_numpy(values[::-1].copy())
        # `padding_idx` keeps the row UNKNOWN at 0; only `unknown` is trained.
        self.table = nn.Embedding(len(table), self.output_size, padding_idx=UNKNOWN, _weight=table)
        self.table.weight.requires_grad_(self.tuned)

    def index(self, strings: Sequence[str]) -> Tensor:
        """See `InputPart`; one number a word."""
        rows = [self._rows.get(self._spelling(word), UNKNOWN) for word in strings]
        return torch.tensor(rows, dtype=torch.int64).view(-1, 1)

    def forward(self, numbers: Tensor) -> Tensor:
        """See `InputPart`."""
        rows = numbers.squeeze(-1)
        if self.training and self.unknown_chance:
            hidden = torch.rand(rows.shape, device=rows.device) < self.unknown_chance
            rows = rows.masked_fill(hidden, UNKNOWN)
        vectors: Tensor = self.table(rows)
        is_unknown = (rows == UNKNOWN).unsqueeze(-1)
        return vectors + is_unknown * self.unknown

    def _given(self, lexicon: Lexicon, vectors: Vectors | None) -> tuple[Sequence[str], Row]:
        """Returns the words with a pretrained vector, and these vectors [words size]."""
        if vectors is None:
            return (), np.empty((0, self.output_size), np.float32)
        if self.unseen == "vectors":
            return vectors.words, vectors.values
        seen = [index for index, word in enumerate(vectors.words) if lexicon.counts.get(word)]
        return [vectors.words[index] for index in seen], vectors.values[seen]

    def _spelling(self, word: str) -> str:
        return word.lower() if self.lower else word

    def _counts(self, lexicon: Lexicon) -> dict[str, int]:
        counts = Counter[str]()
        for word, count in lexicon.counts.items():
            counts[self._spelling(word)] += count
        return {word: count for word, count in counts.items() if count}

    def _check(self, vectors: Vectors | None) -> None:
        if vectors is None and not self.tuned:
            raise ValueError(
                "Words with tuned=false needs pretrained vectors, but the data has none; set "
                "--data.vectors=FILE, or tuned=true"
            )
        if vectors is not None and vectors.values.shape[1] != self.output_size:
            raise ValueError(
                f"Words has size {self.output_size}, but the vectors of {vectors.name} have size "
                f"{vectors.values.shape[1]}; set size of Words to that, and input_size of the "
                "encoder to the sum of all parts"
            )


class Column(InputPart):
    """A learned vector for each value of a column of the corpus, such as parts of speech.

    Args:
        column: Name of the column, such as "pos".
        size: Number of features of each vector.

    Raises:
        ValueError: If `size` is below 1.

    Example:
        >>> from pipeline.text.lexicon import Lexicon
        >>> part = Column("pos")
        >>> part.fit(Lexicon({"the": 1, "cat": 1}, {"pos": ["DET", "NOUN"]}))
        >>> part.index(["NOUN", "VERB"]).flatten()  # 0: unknown
        tensor([2, 0])
    """

    def __init__(self, column: str, size: int = 20) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"size of Column must be at least 1, got {size}")
        self.column, self.output_size = column, size
        self._rows: dict[str, int] = {}

    def fit(self, lexicon: Lexicon) -> None:
        """See `InputPart`."""
        assert self.column is not None, "the constructor sets it"
        if self.column not in lexicon.columns:
            known = ", ".join(lexicon.columns) or "none"
            raise ValueError(
                f"the corpus has no column {self.column!r}, for Column; its columns: {known}"
            )
        values = lexicon.columns[self.column]
        self._rows = {value: row for row, value in enumerate(values, start=1)}
        self.table = nn.Embedding(len(values) + 1, self.output_size)
        nn.init.uniform_(self.table.weight, -0.1, 0.1)

    def index(self, strings: Sequence[str]) -> Tensor:
        """See `InputPart`; one number per value, `UNKNOWN` for values not in the training text."""
        rows = [self._rows.get(value, UNKNOWN) for value in strings]
        return torch.tensor(rows, dtype=torch.int64).view(-1, 1)

    def forward(self, numbers: Tensor) -> Tensor:
        """See `InputPart`."""
        vectors: Tensor = self.table(numbers.squeeze(-1))
        return vectors
