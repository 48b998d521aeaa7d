"""Input parts for the spelling of a word: capitalization, digits, affixes."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.inputs.base import InputPart
from pipeline.inputs.words import UNKNOWN
from pipeline.text.lexicon import Lexicon

_SHAPES = ("lower", "initial", "upper", "mixed", "digits", "has digit", "no letter")


class Capitalisation(InputPart):
    """A learned vector for each of seven kinds of spelling.

    All lower case; initial capital; all capitals; mixed case; digits (and punctuation) only;
    letters and digits; neither letters nor digits. As in Collobert et al. (2011, arXiv 1103.0398,
    section 5.1).

    Args:
        size: Number of features of each vector.

    Raises:
        ValueError: If `size` is below 1.

    Example:
        >>> Capitalisation().index(["word", "Paris", "NATO", "1,000", "B2"]).flatten()
        tensor([0, 1, 2, 4, 5])
    """

    def __init__(self, size: int = 8) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"size of Capitalisation must be at least 1, got {size}")
        self.output_size = size
        self.table = nn.Embedding(len(_SHAPES), size)
        nn.init.uniform_(self.table.weight, -0.1, 0.1)

    def fit(self, lexicon: Lexicon) -> None:
        """See `InputPart`; nothing depends on the lexicon."""

    def index(self, strings: Sequence[str]) -> Tensor:
        """See `InputPart`; one number per word."""
        shapes = [_SHAPES.index(_shape(word)) for word in strings]
        return torch.tensor(shapes, dtype=torch.int64).view(-1, 1)

    def forward(self, numbers: Tensor) -> Tensor:
        """See `InputPart`."""
        vectors: Tensor = self.table(numbers.squeeze(-1))
        return vectors


class Affixes(InputPart):
    """A learned vector for the first or last letters of a word, in lower case.

    Args:
        length: Number of letters.
        size: Number of features of each vector.
        side: End of the word, "suffix" or "prefix".
        min_count: Minimum frequency in the training text; rarer affixes share one vector.

    Raises:
        ValueError: If `length`, `size` or `min_count` is below 1.

    Example:
        >>> from pipeline.text.lexicon import Lexicon
        >>> part = Affixes(length=2, min_count=2)
        >>> part.fit(Lexicon({"walked": 1, "talked": 1, "runs": 1}, {}))
        >>> part.index(["Jumped", "sits"]).flatten()  # 0: unknown
        tensor([1, 0])
    """

    def __init__(
        self,
        length: int = 3,
        size: int = 20,
        side: Literal["suffix", "prefix"] = "suffix",
        min_count: int = 5,
    ) -> None:
        super().__init__()
        for name, value in (("length", length), ("size", size), ("min_count", min_count)):
            if value < 1:
                raise ValueError(f"{name} of Affixes must be at least 1, got {value}")
        self.output_size, self.min_count = size, min_count
        self._slice = slice(-length, None) if side == "suffix" else slice(length)
        self._rows: dict[str, int] = {}

    def fit(self, lexicon: Lexicon) -> None:
        """See `InputPart`."""
        counts: Counter[str] = Counter()
        for word, count in lexicon.counts.items():
            counts[self._affix(word)] += count
        frequent = sorted(affix for affix, count in counts.items() if count >= self.min_count)
        self._rows = {affix: row for row, affix in enumerate(frequent, start=UNKNOWN + 1)}
        self.table = nn.Embedding(len(frequent) + 1, self.output_size)
        nn.init.uniform_(self.table.weight, -0.1, 0.1)

    def index(self, strings: Sequence[str]) -> Tensor:
        """See `InputPart`; one number per word."""
        rows = [self._rows.get(self._affix(word), UNKNOWN) for word in strings]
        return torch.tensor(rows, dtype=torch.int64).view(-1, 1)

    def forward(self, numbers: Tensor) -> Tensor:
        """See `InputPart`."""
        vectors: Tensor = self.table(numbers.squeeze(-1))
        return vectors

    def _affix(self, word: str) -> str:
        return word.lower()[self._slice]


def _shape(word: str) -> str:
    letters = [letter for letter in word if letter.isalpha()]
    has_digit = any(letter.isdigit() for letter in word)
    if not letters:
        return "digits" if has_digit else "no letter"
    if has_digit:
        return "has digit"
    if not any(letter.isupper() for letter in letters):
        return "lower"
    if all(not letter.islower() for letter in letters) and len(letters) > 1:
        return "upper"
    rest = [letter for letter in letters[1:] if letter.isupper()]
    return "initial" if letters[0].isupper() and not rest else "mixed"
