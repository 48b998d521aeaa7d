"""The decoder interface, and scores of tags by a linear map."""

import abc
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.text.tags import Span


class Decoder(nn.Module, abc.ABC):
    """Base class of decoders, which define a distribution over the tag sequences of a sentence.

    Args:
        input_size: Number of features of each state.
        tags: Tags in the order of their ids: "O", and "B-type" and "I-type" for each type.

    Raises:
        ValueError: If `input_size` is below 1 or there is no tag.

    Attributes:
        input_size: Number of features of each state.
        tags: Tags in the order of their ids.
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
        """Computes the training loss: the negative log-likelihood of the gold tags, summed.

        Args:
            states: States of an encoder [batch time input].
            targets: Gold tag ids int64 [batch time]; padded steps are ignored.
            lengths: Number of real steps of each row, 0 allowed, int64 [batch].

        Returns:
            Sum over all rows in nats, float32 (float64 in a float64 model) [].
        """

    @abc.abstractmethod
    def decode(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Computes the best tags.

        Returns:
            Tag ids, int64 [batch time]; `IGNORE_INDEX` at padded steps.
        """

    @abc.abstractmethod
    def marginals(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Computes the probability of each tag at each step, without autocast.

        Returns:
            Probabilities [batch time tag], float32 (float64 in a float64 model); unspecified at
            padded steps.
        """

    @abc.abstractmethod
    def span_log_probs(
        self, states: Tensor, lengths: Tensor, spans: Sequence[Sequence[Span]]
    ) -> list[list[float]]:
        """Computes the log-probability of each given span.

        A span has B-label at its start, I-label up to its end, and no I-label after it. If `decode`
        can return malformed spans, an I-label that continues no span also starts one, as in
        `pipeline.text.tags.spans`; the probability then includes both cases.

        Args:
            states: States of an encoder [batch time input].
            lengths: Number of real steps of each row [batch].
            spans: Spans of each row.

        Returns:
            Natural logarithms, in the order of `spans`.

        Raises:
            ValueError: If the label of a span is not a type of the tags.
        """


def real_steps(states: Tensor, lengths: Tensor) -> Tensor:
    """Returns which steps of `states` [batch time ...] are real, bool [batch time]."""
    times = torch.arange(states.shape[1], device=states.device)
    return times < lengths.to(states.device).unsqueeze(1)


def emissions(linear: nn.Linear, states: Tensor, lengths: Tensor) -> Tensor:
    """Computes the score of each tag at each step by a linear map, without autocast.

    The states are [batch time input]; padded steps are ignored, even if they are nan. The scores
    [batch time tag] have float32 (float64 in a float64 model).
    """
    dtype = torch.promote_types(linear.weight.dtype, torch.float32)
    is_padding = ~real_steps(states, lengths).unsqueeze(-1)
    with torch.autocast(states.device.type, enabled=False):
        return F.linear(
            states.masked_fill(is_padding, 0.0).to(dtype),
            linear.weight.to(dtype),
            linear.bias.to(dtype),
        )
