"""The concatenation of input parts, from which an encoder reads."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from pipeline.inputs.base import InputPart
from pipeline.inputs.words import UNKNOWN, Words
from pipeline.text.lexicon import Lexicon
from pipeline.text.vector_formats import Row
from pipeline.transfers import Constant, to_device


class Inputs(nn.ModuleList):
    """Concatenates the vectors of several input parts, fitted to a lexicon.

    Args:
        parts: Input parts in the order of their vectors.
        lexicon: Strings to which the parts are fitted.
        input_size: Input size of the encoder, which must be the sum of the parts' sizes.

    Raises:
        ValueError: If the sizes do not add up, or the lexicon lacks data that a part needs.

    Example:
        >>> from pipeline.inputs import Capitalisation, Words
        >>> from pipeline.text.lexicon import Lexicon
        >>> lexicon = Lexicon({"the": 2, "cat": 1}, {})
        >>> inputs = Inputs([Words(size=5), Capitalisation(size=2)], lexicon, input_size=7)
        >>> inputs(torch.tensor([[0, 1, 0]]), torch.zeros(1, 3, 0)).shape
        torch.Size([1, 3, 7])
    """

    def __init__(self, parts: Sequence[InputPart], lexicon: Lexicon, input_size: int) -> None:
        _check_sizes(parts, input_size)
        for part in parts:
            part.fit(lexicon)
        super().__init__(parts)
        self._words, self._values = list(lexicon.counts), dict(lexicon.columns)
        self.reindex()
        self.register_load_state_dict_post_hook(_reindex)  # type: ignore[no-untyped-call]

    def read(self, lexicon: Lexicon) -> None:
        """Reads the strings of another lexicon from now on, such as those of another corpus.

        The parts keep their parameters; strings that they were not fitted to are unknown to them.
        """
        self._words, self._values = list(lexicon.counts), dict(lexicon.columns)
        self.reindex()

    def look_up(self, vectors: Mapping[str, Row]) -> None:
        """Adds pretrained vectors of words to the parts that use them, as `Words.look_up`."""
        for part in self.tables_of_words:
            if part.looks_up:
                part.look_up(vectors)

    def are_unknown(self, words: Sequence[str]) -> Tensor | None:
        """Returns whether all word embeddings read a word as unknown, bool [words].

        None if there are no word embeddings.
        """
        tables = [part.index(words)[:, 0] == UNKNOWN for part in self.tables_of_words]
        return torch.stack(tables).all(dim=0) if tables else None

    @property
    def tables_of_words(self) -> list[Words]:
        """The parts that are word embeddings."""
        return [part for part in self.parts if isinstance(part, Words)]

    def reindex(self) -> None:
        """Indexes the strings of the lexicon again, after a part was given more of them."""
        tables = self.index(self._words, self._values)
        self._tables = [Constant(table) for table in tables]

    @property
    def parts(self) -> list[InputPart]:
        """The parts."""
        return [part for part in self if isinstance(part, InputPart)]

    def index(self, words: Sequence[str], columns: Mapping[str, Sequence[str]]) -> list[Tensor]:
        """Indexes distinct words and values of columns: one table int64 [strings width] per part.

        The word ids of a batch are positions in `words`, those of a column positions plus 1.
        """
        return [
            part.index(words if part.column is None else ["", *columns[part.column]])
            for part in self.parts
        ]

    def forward(
        self, words: Tensor, columns: Tensor, tables: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Computes the vectors of tokens.

        On a CPU a costly part computes each distinct string of the batch once. A device computes
        all tokens instead, because the host would have to wait for the number of distinct strings.

        Args:
            words: Word ids, int64 [batch time].
            columns: Ids of the values of the other columns, int64 [batch time column].
            tables: Result of `index` for the strings of the batch; that of the lexicon if omitted.

        Returns:
            Vectors [batch time input_size].
        """
        if tables is None:
            tables = [table.on(words) for table in self._tables]
        counts = words.device.type == "cpu" and not torch.compiler.is_compiling()
        vectors = []
        for part, indices in zip(self.parts, tables, strict=True):
            ids, table = words, to_device(indices, words.device)
            if part.column is not None:
                ids = columns[..., list(self._values).index(part.column)]
            if part.is_costly and counts:
                distinct, places = torch.unique(ids, return_inverse=True)
                vectors.append(part(table[distinct])[places])
            else:
                vectors.append(part(table[ids]))
        return torch.cat(vectors, dim=-1)


def _reindex(inputs: Inputs, _keys: object) -> None:
    inputs.reindex()


def _check_sizes(parts: Sequence[InputPart], input_size: int) -> None:
    total = sum(part.output_size for part in parts)
    if total != input_size:
        sizes = " + ".join(f"{type(part).__name__} {part.output_size}" for part in parts)
        raise ValueError(
            f"the input parts give {sizes} = {total} features per token, but the encoder has "
            f"input_size {input_size}; set --model.encoder.input_size={total}"
        )
