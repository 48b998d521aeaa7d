"""Products of many matrices in two semirings, by trees of log2(count) rounds.

In the log semiring sum is logsumexp, in the tropical semiring it is the maximum; the product is +
in both. Each round multiplies neighboring pairs (Blelloch 1990, "Prefix sums and their
applications"). On a GPU a few large operations are much faster than a loop with small ones.

Matrices are [batch count tag tag]; their number is a power of 2.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LOWEST = -1e30
"""Replaces -inf, whose differences are nan. Sums of fewer than 10^8 such numbers are finite."""


def log_product(matrices: Tensor) -> Tensor:
    """Multiplies matrices in the log semiring, from left to right; -inf is read as `LOWEST`.

    The gradient takes as many rounds, and twice the memory of the matrices is kept for it.

    Returns:
        The product [batch tag tag].

    Example:
        >>> two = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]]).log()
        >>> log_product(two).exp()
        tensor([[[19.0000, 22.0000],
                 [43.0000, 50.0000]]])
    """
    product: Tensor = _LogProduct.apply(matrices)  # type: ignore[no-untyped-call]
    return product


class _LogProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrices: Tensor) -> Tensor:  # noqa: ANN401
        levels = [matrices.clamp(min=LOWEST)]
        while levels[-1].shape[1] > 1:
            sums = _pair_sums(levels[-1])
            highest = sums.amax(3, keepdim=True)
            total = sums.sub_(highest).exp_().sum(3)
            levels.append(total.log_().add_(highest.squeeze(3)))
        ctx.save_for_backward(*levels)
        return levels[-1].squeeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        levels: tuple[Tensor, ...] = ctx.saved_tensors
        gradient = gradient.unsqueeze(1)
        for matrices, products in zip(levels[-2::-1], levels[:0:-1], strict=True):
            weights = _pair_sums(matrices).sub_(products.unsqueeze(3)).exp_()
            weights.mul_(gradient.unsqueeze(3))
            gradient = torch.empty_like(matrices)
            torch.sum(weights, 4, out=gradient[:, 0::2])
            torch.sum(weights, 2, out=gradient[:, 1::2])
        return gradient


def best_path(matrices: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Computes the best sequence of tags between matrices, in the tropical semiring.

    The score of a sequence is first[y_0] + sum_t matrices[t, y_t, y_(t+1)] + last[y_count]. Of
    sequences with equal scores, one of those with the lowest last tag is returned.

    Args:
        matrices: Scores of pairs of tags [batch count tag tag].
        first: Scores of the first tag [batch tag].
        last: Scores of the last tag [tag] or [1].

    Returns:
        Tag ids, int64 [batch count+1].
    """
    num_tags, choices = matrices.shape[-1], []
    while matrices.shape[1] > 1:
        matrices, between = _pair_sums(matrices).max(3)
        choices.append(between.flatten(2))
    total = first.unsqueeze(1) + matrices[:, 0].transpose(1, 2) + last.unsqueeze(1)
    best = total.flatten(1).argmax(1)
    path = torch.stack((best % num_tags, best // num_tags), dim=1)
    for between in reversed(choices):
        pairs = path[:, :-1] * num_tags + path[:, 1:]
        inner = between.gather(2, pairs.unsqueeze(2))
        outer = torch.cat((path[:, :-1].unsqueeze(2), inner), dim=2).flatten(1)
        path = torch.cat((outer, path[:, -1:]), dim=1)
    return path


def messages(matrices: Tensor, first: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """Computes the products of all matrices before and after each place, in the log semiring.

    Each product has an arbitrary constant, so that its highest score is 0 and products of many
    matrices do not lose precision. The last round goes down the tree (Blelloch 1990, section 1.2).

    Args:
        matrices: Scores of pairs of tags [batch count tag tag]; -inf is read as `LOWEST`.
        first: Scores of the first tag [batch tag].
        last: Scores of the last tag [tag].

    Returns:
        first x matrices[:t] and matrices[t:] x last for t = 0 to count, [batch count+1 tag] each.
    """
    levels = [matrices.clamp(min=LOWEST)]
    while levels[-1].shape[1] > 1:
        levels.append(_normalized(_pair_sums(levels[-1]).logsumexp(3), 2))
    before, after = first.unsqueeze(1), last.expand_as(first).unsqueeze(1)
    for level in reversed(levels[:-1]):
        middle = _times(before, level[:, 0::2]), _times(level[:, 1::2], after)
        before = torch.stack((before, middle[0]), dim=2).flatten(1, 2)
        after = torch.stack((middle[1], after), dim=2).flatten(1, 2)
    ends = _times(before[:, -1:], levels[0][:, -1:]), _times(levels[0][:, :1], after[:, :1])
    return torch.cat((before, ends[0]), dim=1), torch.cat((ends[1], after), dim=1)


def _times(left: Tensor, right: Tensor) -> Tensor:
    """Multiplies vectors [batch count tag] and matrices, or matrices and vectors."""
    is_row = left.dim() == 3
    sums = left.unsqueeze(3) + right if is_row else left + right.unsqueeze(2)
    return _normalized(sums.logsumexp(2 if is_row else 3), 1)


def _normalized(scores: Tensor, num_dims: int) -> Tensor:
    """Subtracts the highest score over the last dimensions."""
    return scores - scores.detach().amax(tuple(range(-num_dims, 0)), keepdim=True)


def _pair_sums(matrices: Tensor) -> Tensor:
    """Returns left[i, k] + right[k, j] of neighboring matrices [batch pair i k j]."""
    return matrices[:, 0::2].unsqueeze(4) + matrices[:, 1::2].unsqueeze(2)
