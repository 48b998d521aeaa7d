"""The class-based softmax: first the class of a word, then the word within its class."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX
from pipeline.heads.base import (
    OutputLayer,
    check_init_scale,
    check_shapes,
    check_tied,
    exact_linear,
    pieces,
)
from pipeline.heads.class_softmax.assign import FrequencyBins, StoredClasses, WordClasses
from pipeline.heads.class_softmax.partition import Partition, group
from pipeline.heads.class_softmax.within import summed_nll_within
from pipeline.heads.full.fused import softmax_nll
from pipeline.text.vocabulary import Vocabulary


class ClassSoftmax(OutputLayer):
    """p(word | state) = p(class | state) p(word | class, state), two softmaxes per word.

    Goodman (2001, arXiv cs/0108006), as in Mikolov et al. (2011, "Extensions of recurrent neural
    network language model"). Exact, and as its classes are about sqrt(vocabulary) in number
    and size, far fewer products than the full softmax. Weight and bias of words are in the order of
    ids, whatever the classes.

    Args:
        input_size: features of a state.
        vocabulary: the token types.
        classes: which class a word belongs to; `FrequencyBins()` if omitted.
        bias: whether each class and each token has one.
        init_scale: weights and biases start uniform in [-init_scale, init_scale].

    Raises:
        ValueError: `input_size` is below 1, `init_scale` is not above 0, **or** the vocabulary
            cannot be divided so.

    Attributes:
        partition: the classes; a checkpoint holds them.
    """

    def __init__(
        self,
        input_size: int,
        vocabulary: Vocabulary,
        classes: WordClasses | None = None,
        bias: bool = True,
        init_scale: float = 0.1,
    ) -> None:
        super().__init__(input_size, vocabulary)
        check_init_scale(init_scale)
        self.partition = Partition((classes or FrequencyBins()).assign(vocabulary))
        num = len(self.partition.sizes)
        self.class_weight = nn.Parameter(torch.empty(num, input_size))
        self.class_bias = nn.Parameter(torch.empty(num)) if bias else None
        self.weight = nn.Parameter(torch.empty(self.vocab_size, input_size))
        self.bias = nn.Parameter(torch.empty(self.vocab_size)) if bias else None
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init_scale, init_scale)

    @staticmethod
    def portable(spec: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Any]:
        """Returns a configuration that needs no file but the checkpoint.

        Args:
            spec: Configuration of this head, `class_path` and `init_args`.
            weights: State dict of this head.

        Returns:
            The configuration, with `classes` replaced by those of the checkpoint.
        """
        classes = StoredClasses(weights["partition.class_of"])
        return {**spec, "init_args": {**spec.get("init_args", {}), "classes": classes}}

    def loss(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `OutputLayer.loss`."""
        check_shapes(self, states, targets)
        rows, row_targets = states.reshape(-1, self.input_size), targets.reshape(-1)
        classes = self.partition.classes_of(row_targets)
        return softmax_nll(rows, self.class_weight, self.class_bias, classes) + summed_nll_within(
            rows, self.weight, self.bias, row_targets, self.partition
        )

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `OutputLayer.log_probs`."""
        check_shapes(self, states, targets)
        rows, row_targets = states.reshape(-1, self.input_size), targets.reshape(-1)
        cuts = pieces(len(rows), self.vocab_size, self.weight.dtype)
        scores = [self._scores(rows[piece], row_targets[piece]) for piece in cuts]
        return torch.cat(scores).reshape(targets.shape)

    def log_distribution(self, states: Tensor) -> Tensor:
        """See `OutputLayer.log_distribution`."""
        check_shapes(self, states)
        of_classes = exact_linear(states, self.class_weight, self.class_bias).log_softmax(-1)
        order, sizes = self.partition.order, self.partition.sizes.tolist()
        logits = exact_linear(states, self.weight, self.bias)[..., order]
        within = [part.log_softmax(-1) for part in logits.split_with_sizes(sizes, dim=-1)]
        by_id = torch.cat(within, dim=-1)[..., order.argsort()]
        return by_id + of_classes[..., self.partition.class_of]

    def tie(self, embedding: nn.Embedding) -> None:
        """See `OutputLayer.tie`."""
        check_tied(self.weight, embedding)
        self.weight = embedding.weight  # type: ignore[assignment]  # torch declares a Tensor

    def _scores(self, rows: Tensor, targets: Tensor) -> Tensor:
        scores = -F.cross_entropy(
            exact_linear(rows, self.class_weight, self.class_bias),
            self.partition.classes_of(targets),
            ignore_index=IGNORE_INDEX,
            reduction="none",
        )
        groups = group(self.partition, targets)
        places = groups.places.split_with_sizes(groups.counts)
        parts = zip(
            groups.used, rows[groups.rows].split_with_sizes(groups.counts), places, strict=True
        )
        within = [scores.new_empty(0)]
        for number, inputs, place in parts:
            ids = self.partition.members(number)
            bias = None if self.bias is None else self.bias[ids]
            within.append(
                -F.cross_entropy(
                    exact_linear(inputs, self.weight[ids], bias), place, reduction="none"
                )
            )
        return scores.index_add(0, groups.rows, torch.cat(within))
