"""Dynamic evaluation: a model that goes on learning from the text that it is scored on.

Krause et al. (2018, arXiv 1709.07432), "Dynamic evaluation of neural sequence models"; without
statistics of the training gradients it is the plain gradient descent of Mikolov et al. (2010).
"""

import itertools
from collections.abc import Iterable
from typing import cast

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor, nn
from tqdm import tqdm

from pipeline.batches import IGNORE_INDEX, StreamWindow
from pipeline.contracts import Generator
from pipeline.encoders import Carry, detach_carry
from pipeline.errors import InputError
from pipeline.heads import OutputLayer
from pipeline.metrics import TokenNll, perplexity
from pipeline.optimization import learned
from pipeline.options import Dynamics

_EPSILON = 2e-5
_WINDOWS = 300  # of training, that gradients are measured on


def dynamic_perplexity(
    model: LightningModule, data: LightningDataModule, stage: str, how: Dynamics
) -> float:
    """Scores a split with a model that learns from it.

    Args:
        model: a trained language model; its weights are changed.
        data: whose evaluation windows are of `how.steps` tokens.
        stage: "val" or "test".
        how: the rule of learning.

    Returns:
        The perplexity over all tokens of the split.
    """
    model.eval()
    rms = gradient_rms(model, data.train_dataloader(), _WINDOWS) if how.rms else None
    windows = data.val_dataloader() if stage == "val" else data.test_dataloader()
    return float(perplexity(dynamic_nll(model, windows, how, rms).compute()))


def refuse_unlearnable(model: LightningModule) -> None:
    """Raises an `InputError` for a model that has nothing to learn, as n-grams and mixtures."""
    if not isinstance(model.head, OutputLayer):
        raise InputError(
            f"--dynamic needs a network that can go on learning, and this {type(model).__name__} "
            "has no weights to learn; leave it out"
        )


def gradient_rms(
    model: LightningModule, windows: Iterable[StreamWindow], count: int
) -> list[Tensor]:
    """Measures how large the gradients of training are, parameter by parameter.

    Args:
        model: a trained language model.
        windows: of the training text.
        count: how many of them to use.

    Returns:
        The root of the mean square of the gradients of the windows' mean nll, as `parameters`.
    """
    parameters = learned(model)
    squares = [torch.zeros_like(parameter) for parameter in parameters]
    carry: Carry | None = None
    used = 0
    for window in itertools.islice(windows, count):
        _, gradients, carry = _score(model, window, carry, parameters)
        for square, gradient in zip(squares, gradients, strict=True):
            square.addcmul_(gradient, gradient)
        used += 1
    return [(square / used).sqrt() for square in squares]


def dynamic_nll(
    model: LightningModule, windows: Iterable[StreamWindow], how: Dynamics, rms: list[Tensor] | None
) -> TokenNll:
    """Scores a text, learning from each window once it has been scored.

    Args:
        model: a trained language model; its weights are changed.
        windows: of one stream, `how.steps` tokens each.
        how: the rule of learning.
        rms: of `gradient_rms`; None for plain gradient descent.

    Returns:
        The exact sums over all tokens, each scored before anything was learned from it.
    """
    parameters = learned(model)
    trained = [parameter.detach().clone() for parameter in parameters]
    steps, returns = _rates(parameters, how, rms)
    metric, carry = TokenNll(sync_on_compute=False), None
    for window in tqdm(windows, desc="dynamic evaluation", disable=None, leave=False):
        log_probs, gradients, carry = _score(model, window, carry, parameters)
        metric.update(log_probs, window.targets)
        with torch.no_grad():
            for parameter, start, gradient, step, pull in zip(
                parameters, trained, gradients, steps, returns, strict=True
            ):
                # Both terms are of the weights before the update.
                move = (start - parameter).mul_(pull).sub_(gradient.mul_(step))
                parameter.add_(move)
    return metric


def _rates(
    parameters: list[nn.Parameter], how: Dynamics, rms: list[Tensor] | None
) -> tuple[list[Tensor], list[Tensor]]:
    """Gives each number's step, and the share of the way back that it goes at an update."""
    if rms is None:
        one = parameters[0].new_ones(())
        return [one * how.rate] * len(parameters), [one * how.decay] * len(parameters)
    total = sum(float(part.sum()) for part in rms)
    mean = total / sum(part.numel() for part in rms)
    returns = [(how.decay * part / mean).clamp_(max=1.0) for part in rms]
    return [how.rate / (part + _EPSILON) for part in rms], returns


def _score(
    model: LightningModule,
    window: StreamWindow,
    carry: Carry | None,
    parameters: list[nn.Parameter],
) -> tuple[Tensor, tuple[Tensor, ...], Carry | None]:
    """Gives log-probabilities, the gradients of their mean nll, and the memory after them."""
    scored = cast(Generator, model)
    # cuDNN differentiates recurrent layers in training mode only, where dropout would act.
    with torch.backends.cudnn.flags(enabled=False):
        states, after = scored(window.tokens.to(model.device), carry)
        log_probs = scored.head.log_probs(states, window.targets.to(model.device))
        mean = log_probs.sum() / (window.targets != IGNORE_INDEX).sum()
        found = torch.autograd.grad(-mean, parameters, allow_unused=True)
    gradients = tuple(  # a window need not use all of the weights
        torch.zeros_like(parameter) if gradient is None else gradient
        for parameter, gradient in zip(parameters, found, strict=True)
    )
    return log_probs.detach().cpu(), gradients, None if window.afresh else detach_carry(after)
