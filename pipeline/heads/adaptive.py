"""The adaptive softmax: rarer words have smaller vectors."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX, all_real
from pipeline.heads.base import (
    OutputLayer,
    check_init_scale,
    check_range,
    check_shapes,
    exact_linear,
    in_chunks,
    on_device,
)
from pipeline.heads.class_softmax.assign import word_counts
from pipeline.heads.full.fused import softmax_nll
from pipeline.text.vocabulary import Vocabulary
from pipeline.transfers import to_device

_MOST_RECORDED = 50_000
"""Maximum number of words of a layer that is recorded as a CUDA graph."""


class AdaptiveSoftmax(OutputLayer):
    """The adaptive softmax: one softmax over frequent words and tails, and one within each tail.

    Grave et al. (2017, arXiv 1609.04309). The words from one cutoff to the next form a tail, whose
    softmax reads the state through a projection to input_size / div_value^i features. It is exact.
    Ids must be sorted by frequency. Its softmaxes are as fast under autocast as a full softmax of
    their size.

    Args:
        input_size: Number of features of a state.
        vocabulary: Vocabulary whose tokens are predicted, sorted by frequency.
        cutoffs: First id of each tail; V^0.7 and V^0.9 for V words if None.
        div_value: Factor by which the number of features decreases from tail to tail.
        bias: Whether each token and each tail has a bias.
        init_scale: Bound of the uniform initial weights and biases.

    Raises:
        ValueError: If `input_size` is below 1, `init_scale` is not above 0, `div_value` is below 1,
            the cutoffs do not increase from at least 1 to less than the number of words, or the
            vocabulary is not sorted by frequency.

    Example:
        >>> words = ["<eos>", "<unk>", *(f"w{i}" for i in range(98))]
        >>> head = AdaptiveSoftmax(64, Vocabulary(words, counts=range(100, 0, -1)))
        >>> head.cutoffs, [projection.shape[0] for projection in head.projections]
        ([25, 63], [16, 4])
    """

    def __init__(
        self,
        input_size: int,
        vocabulary: Vocabulary,
        cutoffs: Sequence[int] | None = None,
        div_value: float = 4.0,
        bias: bool = True,
        init_scale: float = 0.1,
    ) -> None:
        super().__init__(input_size, vocabulary)
        check_init_scale(init_scale)
        if not div_value >= 1:
            raise ValueError(f"div_value must be at least 1, got {div_value}")
        _check_frequency(vocabulary)
        self.cutoffs = _checked(cutoffs, self.vocab_size)
        num_tails = len(self.cutoffs)
        sizes = [max(1, int(input_size / div_value ** (i + 1))) for i in range(num_tails)]
        widths = [end - start for start, end in pairwise([*self.cutoffs, self.vocab_size])]
        outputs = [self.cutoffs[0] + num_tails, *widths]
        inputs = [input_size, *sizes]
        # The first entries belong to the softmax over frequent words and tails.
        self.weights = nn.ParameterList(map(torch.empty, outputs, inputs))
        self.biases = nn.ParameterList(map(torch.empty, outputs)) if bias else None
        self.projections = nn.ParameterList(torch.empty(size, input_size) for size in sizes)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init_scale, init_scale)

    def loss(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `OutputLayer.loss`."""
        check_shapes(self, states, targets)
        rows, row_targets = states.reshape(-1, self.input_size), targets.reshape(-1)
        of_head, tails = self._assigned(row_targets, rows.device)
        complete = all_real(row_targets)
        total = softmax_nll(rows, self.weights[0], self._bias(0), of_head, complete)
        for number, (members, places) in enumerate(tails):
            inputs = F.linear(_chosen(rows, members), self.projections[number])
            of_tail = self.weights[number + 1], self._bias(number + 1)
            total = total + softmax_nll(inputs, *of_tail, places, members is not None)
        return total

    @property
    def is_recordable(self) -> bool:
        """Whether CUDA graphs make training faster, although each tail computes all rows then."""
        return self.vocab_size <= _MOST_RECORDED

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `OutputLayer.log_probs`."""
        check_shapes(self, states, targets)
        return in_chunks(self._scores, states, targets, self.vocab_size, self.weights[0].dtype)

    def log_distribution(self, states: Tensor) -> Tensor:
        """See `OutputLayer.log_distribution`."""
        check_shapes(self, states)
        head = exact_linear(states, self.weights[0], self._bias(0)).log_softmax(-1)
        first = self.cutoffs[0]
        tails = [
            self._tail(number, states).log_softmax(-1) + head[..., first + number, None]
            for number in range(len(self.cutoffs))
        ]
        return torch.cat([head[..., :first], *tails], dim=-1)

    def tie(self, embedding: nn.Embedding) -> None:
        """Raises a `ValueError`, because words in the tails have fewer features."""
        raise ValueError(
            "AdaptiveSoftmax has no weight to share with an embedding, because its rare words have "
            "fewer features; set tie_weights to false, or use FullSoftmax, ClassSoftmax or Sampled"
        )

    def _assigned(
        self, targets: Tensor, device: torch.device
    ) -> tuple[Tensor, list[tuple[Tensor | None, Tensor]]]:
        """Assigns targets [rows] to softmaxes; returns tensors on `device` without waiting for it.

        Returns each target's output in the first softmax, which is the word itself or its tail, and
        for each tail the rows of its targets and the targets' indices in the tail. The rows are
        None where targets are on a device: all rows, with `IGNORE_INDEX` outside of the tail.
        """
        check_range(targets, self.vocab_size)
        of_head = targets.clone()
        tails: list[tuple[Tensor | None, Tensor]] = []
        for number, (start, end) in enumerate(pairwise([*self.cutoffs, self.vocab_size])):
            inside = (targets >= start) & (targets < end)
            of_head.masked_fill_(inside, self.cutoffs[0] + number)
            if not on_device(targets):
                members = torch.nonzero(inside).squeeze(1)
                tails.append((members, targets[members] - start))
            else:
                tails.append((None, (targets - start).masked_fill(~inside, IGNORE_INDEX)))
        if targets.device == device:
            return of_head, tails
        # One copy for all of them.
        parts = [of_head, *(part for tail in tails for part in tail if part is not None)]
        moved = to_device(torch.cat(parts), device)
        head, *rest = moved.split_with_sizes([len(part) for part in parts])
        return head, list(zip(rest[::2], rest[1::2], strict=True))

    def _tail(self, number: int, states: Tensor) -> Tensor:
        inputs = exact_linear(states, self.projections[number], None)
        return exact_linear(inputs, self.weights[number + 1], self._bias(number + 1))

    def _bias(self, number: int) -> Tensor | None:
        return None if self.biases is None else self.biases[number]

    def _scores(self, rows: Tensor, targets: Tensor) -> Tensor:
        of_head, tails = self._assigned(targets, rows.device)
        nll = partial(F.cross_entropy, ignore_index=IGNORE_INDEX, reduction="none")
        scores = -nll(exact_linear(rows, self.weights[0], self._bias(0)), of_head)
        for number, (members, places) in enumerate(tails):
            of_tail = -nll(self._tail(number, _chosen(rows, members)), places)
            scores = scores + of_tail if members is None else scores.index_add(0, members, of_tail)
        return scores


def _chosen(rows: Tensor, members: Tensor | None) -> Tensor:
    return rows if members is None else rows.index_select(0, members)


def _check_frequency(vocabulary: Vocabulary) -> None:
    counts = word_counts(vocabulary, "an adaptive softmax")
    for index, (count, following) in enumerate(pairwise(counts)):
        if following > count:
            one, other = vocabulary.words[index : index + 2]
            raise ValueError(
                "AdaptiveSoftmax needs a vocabulary sorted by frequency, but id "
                f"{index + 1} ({other!r}, {following:,} times) is more frequent than id {index} "
                f"({one!r}, {count:,} times); sort the vocabulary, or use ClassSoftmax"
            )


def _checked(cutoffs: Sequence[int] | None, vocab_size: int) -> list[int]:
    if cutoffs is None:
        wanted = [round(vocab_size**0.7), round(vocab_size**0.9)]
        return sorted({min(max(cutoff, 1), vocab_size - 1) for cutoff in wanted})
    rising = all(one < other for one, other in pairwise(cutoffs))
    if not (cutoffs and rising and cutoffs[0] >= 1 and cutoffs[-1] < vocab_size):
        raise ValueError(
            "cutoffs must increase from at least 1 to less than the number of words, "
            f"{vocab_size}, got {list(cutoffs)}"
        )
    return list(cutoffs)
