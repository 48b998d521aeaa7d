"""The one interface of everything that turns the tokens of a sentence into vectors."""

import abc
from collections.abc import Sequence

from torch import Tensor, nn

from pipeline.text.lexicon import Lexicon


class InputPart(nn.Module, abc.ABC):
    """Gives each token a vector that depends on the token's word or on one of its columns.

    A part is built from its own settings, then `fit` to a lexicon, which makes its parameters.
    `index` runs on the host, once per distinct string; `forward` runs on the device.

    Attributes:
        output_size: features of a token's vector.
        column: the name of the column that it reads; None: the words themselves.
        is_costly: a vector is computed, not looked up, so that it pays to do it once for each
            distinct string of a batch.
    """

    output_size: int
    column: str | None = None
    is_costly: bool = False

    @abc.abstractmethod
    def fit(self, lexicon: Lexicon) -> None:
        """Makes the parameters for the strings of a lexicon; called once, before anything else.

        The same lexicon gives the same indices, so a checkpoint needs the lexicon only.

        Raises:
            ValueError: the lexicon lacks what this part needs.
        """

    @abc.abstractmethod
    def index(self, strings: Sequence[str]) -> Tensor:
        """Turns strings (of the lexicon or not) into numbers that `forward` takes.

        Returns:
            int64 [strings width], with a width that depends on `strings` only through their
            lengths.
        """

    @abc.abstractmethod
    def forward(self, numbers: Tensor) -> Tensor:
        """Gives the vectors.

        Args:
            numbers: rows of what `index` gave, int64 [* width].

        Returns:
            [* output_size].
        """
