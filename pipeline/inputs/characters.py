"""Input parts that read the characters of words, including unknown words."""

import abc
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline.encoders import LSTM
from pipeline.inputs.base import InputPart
from pipeline.text.lexicon import Lexicon

_PADDING, _UNKNOWN = 0, 1


class _Characters(InputPart, abc.ABC):
    """Base class: characters, their ids and vectors."""

    is_costly = True

    @abc.abstractmethod
    def __init__(self, char_size: int, dropout: float, max_length: int) -> None:
        super().__init__()
        for name, value in (("char_size", char_size), ("max_length", max_length)):
            if value < 1:
                raise ValueError(f"{name} of a character part must be at least 1, got {value}")
        self.char_size, self.max_length = char_size, max_length
        self.dropout = nn.Dropout(dropout)
        self._ids: dict[str, int] = {}

    def fit(self, lexicon: Lexicon) -> None:
        """See `InputPart`; each character of the training text gets a vector."""
        counts = Counter("".join(word for word, count in lexicon.counts.items() if count))
        ordered = sorted(counts, key=lambda character: (-counts[character], character))
        self._ids = {character: index for index, character in enumerate(ordered, _UNKNOWN + 1)}
        self.table = nn.Embedding(len(ordered) + _UNKNOWN + 1, self.char_size)
        bound = (3 / self.char_size) ** 0.5  # as Ma and Hovy: variance 1 / char_size
        nn.init.uniform_(self.table.weight, -bound, bound)

    def index(self, strings: Sequence[str]) -> Tensor:
        """See `InputPart`; one number per character, 0 after the end of a word.

        Of words longer than `max_length` the first and last characters are kept.
        """
        half = self.max_length // 2
        first = self.max_length - half
        cut = [w if len(w) <= self.max_length else w[:first] + w[len(w) - half :] for w in strings]
        width = max((len(word) for word in cut), default=1) or 1
        numbers = torch.zeros(len(cut), width, dtype=torch.int64)
        for row, word in enumerate(cut):
            ids = [self._ids.get(character, _UNKNOWN) for character in word]
            numbers[row, : len(ids)] = torch.tensor(ids, dtype=torch.int64)
        return numbers

    def _read(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the vectors [word width char_size] of characters, and which are real."""
        flat = numbers.flatten(0, -2)
        is_real = flat != _PADDING
        # On a device the host would have to wait for the length of the longest word, and a traced
        # graph would keep the length of its example.
        is_recorded = torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export()
        if flat.device.type == "cpu" and not is_recorded:
            longest = int(is_real.sum(dim=1).max())
            flat, is_real = flat[:, : max(longest, 1)], is_real[:, : max(longest, 1)]
        vectors: Tensor = self.dropout(self.table(flat))
        return vectors, is_real


class CharacterCNN(_Characters):
    """Max-pooled convolutions over the characters of a word (Ma and Hovy 2016, arXiv 1603.01354).

    Args:
        size: Number of filters, which is the number of features of each vector.
        char_size: Number of features of each character.
        width: Number of characters that a filter covers, odd.
        dropout: Probability of setting a feature of a character to 0.
        max_length: Maximum number of characters of a word that are read, half from each end.

    Raises:
        ValueError: If a size is below 1 or `width` is even.

    Example:
        >>> from pipeline.text.lexicon import Lexicon
        >>> part = CharacterCNN(size=6)
        >>> part.fit(Lexicon({"deep": 1}, {}))
        >>> part(part.index(["deep", "peed", "p"])).shape
        torch.Size([3, 6])
    """

    def __init__(
        self,
        size: int = 50,
        char_size: int = 30,
        width: int = 3,
        dropout: float = 0.3,
        max_length: int = 20,
    ) -> None:
        super().__init__(char_size, dropout, max_length)
        if width < 1 or width % 2 == 0:
            raise ValueError(f"width of CharacterCNN must be an odd number, got {width}")
        self.output_size = size
        self.filters = nn.Conv1d(char_size, size, width, padding=width // 2)

    def forward(self, numbers: Tensor) -> Tensor:
        """See `InputPart`."""
        vectors, is_real = self._read(numbers)
        # The convolution sees zeros beside a word, whatever the padding is.
        vectors = vectors * is_real.unsqueeze(-1)
        found = self.filters(vectors.transpose(1, 2))
        found = found.masked_fill(~is_real.unsqueeze(1), -torch.inf).amax(dim=2)
        found = torch.where(is_real.any(dim=1, keepdim=True), found, 0.0)
        return found.view(*numbers.shape[:-1], -1)


class CharacterLSTM(_Characters):
    """Final states of a bidirectional LSTM over the characters of a word.

    Lample et al. (2016, arXiv 1603.01360, section 4.1).

    Args:
        size: Number of features of each vector, half from each direction.
        char_size: Number of features of each character.
        dropout: Probability of setting a feature of a character to 0.
        max_length: Maximum number of characters of a word that are read, half from each end.

    Raises:
        ValueError: If a size is below 1 or `size` is odd.

    Example:
        >>> from pipeline.text.lexicon import Lexicon
        >>> part = CharacterLSTM(size=6)
        >>> part.fit(Lexicon({"deep": 1}, {}))
        >>> part.index(["deep", "pea"])  # 0: padding, 1: unknown character
        tensor([[3, 2, 2, 4],
                [4, 2, 1, 0]])
    """

    def __init__(
        self, size: int = 50, char_size: int = 25, dropout: float = 0.0, max_length: int = 20
    ) -> None:
        super().__init__(char_size, dropout, max_length)
        if size < 2 or size % 2:
            raise ValueError(f"size of CharacterLSTM must be an even number, got {size}")
        self.output_size = size
        self.encoder = LSTM(char_size, size // 2, bidirectional=True)

    def forward(self, numbers: Tensor) -> Tensor:
        """See `InputPart`."""
        vectors, is_real = self._read(numbers)
        lengths = is_real.sum(dim=1)
        states = self.encoder(vectors, lengths).states
        forwards, backwards = states.chunk(2, dim=-1)
        last = (lengths - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, forwards.shape[-1])
        ends = torch.cat([forwards.gather(1, last).squeeze(1), backwards[:, 0]], dim=-1)
        ends = torch.where((lengths > 0).unsqueeze(1), ends, 0.0)
        return ends.view(*numbers.shape[:-1], -1)
