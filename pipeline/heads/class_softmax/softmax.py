"""The class-based softmax: it predicts the class of a word, then the word within its class."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX, all_real
from pipeline.heads.base import (
    OutputLayer,
    check_init_scale,
    check_shapes,
    check_tied,
    exact_linear,
    in_chunks,
    on_device,
    placed,
)
from pipeline.heads.class_softmax.assign import FrequencyBins, StoredClasses, WordClasses
from pipeline.heads.class_softmax.partition import Partition, group
from pipeline.heads.class_softmax.within import nll_within_classes
from pipeline.heads.full.fused import product_dtype, softmax_nll
from pipeline.heads.full.on_device import device_nll, in_other_group
from pipeline.text.vocabulary import Vocabulary


class ClassSoftmax(OutputLayer):
    """The class-based softmax: p(word | state) = p(class | state) p(word | class, state).

    Goodman (2001, arXiv cs/0108006), as in Mikolov et al. (2011, "Extensions of recurrent neural
    network language model"). It is exact. With about sqrt(vocabulary) classes of about
    sqrt(vocabulary) words, it computes far fewer products than the full softmax. Rows of `weight`
    and `bias` are in the order of ids.

    On a GPU, one product with the whole weight and a mask replace a product for each class, because
    hundreds of small kernels take longer than one large one. The full softmax is then as fast.

    Args:
        input_size: Number of features of a state.
        vocabulary: Vocabulary whose tokens are predicted.
        classes: Rule that assigns words to classes; `FrequencyBins()` if None.
        bias: Whether each class and each token has a bias.
        init_scale: Bound of the uniform initial weights and biases.

    Raises:
        ValueError: If `input_size` is below 1, `init_scale` is not above 0, or the rule cannot
            divide the vocabulary.

    Attributes:
        partition: The classes; part of the state dict.

    Example:
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "the", "cat"], counts=[5, 1, 3, 1])
        >>> head = ClassSoftmax(8, vocabulary, FrequencyBins(num=2))
        >>> head.partition.class_of.tolist(), head.class_weight.shape[0]
        ([0, 1, 0, 1], 2)
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
        """Returns `spec` with the classes of a state dict, so that it needs no file of vectors."""
        classes = StoredClasses(weights["partition.class_of"])
        return {**spec, "init_args": {**spec.get("init_args", {}), "classes": classes}}

    def loss(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `OutputLayer.loss`."""
        check_shapes(self, states, targets)
        rows, row_targets = states.reshape(-1, self.input_size), targets.reshape(-1)
        if on_device(rows):
            return self._device_loss(rows, row_targets)
        classes = self.partition.classes_of(row_targets)
        return softmax_nll(rows, self.class_weight, self.class_bias, classes) + nll_within_classes(
            rows, self.weight, self.bias, row_targets, self.partition
        )

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `OutputLayer.log_probs`."""
        check_shapes(self, states, targets)
        targets = placed(self, states, targets)
        score = self._device_scores if on_device(states) else self._scores
        return in_chunks(score, states, targets, self.vocab_size, self.weight.dtype)

    def log_distribution(self, states: Tensor) -> Tensor:
        """See `OutputLayer.log_distribution`."""
        check_shapes(self, states)
        of_classes = exact_linear(states, self.class_weight, self.class_bias).log_softmax(-1)
        logits, class_of = exact_linear(states, self.weight, self.bias), self.partition.class_of
        if on_device(states):
            within = self.partition.log_probs_within(logits)
            return within + of_classes.index_select(-1, class_of)
        order, sizes = self.partition.order, self.partition.class_sizes
        parts = logits[..., order].split_with_sizes(sizes, dim=-1)
        within = torch.cat([part.log_softmax(-1) for part in parts], dim=-1)
        return within[..., order.argsort()] + of_classes[..., class_of]

    def tie(self, embedding: nn.Embedding) -> None:
        """See `OutputLayer.tie`."""
        check_tied(self.weight, embedding)
        self.weight = embedding.weight  # type: ignore[assignment]  # torch declares a Tensor

    def _device_loss(self, rows: Tensor, targets: Tensor) -> Tensor:
        complete, targets = all_real(targets), placed(self, rows, targets)
        classes = self.partition.classes_of(targets, complete)
        dtype = product_dtype(rows, self.weight)
        return device_nll(
            rows, self.class_weight, self.class_bias, classes, dtype, complete
        ) + device_nll(
            rows, self.weight, self.bias, targets, dtype, complete, self.partition.class_of
        )

    def _device_scores(self, rows: Tensor, targets: Tensor) -> Tensor:
        of_classes = exact_linear(rows, self.class_weight, self.class_bias)
        classes = self.partition.classes_of(targets)
        others = in_other_group(self.partition.class_of, targets.clamp_min(0))
        of_words = exact_linear(rows, self.weight, self.bias).masked_fill(others, -torch.inf)
        nll = partial(F.cross_entropy, ignore_index=IGNORE_INDEX, reduction="none")
        return -nll(of_classes, classes) - nll(of_words, targets)

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
