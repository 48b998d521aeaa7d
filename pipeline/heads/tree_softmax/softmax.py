"""The hierarchical softmax: a word is a path of yes-or-no decisions through a tree."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.heads.base import (
    OutputLayer,
    check_init_scale,
    check_shapes,
    exact_linear,
    pieces,
)
from pipeline.heads.tree_softmax.paths import Paths, step_scores, summed_nll_of_paths
from pipeline.heads.tree_softmax.trees import HuffmanTree, WordTree
from pipeline.text.vocabulary import Vocabulary


class HierarchicalSoftmax(OutputLayer):
    """p(word | state) = product of sigmoid(sign (weight state + bias)) on the way to the word.

    Morin & Bengio (2005, "Hierarchical probabilistic neural network language model");
    Mikolov et al. (2013, arXiv 1310.4546, eq. 3). Exact, normalised by construction, and the
    fastest to train of the exact layers: a word takes about log2(vocabulary) decisions.

    Args:
        input_size: features of a state.
        vocabulary: the token types.
        tree: arranges the words; `HuffmanTree()` if omitted.
        bias: whether each inner node has one.
        init_scale: weight and bias start uniform in [-init_scale, init_scale].

    Raises:
        ValueError: `input_size` is below 1, `init_scale` is not above 0, **or** the vocabulary
            cannot be arranged so.

    Attributes:
        paths: the tree; a checkpoint holds it.
    """

    def __init__(
        self,
        input_size: int,
        vocabulary: Vocabulary,
        tree: WordTree | None = None,
        bias: bool = True,
        init_scale: float = 0.1,
    ) -> None:
        super().__init__(input_size, vocabulary)
        check_init_scale(init_scale)
        self.paths = Paths((tree or HuffmanTree()).join(vocabulary))
        num_nodes = self.vocab_size - 1
        self.weight = nn.Parameter(torch.empty(num_nodes, input_size))
        self.bias = nn.Parameter(torch.empty(num_nodes)) if bias else None
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init_scale, init_scale)

    def loss(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `OutputLayer.loss`."""
        check_shapes(self, states, targets)
        rows, row_targets = states.reshape(-1, self.input_size), targets.reshape(-1)
        return summed_nll_of_paths(rows, self.weight, self.bias, row_targets, self.paths)

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """See `OutputLayer.log_probs`."""
        check_shapes(self, states, targets)
        rows, row_targets = states.reshape(-1, self.input_size), targets.reshape(-1)
        cuts = pieces(len(rows), len(self.paths.level_sizes) * self.input_size, self.weight.dtype)
        scores = [self._scores(rows[piece], row_targets[piece]) for piece in cuts]
        return torch.cat(scores).reshape(targets.shape)

    def log_distribution(self, states: Tensor) -> Tensor:
        """See `OutputLayer.log_distribution`."""
        check_shapes(self, states)
        scores = exact_linear(states, self.weight, self.bias)
        size, paths = self.vocab_size, self.paths
        # Of all nodes: words first, then inner nodes; the last is the root, which is certain.
        found = scores.new_zeros(*scores.shape[:-1], 2 * size - 1)
        for nodes in paths.by_depth.split_with_sizes(paths.level_sizes):
            first, second = paths.joints[nodes].unbind(-1)
            own, score = found[..., nodes + size], scores[..., nodes]
            found[..., first] = own + F.logsigmoid(score)
            found[..., second] = own + F.logsigmoid(-score)
        return found[..., :size]

    def tie(self, embedding: nn.Embedding) -> None:
        """Refuses: the weight of this layer belongs to the nodes of a tree.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            "a hierarchical softmax has no weight of words that an embedding could share; set "
            "tie_weights to false, or take FullSoftmax, ClassSoftmax or Sampled"
        )

    def _scores(self, rows: Tensor, targets: Tensor) -> Tensor:
        steps = self.paths.steps_to(targets)
        scores = F.logsigmoid(step_scores(rows, self.weight, self.bias, steps) * steps.signs)
        return scores.new_zeros(len(rows)).index_add(0, steps.rows, scores)
