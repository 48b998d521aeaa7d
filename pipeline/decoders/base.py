"""The one interface of everything that turns the states of a sentence into tags."""

import abc
from collections.abc import Sequence

from torch import Tensor, nn

from pipeline.text.tags import Span


class Decoder(nn.Module, abc.ABC):
    """A distribution over the tag sequences of a sentence, given its states.

    Args:
        input_size: features of a state.
        tags: the tags, "O" and for each type "B-type" and "I-type"; a tag's id is its place.

    Raises:
        ValueError: `input_size` is below 1, or there is no tag.

    Attributes:
        input_size: features of a state.
        tags: the tags.
    """

    def __init__(self, input_size: int, tags: Sequence[str]) -> None:
        super().__init__()
        if input_size < 1:
            raise ValueError(f"input_size of a decoder must be at least 1, got {input_size}")
        if not tags:
            raise ValueError("a decoder needs at least one tag, got none")
        self.input_size, self.tags = input_size, tuple(tags)

    @abc.abstractmethod
    def loss(self, states: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        """Sums the negative log-likelihood of the gold tags over a batch, to be trained on.

        Args:
            states: [batch time input].
            targets: tag ids int64 [batch time]; whatever stands after a row's end is not read.
            lengths: real steps of each row, 0 allowed, int64 [batch].

        Returns:
            A sum in nats, float32 (float64 in a float64 model) [].
        """

    @abc.abstractmethod
    def decode(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Finds the best tags.

        Returns:
            Tag ids, int64 [batch time]; `IGNORE_INDEX` after a row's end.
        """

    @abc.abstractmethod
    def marginals(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Gives the probability of each tag at each step, whatever autocast says.

        Returns:
            Normalised at real steps, unspecified at others; float32 (float64 in a float64 model)
            [batch time tag].
        """

    @abc.abstractmethod
    def span_log_probs(
        self, states: Tensor, lengths: Tensor, spans: Sequence[Sequence[Span]]
    ) -> list[list[float]]:
        """Gives the log-probability that the tags hold exactly this span, for each span of a row.

        That is: B-label at its start, I-label up to its end, and not I-label after it. Where
        `decode` may give malformed spans, an I-label that continues nothing begins one as well, as
        in `pipeline.text.tags.spans`; the probability counts both ways.

        Args:
            states: [batch time input].
            lengths: [batch].
            spans: of each row.

        Returns:
            Natural logarithms, in the order of `spans`.

        Raises:
            ValueError: a span's label is no type of the tags.
        """
