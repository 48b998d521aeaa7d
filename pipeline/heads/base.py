"""The one interface of everything that turns states into a distribution over a vocabulary."""

import abc
from collections.abc import Iterator

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX
from pipeline.text.vocabulary import Vocabulary

LOGIT_BYTES = 256 * 1024**2
"""At most so many bytes of logits are made at a time (but one row at least), and in evaluation
again as many of log-probabilities."""


class OutputLayer(nn.Module, abc.ABC):
    """A distribution over a vocabulary given a state.

    A task asks for one of three things: `loss` to train, `log_probs` to evaluate,
    `log_distribution` to generate. The last two are exact and agree in every output layer; `loss`
    may be an approximation whose gradient trains the same distribution.

    Args:
        input_size: features of a state.
        vocabulary: the token types, in the order of their ids.

    Raises:
        ValueError: `input_size` is below 1.

    Attributes:
        input_size: features of a state.
        vocab_size: number of token types.
    """

    def __init__(self, input_size: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        if input_size < 1:
            raise ValueError(f"input_size of an output layer must be at least 1, got {input_size}")
        self.input_size = input_size
        self.vocab_size = len(vocabulary)

    @abc.abstractmethod
    def loss(self, states: Tensor, targets: Tensor) -> Tensor:
        """Sums the negative log-likelihood of the targets, to be trained on.

        Args:
            states: [* input].
            targets: ids [*]; those equal to `IGNORE_INDEX` count nothing.

        Returns:
            A sum in nats, [], float32 (float64 in a float64 model).

        Raises:
            ValueError: the shapes do not fit each other or this layer.
        """

    @abc.abstractmethod
    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """Scores targets exactly, whatever autocast says.

        Args:
            states: [* input].
            targets: ids [*].

        Returns:
            The natural logarithm of each target's probability [*], float32 (float64 in a float64
            model); 0 where the target is `IGNORE_INDEX`.

        Raises:
            ValueError: the shapes do not fit each other or this layer.
        """

    @abc.abstractmethod
    def log_distribution(self, states: Tensor) -> Tensor:
        """Gives the logarithm of the probability of each token, whatever autocast says.

        Args:
            states: [* input].

        Returns:
            Normalised, [* vocab], float32 (float64 in a float64 model).

        Raises:
            ValueError: the states are not of `input_size`.
        """

    @abc.abstractmethod
    def tie(self, embedding: nn.Embedding) -> None:
        """Shares the weight of the embedding (Press & Wolf 2017, arXiv 1608.05859).

        Args:
            embedding: of this vocabulary, with vectors of `input_size`.

        Raises:
            ValueError: the sizes are not equal.
        """


def check_shapes(layer: OutputLayer, states: Tensor, targets: Tensor | None = None) -> None:
    """Checks what an output layer is given.

    Raises:
        ValueError: the shapes do not fit each other or the layer.
    """
    if states.shape[-1] != layer.input_size:
        raise ValueError(
            f"the output layer reads states of {layer.input_size} features, got {states.shape[-1]}"
        )
    if targets is not None and states.shape[:-1] != targets.shape:
        raise ValueError(
            f"states {list(states.shape)} need targets {list(states.shape[:-1])}, "
            f"got {list(targets.shape)}"
        )


def check_init_scale(init_scale: float) -> None:
    """Checks the bound of the uniform numbers that weights start from.

    Raises:
        ValueError: it is not above 0.
    """
    if not init_scale > 0:
        raise ValueError(f"init_scale must be above 0, got {init_scale}")


def check_tied(weight: Tensor, embedding: nn.Embedding) -> None:
    """Checks that an embedding can be the weight [vocab input] of an output layer.

    Raises:
        ValueError: the sizes are not equal.
    """
    if embedding.weight.shape != weight.shape:
        raise ValueError(
            "tied weights need an embedding and an output layer of equal size "
            "(vocabulary x features), "
            f"but the embedding is {embedding.num_embeddings} x {embedding.embedding_dim} "
            f"and the output layer is {weight.shape[0]} x {weight.shape[1]}"
        )


def pieces(num_rows: int, row_size: int, dtype: torch.dtype) -> Iterator[slice]:
    """Cuts rows of logits into pieces of at most `LOGIT_BYTES`, one at least.

    Args:
        num_rows: number of rows.
        row_size: numbers in a row.
        dtype: of the numbers; float32 at least is assumed.
    """
    itemsize = torch.promote_types(dtype, torch.float32).itemsize
    size = max(1, LOGIT_BYTES // (row_size * itemsize))
    # An evaluation window without rows is one piece without rows.
    return (slice(start, start + size) for start in range(0, max(num_rows, 1), size))


def fits_at_once(num_rows: int, row_size: int, dtype: torch.dtype) -> bool:
    """Says whether logits of this dtype are within `LOGIT_BYTES`."""
    return num_rows * row_size * dtype.itemsize <= LOGIT_BYTES


def exact_linear(states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Gives weight state + bias in float32 at least, whatever autocast says.

    Args:
        states: [* input].
        weight: [outputs input].
        bias: [outputs].

    Returns:
        [* outputs].
    """
    dtype = torch.promote_types(weight.dtype, torch.float32)
    with torch.autocast(states.device.type, enabled=False):
        return F.linear(
            states.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
        )


def exact_log_probs(states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """Gives the log-probability of targets under softmax(weight state + bias), as `log_probs` does.

    Args:
        states: [* input].
        weight: [vocab input].
        bias: [vocab].
        targets: ids [*]; those equal to `IGNORE_INDEX` get 0.

    Returns:
        In nats [*], float32 at least, whatever autocast says.
    """
    rows, row_targets = states.reshape(-1, states.shape[-1]), targets.reshape(-1)
    scores = [
        -F.cross_entropy(
            exact_linear(rows[piece], weight, bias),
            row_targets[piece],
            ignore_index=IGNORE_INDEX,
            reduction="none",
        )
        for piece in pieces(len(rows), len(weight), weight.dtype)
    ]
    return torch.cat(scores).reshape(targets.shape)
