"""The decoder interface, and scores of tags by a linear map."""

import abc
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.decoders.scores import Posterior
from pipeline.decoders.spans import span_log_probs
from pipeline.text.tags import Span
from pipeline.transfers import on_host, without_padding


class Decoded(NamedTuple):
    """The predictions of a decoder for the rows of a batch."""

    tags: list[list[str]]  # best tags of each row
    log_probs: list[list[float]]  # log-probabilities of the spans in them
    others: list[Tensor]  # other tensors of the batch, on the host


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
            lengths: Number of real steps of each row, 0 allowed, int64 [batch] on the CPU.

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

    def nll(self, states: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        """Computes the negative log-likelihood of the gold tags of each row, without weights.

        Arguments are as in `loss`, which is computed row by row unless a decoder overrides this.

        Returns:
            Nats [batch].
        """
        rows = range(len(states))
        return torch.stack(
            [self.loss(states[i : i + 1], targets[i : i + 1], lengths[i : i + 1]) for i in rows]
        )

    def predict(
        self,
        states: Tensor,
        lengths: Tensor,
        read: Callable[[Sequence[str]], list[Span]],
        *others: Tensor,
    ) -> Decoded:
        """Computes the best tags and the log-probabilities of their spans.

        Args:
            states: States of an encoder [batch time input].
            lengths: Number of real steps of each row [batch].
            read: Function that reads spans from the tags of a row.
            others: Tensors to be copied to the host together with the tags.
        """
        ids, *others_here = on_host(self.decode(states, lengths), *others)
        tags, found = self._read(ids, lengths, read)
        return Decoded(tags, self.span_log_probs(states, lengths, found), others_here)

    def _read(
        self, ids: Tensor, lengths: Tensor, read: Callable[[Sequence[str]], list[Span]]
    ) -> tuple[list[list[str]], list[list[Span]]]:
        rows = zip(ids.tolist(), lengths.tolist(), strict=True)
        tags = [[self.tags[i] for i in row[:length]] for row, length in rows]
        return tags, [read(row) for row in tags]


class ChainDecoder(Decoder, abc.ABC):
    """Base class of decoders whose distribution over the tags of a sentence is a Markov chain.

    Attributes:
        is_strict: Whether `decode` never returns malformed spans.
    """

    is_strict: bool

    @abc.abstractmethod
    def posterior(self, states: Tensor, lengths: Tensor) -> Posterior:
        """Computes the distribution, without autocast; unspecified at padded steps."""

    @torch.no_grad()
    def nll(self, states: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        """See `Decoder`."""
        return -self.posterior(states, lengths).path_log_probs(targets, lengths)

    @torch.no_grad()
    def span_log_probs(
        self, states: Tensor, lengths: Tensor, spans: Sequence[Sequence[Span]]
    ) -> list[list[float]]:
        """See `Decoder`; exact."""
        posterior = Posterior(*on_host(*self.posterior(states, lengths)))
        return span_log_probs(self.tags, posterior, lengths, spans, self.is_strict)

    @torch.no_grad()
    def predict(
        self,
        states: Tensor,
        lengths: Tensor,
        read: Callable[[Sequence[str]], list[Span]],
        *others: Tensor,
    ) -> Decoded:
        """See `Decoder`; the host waits once for the device."""
        best, posterior = self.decode(states, lengths), self.posterior(states, lengths)
        ids, *copies = on_host(best, *posterior, *others)
        parts, others_here = copies[: len(posterior)], copies[len(posterior) :]
        tags, found = self._read(ids, lengths, read)
        log_probs = span_log_probs(self.tags, Posterior(*parts), lengths, found, self.is_strict)
        return Decoded(tags, log_probs, others_here)


def emissions(linear: nn.Linear, states: Tensor, lengths: Tensor) -> Tensor:
    """Computes the score of each tag at each step by a linear map, without autocast.

    The states are [batch time input]; padded steps are ignored, even if they are nan. The scores
    [batch time tag] have float32 (float64 in a float64 model).
    """
    dtype = torch.promote_types(linear.weight.dtype, torch.float32)
    kind = states.device.type
    has_autocast = torch.amp.is_autocast_available(kind)  # not on the meta device
    with torch.autocast(kind, enabled=False) if has_autocast else nullcontext():
        return F.linear(
            without_padding(states, lengths).to(dtype),
            linear.weight.to(dtype),
            linear.bias.to(dtype),
        )
