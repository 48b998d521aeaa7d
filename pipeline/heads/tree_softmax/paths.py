"""Paths from the root of a binary tree to its words, and the nll of these paths."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX
from pipeline.heads.base import on_device, without_autocast
from pipeline.heads.tree_softmax.on_device import device_path_nll
from pipeline.heads.tree_softmax.trees import Joints


class Steps(NamedTuple):
    """The decisions on the paths to a batch of targets, sorted by row."""

    rows: Tensor  # row of each decision [steps]
    nodes: Tensor  # inner node of each decision [steps]
    signs: Tensor  # 1 for the first child, -1 for the second [steps]
    starts: Tensor  # index of each row's first decision [rows]


class Paths(nn.Module):
    """The paths from the root of a tree to its words.

    The state dict contains only `joints`. `level_sizes` has the number of inner nodes at each
    distance from the root.
    """

    joints: Tensor  # the two children of each inner node, int64 [inner 2]
    nodes: Tensor  # inner nodes on the path to each word, concatenated for all words [steps]
    signs: Tensor  # 1 where the path leads to the first child, -1 for the second [steps]
    starts: Tensor  # index of each word's first step [vocab]
    depths: Tensor  # number of steps to each word [vocab]
    by_depth: Tensor  # inner nodes sorted by distance from the root [inner]

    def __init__(self, joints: Joints) -> None:
        super().__init__()
        self.register_buffer("joints", torch.tensor(joints))
        for derived in ("nodes", "signs", "starts", "depths", "by_depth"):
            self.register_buffer(derived, torch.empty(0, dtype=torch.long), persistent=False)
        self._padded: tuple[Tensor, Tensor] | None = None
        self.level_sizes: list[int] = []
        self.arrange()
        self.register_load_state_dict_post_hook(_arrange_again)  # type: ignore[no-untyped-call]

    @property
    def vocab_size(self) -> int:
        """Number of words."""
        return len(self.joints) + 1

    def arrange(self) -> None:
        """Computes the other attributes from the joints."""
        size, device = self.vocab_size, self.joints.device
        parents = torch.empty(2 * size - 1, dtype=torch.long, device=device)
        signs = torch.empty_like(parents)
        inner = torch.arange(size - 1, device=device)
        for side, sign in ((0, 1), (1, -1)):
            parents[self.joints[:, side]] = inner
            signs[self.joints[:, side]] = sign
        words = current = torch.arange(size, device=device)
        walked = []  # from the words to the root, all words at a time
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
        self._padded = None

    def steps_to(self, targets: Tensor) -> Steps:
        """Returns the decisions on the paths to targets [rows]; none for `IGNORE_INDEX`."""
        real = targets != IGNORE_INDEX
        index = targets.where(real, 0)
        depths = self.depths.index_select(0, index) * real  # rejects an id out of range
        ends = depths.cumsum(0)
        rows = torch.arange(len(targets), device=targets.device).repeat_interleave(depths)
        offsets = torch.arange(len(rows), device=targets.device) - (ends - depths)[rows]
        steps = self.starts[index][rows] + offsets
        return Steps(rows, self.nodes[steps], self.signs[steps], ends - depths)

    def padded_to(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns nodes and signs of the decisions on the paths to targets [rows], [rows depth].

        The sign is 0 after the end of a path and in rows of `IGNORE_INDEX`. Does not wait for a
        device.
        """
        real, index = (targets != IGNORE_INDEX).unsqueeze(1), targets.clamp_min(0)
        nodes, signs = (table.index_select(0, index) for table in self._tables())
        # Some kernels for deterministic training need int64 indices.
        return nodes.long(), signs * real

    def _tables(self) -> tuple[Tensor, Tensor]:
        """Returns the padded paths to all words: nodes, int32, and signs, int8, [vocab depth].

        They are computed at their first use on a device. They are no buffers, because DDP sends all
        buffers to all processes before each step.
        """
        if self._padded is None or self._padded[0].device != self.nodes.device:
            with torch.inference_mode(False):  # else training could not use them
                places = torch.arange(len(self.level_sizes), device=self.nodes.device)
                inside = places < self.depths.unsqueeze(1)
                steps = (self.starts.unsqueeze(1) + places).where(inside, 0)
                signs = (self.signs[steps] * inside).to(torch.int8)
                self._padded = self.nodes[steps].to(torch.int32), signs
        return self._padded

    def _levels(self) -> list[Tensor]:
        levels = [torch.tensor([self.vocab_size - 2], device=self.joints.device)]
        while True:
            below = self.joints[levels[-1]].flatten()
            below = below[below >= self.vocab_size] - self.vocab_size
            if not len(below):
                return levels
            levels.append(below)


def path_nll(
    states: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, paths: Paths
) -> Tensor:
    """Sums the nll of targets: -log sigmoid(sign (weight state + bias)) over the steps to them.

    States are [rows input], the weight is [inner input], targets are [rows]. Rows with
    `IGNORE_INDEX` have no loss. The sum is in nats, [], in float32 or float64. Autocast has no
    effect, since most of the time is spent fetching rows. The sum cannot be differentiated twice.
    """
    if on_device(states):
        return device_path_nll(states, weight, bias, *paths.padded_to(targets))
    with without_autocast(states.device):
        nll: Tensor = _PathNll.apply(states, weight, bias, paths.steps_to(targets))  # type: ignore[no-untyped-call]
    return nll


class _PathNll(torch.autograd.Function):
    """Reads a node's weight once per step and writes its gradient once per node.

    Both products of the gradient are sums over bags of rows, which `embedding_bag` computes without
    materializing the rows.
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
        if torch.is_grad_enabled():  # `once_differentiable` would silently return a constant
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
    """Computes weight state + bias of each decision [steps] in float32 or float64."""
    dtype = torch.promote_types(weight.dtype, torch.float32)
    with without_autocast(states.device):
        products = weight[steps.nodes].to(dtype) * states[steps.rows].to(dtype)
        scores = products.sum(-1)
    return scores if bias is None else scores + bias[steps.nodes]


def _sum_of_bags(table: Tensor, index: Tensor, starts: Tensor, factors: Tensor) -> Tensor:
    """Returns the sums of factor * table[index] from each start to the next."""
    if not len(index):
        return factors.new_zeros(len(starts), table.shape[1])
    return F.embedding_bag(
        index, table.to(factors.dtype), starts, mode="sum", per_sample_weights=factors
    )


def _arrange_again(paths: Paths, _: object) -> None:
    paths.arrange()
