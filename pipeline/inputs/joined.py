"""Input parts side by side: what a task puts under its encoder."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from pipeline.inputs.base import InputPart
from pipeline.text.lexicon import Lexicon


class Inputs(nn.ModuleList):
    """Joins the vectors that several parts give each token, fitted to a lexicon.

    Args:
        parts: in the order in which their vectors stand.
        lexicon: what they are fitted to.
        input_size: of the encoder, the sum of the parts' sizes.

    Raises:
        ValueError: the sizes do not add up, or a part lacks something in the lexicon.
    """

    def __init__(self, parts: Sequence[InputPart], lexicon: Lexicon, input_size: int) -> None:
        _check_sizes(parts, input_size)
        for part in parts:
            part.fit(lexicon)
        super().__init__(parts)
        self._words, self._values = list(lexicon.counts), dict(lexicon.columns)
        self._columns = list(lexicon.columns)
        self.reindex()
        self.register_load_state_dict_post_hook(_reindex)  # type: ignore[no-untyped-call]

    def reindex(self) -> None:
        """Looks the lexicon's strings up again, after a part was given more of them."""
        self._tables = self.index(self._words, self._values)

    @property
    def parts(self) -> list[InputPart]:
        """The parts."""
        return [part for part in self if isinstance(part, InputPart)]

    def index(self, words: Sequence[str], columns: Mapping[str, Sequence[str]]) -> list[Tensor]:
        """Gives what `forward` needs to know of strings.

        Args:
            words: distinct words; the ids of a batch are places in it.
            columns: column -> distinct values; the ids of a batch are places in it plus 1.

        Returns:
            For each part int64 [strings width].
        """
        return [
            part.index(words if part.column is None else ["", *columns[part.column]])
            for part in self.parts
        ]

    def forward(
        self, words: Tensor, columns: Tensor, tables: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Gives the vectors of tokens.

        Args:
            words: ids, int64 [batch time].
            columns: ids of the values of each other column, int64 [batch time column].
            tables: what `index` gave for the batch's strings; those of the lexicon if omitted.

        Returns:
            [batch time input_size].
        """
        if tables is None:
            self._tables = tables = [table.to(words.device) for table in self._tables]
        vectors = []
        for part, table in zip(self.parts, tables, strict=True):
            ids = words
            if part.column is not None:
                ids = columns[..., self._columns.index(part.column)]
            vectors.append(_vectors(part, table, ids))
        return torch.cat(vectors, dim=-1)


def _reindex(inputs: Inputs, _keys: object) -> None:
    inputs.reindex()


def _vectors(part: InputPart, table: Tensor, ids: Tensor) -> Tensor:
    vectors: Tensor
    if part.is_costly:  # once for each distinct word of the batch
        distinct, places = torch.unique(ids, return_inverse=True)
        vectors = part(table[distinct])[places]
    else:
        vectors = part(table[ids])
    return vectors


def _check_sizes(parts: Sequence[InputPart], input_size: int) -> None:
    total = sum(part.output_size for part in parts)
    if total != input_size:
        sizes = " + ".join(f"{type(part).__name__} {part.output_size}" for part in parts)
        raise ValueError(
            f"the input parts give {sizes} = {total} numbers a token, but the encoder reads "
            f"input_size {input_size}; set model.encoder.input_size to {total}"
        )
