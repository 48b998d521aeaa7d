"""The interface of input parts."""

import abc
from collections.abc import Sequence

from torch import Tensor, nn

from pipeline.text.lexicon import Lexicon


class InputPart(nn.Module, abc.ABC):
    """Base class of input parts, which map each token's word or column value to a vector.

    A part is constructed from its settings; `fit` then creates its parameters for a lexicon.
    `index` runs on the CPU, once per distinct string; `forward` runs on the device.

    Attributes:
        output_size: Number of features of each vector.
        column: Name of the column that the part reads; None for the words.
        is_costly: Whether vectors are computed, not looked up, so that on a CPU each distinct
            string of a batch should be computed only once.
    """

    output_size: int
    column: str | None = None
    is_costly: bool = False

    @abc.abstractmethod
    def fit(self, lexicon: Lexicon) -> None:
        """Creates the parameters for the strings of a lexicon; called once, before other methods.

        Equal lexicons give equal indices, so a checkpoint contains only the lexicon.

        Raises:
            ValueError: If the lexicon lacks data that this part needs.
        """

    @abc.abstractmethod
    def index(self, strings: Sequence[str]) -> Tensor:
        """Converts strings, in the lexicon or not, to numbers for `forward`.

        Returns:
            int64 [strings width]; the width depends only on the lengths of the strings.
        """

    @abc.abstractmethod
    def forward(self, numbers: Tensor) -> Tensor:
        """Computes the vectors.

        Args:
            numbers: Rows of the result of `index`, int64 [* width].

        Returns:
            Vectors [* output_size].
        """
