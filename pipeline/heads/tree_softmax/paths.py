"""The ways from the root of a binary tree to its words, and the nll of walking them."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX
from pipeline.heads.tree_softmax.trees import Joints


class Steps(NamedTuple):
    """The decisions that a batch of targets takes, those of a row together.

    Attributes:
        rows: index of the row of each decision [steps].
        nodes: where it is taken, an inner node [steps].
        signs: 1 to the first child, -1 to the second [steps].
        starts: first step of each row [rows].
    """

    rows: Tensor
    nodes: Tensor
    signs: Tensor
    starts: Tensor


class Paths(nn.Module):
    """The path to each word of a tree.

    Args:
        joints: the children of each inner node.

    Attributes:
        joints: as given, int64 [inner 2]; the one thing that a checkpoint holds.
        nodes: the inner nodes on the way to each word, one word's behind the other's [steps].
        signs: 1 where the way goes to the first child, -1 to the second [steps].
        starts: first step of each word [vocab].
        depths: steps to each word [vocab].
        by_depth: inner nodes, those nearest to the root first [inner].
        level_sizes: inner nodes at each distance from the root.
    """

    joints: Tensor
    nodes: Tensor
    signs: Tensor
    starts: Tensor
    depths: Tensor
    by_depth: Tensor

    def __init__(self, joints: Joints) -> None:
        super().__init__()
        self.register_buffer("joints", torch.tensor(joints))
        for derived in ("nodes", "signs", "starts", "depths", "by_depth"):
            self.register_buffer(derived, torch.empty(0, dtype=torch.long), persistent=False)
        self.level_sizes: list[int] = []
        self.arrange()
        self.register_load_state_dict_post_hook(_arrange_again)  # type: ignore[no-untyped-call]

    @property
    def vocab_size(self) -> int:
        """Number of words."""
        return len(self.joints) + 1

    def arrange(self) -> None:
        """Derives all else from the joints."""
        size, device = self.vocab_size, self.joints.device
        parents = torch.empty(2 * size - 1, dtype=torch.long, device=device)
        signs = torch.empty_like(parents)
        inner = torch.arange(size - 1, device=device)
        for side, sign in ((0, 1), (1, -1)):
            parents[self.joints[:, side]] = inner
            signs[self.joints[:, side]] = sign
        words = current = torch.arange(size, device=device)
        walked = []  # upwards, all words at a time
        while len(words):
            walked.append((words, parents[current], signs[current]))
            goes_on = parents[current] != size - 2
            words, current = words[goes_on], parents[current][goes_on] + size
        of_words, nodes, turns = (torch.cat(each) for each in zip(*walked, strict=True))
        order = torch.argsort(of_words, stable=True)
        self.nodes, self.signs = nodes[order], turns[order]
        self.depths = torch.bincount(of_words)
        self.starts = self.depths.cumsum(0) - self.depths
        levels = self._levels()
        self.by_depth, self.level_sizes = torch.cat(levels), [len(level) for level in levels]

    def steps_to(self, targets: Tensor) -> Steps:
        """Gives the decisions on the way to targets [rows]; none to `IGNORE_INDEX`.

        Raises:
            IndexError: a target is outside of the vocabulary.
        """
        real = targets != IGNORE_INDEX
        index = targets.where(real, 0)
        depths = self.depths.index_select(0, index) * real  # refuses an id out of range
        ends = depths.cumsum(0)
        rows = torch.arange(len(targets), device=targets.device).repeat_interleave(depths)
        offsets = torch.arange(len(rows), device=targets.device) - (ends - depths)[rows]
        steps = self.starts[index][rows] + offsets
        return Steps(rows, self.nodes[steps], self.signs[steps], ends - depths)

    def _levels(self) -> list[Tensor]:
        levels = [torch.tensor([self.vocab_size - 2], device=self.joints.device)]
        while True:
            below = self.joints[levels[-1]].flatten()
            below = below[below >= self.vocab_size] - self.vocab_size
            if not len(below):
                return levels
            levels.append(below)


def summed_nll_of_paths(
    states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, paths: Paths
) -> Tensor:
    """Sums the nll of targets, -log sigmoid(sign (weight state + bias)) over their steps.

    Args:
        states: [rows input].
        weight: [inner input].
        bias: [inner].
        targets: ids [rows]; those equal to `IGNORE_INDEX` count nothing.
        paths: the ways to the words.

    Returns:
        A sum in nats, [], in float32 at least, whatever autocast says: nearly all of the work is
        fetching rows. It cannot be differentiated twice.
    """
    with torch.autocast(states.device.type, enabled=False):
        nll: Tensor = _SummedNll.apply(states, weight, bias, paths.steps_to(targets))  # type: ignore[no-untyped-call]
    return nll


class _SummedNll(torch.autograd.Function):
    """Fetches each node's weight once a step, and writes its gradient once a node.

    Both products of the gradient are sums over bags of rows, which torch computes without making
    the rows first.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 (torch's own context, which has no public type)
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        steps: Steps,
    ) -> Tensor:
        dtype = torch.promote_types(weight.dtype, torch.float32)
        scores = step_scores(states, weight, bias, steps).mul_(steps.signs)
        ctx.save_for_backward(scores, states, weight)
        ctx.steps, ctx.bias_dtype = steps, None if bias is None else bias.dtype
        return F.softplus(-scores).sum(dtype=dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        if torch.is_grad_enabled():  # torch's `once_differentiable` would give a constant, silently
            raise RuntimeError("the loss of a hierarchical softmax cannot be differentiated twice")
        scores, states, weight = ctx.saved_tensors
        steps: Steps = ctx.steps
        errors = torch.sigmoid(-scores).mul_(-steps.signs * grad)
        to_states = _sum_of_bags(weight, steps.nodes, steps.starts, errors).to(states.dtype)
        nodes, by_node = torch.sort(steps.nodes)
        used, counts = torch.unique_consecutive(nodes, return_counts=True)
        to_weight = torch.zeros_like(weight)
        to_weight[used] = _sum_of_bags(
            states, steps.rows[by_node], counts.cumsum(0) - counts, errors[by_node]
        ).to(weight.dtype)
        to_bias = None
        if ctx.bias_dtype is not None:
            to_bias = errors.new_zeros(len(weight)).index_add_(0, steps.nodes, errors)
            to_bias = to_bias.to(ctx.bias_dtype)
        return to_states, to_weight, to_bias, None


def step_scores(states: Tensor, weight: Tensor, bias: Tensor | None, steps: Steps) -> Tensor:
    """Gives weight state + bias of each decision [steps], in float32 at least."""
    dtype = torch.promote_types(weight.dtype, torch.float32)
    with torch.autocast(states.device.type, enabled=False):
        products = weight[steps.nodes].to(dtype) * states[steps.rows].to(dtype)
        scores = products.sum(-1)
    return scores if bias is None else scores + bias[steps.nodes]


def _sum_of_bags(table: Tensor, index: Tensor, starts: Tensor, factors: Tensor) -> Tensor:
    """Sums factor * table[index] from each start to the next."""
    if not len(index):
        return factors.new_zeros(len(starts), table.shape[1])
    return F.embedding_bag(
        index, table.to(factors.dtype), starts, mode="sum", per_sample_weights=factors
    )


def _arrange_again(paths: Paths, _: object) -> None:
    paths.arrange()
