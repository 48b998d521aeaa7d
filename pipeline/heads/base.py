"""The interface of all output layers, and functions that they share."""

import abc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX, all_real
from pipeline.text.vocabulary import Vocabulary
from pipeline.transfers import to_device

LOGIT_BYTES = 256 * 1024**2
"""Maximum number of bytes of logits in memory at a time (at least one row is computed). Evaluation
needs as many bytes again for log-probabilities."""


class OutputLayer(nn.Module, abc.ABC):
    """Abstract base class of output layers, which compute p(token | state) over a vocabulary.

    A task calls `loss` in training, `log_probs` in evaluation and `log_distribution` in generation.
    The last two are exact and agree in every output layer. `loss` may be an approximation whose
    gradient trains the same distribution.

    While states are on a device such as a GPU, targets should be on the host, as `StreamWindow`
    keeps them: rows are counted and sorted there, and ids are checked. Targets on the device of the
    states are accepted too, with the same results. Neither makes the host wait for the device.

    Args:
        input_size: Number of features of a state.
        vocabulary: Vocabulary whose tokens are predicted.

    Raises:
        ValueError: If `input_size` is below 1.

    Attributes:
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
        """Returns the training loss for states [* input] and the ids of their targets [*].

        The loss is the summed negative log-likelihood in nats, [], float32 (float64 in a float64
        model), on the device of the states. Targets with `IGNORE_INDEX` have no loss.

        Raises:
            ValueError: If the shapes do not match each other or this layer.
            IndexError: If a target on the host is not an id of the vocabulary.
        """

    @abc.abstractmethod
    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """Returns the exact log-probabilities [*] of targets [*], given states [* input].

        They are natural logarithms in float32 (float64 in a float64 model), and 0 where the target
        is `IGNORE_INDEX`, on the device of the states. Autocast has no effect.

        Raises:
            ValueError: If the shapes do not match each other or this layer.
            IndexError: If a target on the host is not an id of the vocabulary.
        """

    @abc.abstractmethod
    def log_distribution(self, states: Tensor) -> Tensor:
        """Returns the log-probability of every token [* vocab], given states [* input].

        It is normalized, in float32 (float64 in a float64 model). Autocast has no effect.

        Raises:
            ValueError: If the states do not have `input_size` features.
        """

    @abc.abstractmethod
    def tie(self, embedding: nn.Embedding) -> None:
        """Uses the weight of the embedding as output weight (Press & Wolf 2017, arXiv 1608.05859).

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


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Returns a context in which operations on a device use the data types of their arguments."""
    if not torch.amp.is_autocast_available(device.type):  # as on the meta device
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def on_device(states: Tensor) -> bool:
    """Returns whether states are on a device that the host should not wait for."""
    return states.device.type != "cpu"


def check_range(targets: Tensor, vocab_size: int) -> None:
    """Raises an `IndexError` for targets on the host that are neither ids nor `IGNORE_INDEX`."""
    if targets.device.type != "cpu" or torch.compiler.is_compiling():
        return  # reading targets on a device would wait for it
    outside = (targets != IGNORE_INDEX) & ((targets < 0) | (targets >= vocab_size))
    if outside.any():
        raise IndexError(
            f"Target {int(targets[outside][0])} is out of bounds of {vocab_size} words."
        )


def placed(layer: OutputLayer, states: Tensor, targets: Tensor) -> Tensor:
    """Returns targets on the device of the states, without waiting for it.

    Raises an `IndexError` as `check_range` does.
    """
    if not on_device(states):
        return targets  # kernels on the host check the range
    check_range(targets, layer.vocab_size)
    return to_device(targets, states.device)


def real_rows(layer: OutputLayer, rows: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Returns rows [rows input] and targets [rows] without those of `IGNORE_INDEX`.

    The targets must be on the host. Raises an `IndexError` as `check_range` does.
    """
    if on_device(rows):
        check_range(targets, layer.vocab_size)
    if not all_real(targets):
        real = torch.nonzero(targets != IGNORE_INDEX).squeeze(1)
        rows, targets = rows.index_select(0, to_device(real, rows.device)), targets[real]
    return rows, to_device(targets, rows.device)


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
    """Returns slices of rows whose logits (`row_size` per row) take at most `LOGIT_BYTES`.

    There is at least one slice. A smaller data type than float32 counts as float32.
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
    """Computes the scores [*] of targets [*] for states [* input], chunk by chunk.

    `score` maps states [rows input] and targets [rows] to scores [rows].
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
    """Computes weight state + bias [* outputs] in float32 or float64. Autocast has no effect."""
    dtype = torch.promote_types(weight.dtype, torch.float32)
    with without_autocast(states.device):
        return F.linear(
            states.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
        )


def exact_log_probs(states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """Computes the log-probabilities [*] of targets [*] under softmax(weight state + bias).

    They are in float32 or float64, and 0 for `IGNORE_INDEX`. Autocast has no effect.
    """

    def score(rows: Tensor, row_targets: Tensor) -> Tensor:
        logits = exact_linear(rows, weight, bias)
        return -F.cross_entropy(logits, row_targets, ignore_index=IGNORE_INDEX, reduction="none")

    return in_chunks(score, states, targets, len(weight), weight.dtype)
