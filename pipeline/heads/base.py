"""The interface of all output layers, and functions that they share."""

import abc
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX
from pipeline.text.vocabulary import Vocabulary

LOGIT_BYTES = 256 * 1024**2
"""Maximum number of bytes of logits in memory at a time (at least one row is computed). Evaluation
needs as many bytes again for log-probabilities."""


class OutputLayer(nn.Module, abc.ABC):
    """Abstract base class of output layers, which compute p(token | state) over a vocabulary.

    A task calls `loss` in training, `log_probs` in evaluation and `log_distribution` in generation.
    The last two are exact and agree in every output layer. `loss` may be an approximation whose
    gradient trains the same distribution.

    Args:
        input_size: Number of features of a state.
        vocabulary: Vocabulary whose tokens are predicted.

    Raises:
        ValueError: If `input_size` is below 1.

    Attributes:
        input_size: Number of features of a state.
        vocab_size: Number of tokens in the vocabulary.
    """

    def __init__(self, input_size: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        if input_size < 1:
            raise ValueError(f"input_size of an output layer must be at least 1, got {input_size}")
        self.input_size = input_size
        self.vocab_size = len(vocabulary)

    @abc.abstractmethod
    def loss(self, states: Tensor, targets: Tensor) -> Tensor:
        """Returns the training loss, the summed negative log-likelihood of the targets.

        Args:
            states: States [* input].
            targets: Token ids [*]. Positions with `IGNORE_INDEX` have no loss.

        Returns:
            Sum in nats, [], float32 (float64 in a float64 model).

        Raises:
            ValueError: If the shapes do not match each other or this layer.
        """

    @abc.abstractmethod
    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """Returns the exact log-probabilities of targets. Autocast has no effect.

        Args:
            states: States [* input].
            targets: Token ids [*].

        Returns:
            Natural logarithm of each target's probability [*], float32 (float64 in a float64
            model); 0 where the target is `IGNORE_INDEX`.

        Raises:
            ValueError: If the shapes do not match each other or this layer.
        """

    @abc.abstractmethod
    def log_distribution(self, states: Tensor) -> Tensor:
        """Returns the log-probability of every token. Autocast has no effect.

        Args:
            states: States [* input].

        Returns:
            Normalized log-probabilities [* vocab], float32 (float64 in a float64 model).

        Raises:
            ValueError: If the states do not have `input_size` features.
        """

    @abc.abstractmethod
    def tie(self, embedding: nn.Embedding) -> None:
        """Uses the weight of the embedding as output weight (Press & Wolf 2017, arXiv 1608.05859).

        Args:
            embedding: Embedding of this vocabulary with vectors of `input_size` features.

        Raises:
            ValueError: If the sizes differ, or if this layer cannot share a weight.
        """


def check_shapes(layer: OutputLayer, states: Tensor, targets: Tensor | None = None) -> None:
    """Raises a `ValueError` if states and targets do not match each other or the layer."""
    if states.shape[-1] != layer.input_size:
        raise ValueError(
            f"the output layer expects states of {layer.input_size} features, got "
            f"{states.shape[-1]}"
        )
    if targets is not None:
        check_targets(states, targets)


def check_targets(states: Tensor, targets: Tensor) -> None:
    """Raises a `ValueError` if there is not one target for each state [* input]."""
    if states.shape[:-1] != targets.shape:
        raise ValueError(
            f"states of shape {list(states.shape)} need targets of shape "
            f"{list(states.shape[:-1])}, got {list(targets.shape)}"
        )


def check_init_scale(init_scale: float) -> None:
    """Raises a `ValueError` if the bound of the initial weights is not above 0."""
    if not init_scale > 0:
        raise ValueError(f"init_scale must be above 0, got {init_scale}")


def check_tied(weight: Tensor, embedding: nn.Embedding) -> None:
    """Raises a `ValueError` if an embedding cannot be the weight [vocab input] of a layer."""
    if embedding.weight.shape != weight.shape:
        raise ValueError(
            "tied weights need an embedding and an output layer of the same size "
            "(vocabulary x features), "
            f"but the embedding is {embedding.num_embeddings} x {embedding.embedding_dim} "
            f"and the output layer is {weight.shape[0]} x {weight.shape[1]}"
        )


def chunks(num_rows: int, row_size: int, dtype: torch.dtype) -> Iterator[slice]:
    """Returns slices of rows whose logits take at most `LOGIT_BYTES`; at least one slice.

    Args:
        num_rows: Number of rows.
        row_size: Number of logits in a row.
        dtype: Data type of the logits; a smaller one than float32 counts as float32.
    """
    itemsize = torch.promote_types(dtype, torch.float32).itemsize
    size = max(1, LOGIT_BYTES // (row_size * itemsize))
    # A batch without rows gives one empty slice.
    return (slice(start, start + size) for start in range(0, max(num_rows, 1), size))


def in_chunks(
    score: Callable[[Tensor, Tensor], Tensor],
    states: Tensor,
    targets: Tensor,
    row_size: int,
    dtype: torch.dtype,
) -> Tensor:
    """Computes the scores of targets chunk by chunk.

    Args:
        score: Function of states [rows input] and targets [rows] that returns scores [rows].
        states: States [* input].
        targets: Token ids [*].
        row_size: Number of logits in a row.
        dtype: Data type of the logits.

    Returns:
        Scores [*].
    """
    rows, row_targets = states.reshape(-1, states.shape[-1]), targets.reshape(-1)
    slices = chunks(len(rows), row_size, dtype)
    return torch.cat([score(rows[chunk], row_targets[chunk]) for chunk in slices]).reshape(
        targets.shape
    )


def fits_at_once(num_rows: int, row_size: int, dtype: torch.dtype) -> bool:
    """Returns whether logits of this data type take at most `LOGIT_BYTES`."""
    return num_rows * row_size * dtype.itemsize <= LOGIT_BYTES


def exact_linear(states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Computes weight state + bias in float32 or float64. Autocast has no effect.

    Args:
        states: States [* input].
        weight: Weight [outputs input].
        bias: Bias [outputs].

    Returns:
        Logits [* outputs].
    """
    dtype = torch.promote_types(weight.dtype, torch.float32)
    with torch.autocast(states.device.type, enabled=False):
        return F.linear(
            states.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
        )


def exact_log_probs(states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """Computes the log-probabilities of targets under softmax(weight state + bias).

    Args:
        states: States [* input].
        weight: Weight [vocab input].
        bias: Bias [vocab].
        targets: Token ids [*]. Positions with `IGNORE_INDEX` get 0.

    Returns:
        Natural logarithms [*] in float32 or float64. Autocast has no effect.
    """

    def score(rows: Tensor, row_targets: Tensor) -> Tensor:
        logits = exact_linear(rows, weight, bias)
        return -F.cross_entropy(logits, row_targets, ignore_index=IGNORE_INDEX, reduction="none")

    return in_chunks(score, states, targets, len(weight), weight.dtype)
