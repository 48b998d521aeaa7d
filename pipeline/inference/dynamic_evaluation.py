"""Dynamic evaluation: the model is updated on each part of a text after scoring it.

Krause et al. (2018, arXiv 1709.07432), "Dynamic evaluation of neural sequence models"; without
statistics of the training gradients it is the plain gradient descent of Mikolov et al. (2010).
"""

import itertools
from collections.abc import Iterable
from typing import cast

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX, StreamWindow
from pipeline.console import progress
from pipeline.contracts import Generator
from pipeline.encoders import Carry, detach_carry
from pipeline.errors import InputError
from pipeline.heads import OutputLayer
from pipeline.metrics import TokenNll, perplexity
from pipeline.optimization import learned
from pipeline.options import Dynamics

_EPSILON = 2e-5
_NUM_TRAINING_WINDOWS = 300  # from which gradient statistics are computed


def dynamic_perplexity(
    model: LightningModule, data: LightningDataModule, stage: str, how: Dynamics
) -> float:
    """Returns the perplexity over all tokens of a split ("val" or "test") with dynamic evaluation.

    The weights of the model are changed. The evaluation windows must have `how.steps` tokens.
    """
    model.eval()
    rms = gradient_rms(model, data.train_dataloader(), _NUM_TRAINING_WINDOWS) if how.rms else None
    windows = data.val_dataloader() if stage == "val" else data.test_dataloader()
    return float(perplexity(dynamic_nll(model, windows, how, rms).compute()))


def refuse_unlearnable(model: LightningModule) -> None:
    """Raises `InputError` for models that are not networks: n-gram models and mixtures."""
    if not isinstance(model.head, OutputLayer):
        raise InputError(
            f"--dynamic updates the weights of a network, which {type(model).__name__} does not "
            "have; leave it out"
        )


def gradient_rms(
    model: LightningModule, windows: Iterable[StreamWindow], count: int
) -> list[Tensor]:
    """Returns the root mean square of the gradients on windows of the training text.

    It is taken over `count` windows of the gradient of the mean nll of a window; there is one
    tensor for each trained parameter.
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
    """Returns the nll of all tokens; the model is updated on each window after scoring it.

    The windows are of one stream and have `how.steps` tokens. `rms` is the result of
    `gradient_rms`, or None for plain gradient descent.
    """
    parameters = learned(model)
    trained = [parameter.detach().clone() for parameter in parameters]
    steps, decays = _rates(parameters, how, rms)
    metric, carry = TokenNll(sync_on_compute=False), None
    for window in progress(windows, "dynamic evaluation"):
        log_probs, gradients, carry = _score(model, window, carry, parameters)
        metric.update(log_probs, window.targets)
        with torch.no_grad():
            for parameter, start, gradient, step, decay in zip(
                parameters, trained, gradients, steps, decays, strict=True
            ):
                # Both terms use the weights before the update.
                move = (start - parameter).mul_(decay).sub_(gradient.mul_(step))
                parameter.add_(move)
    return metric


def _rates(
    parameters: list[nn.Parameter], how: Dynamics, rms: list[Tensor] | None
) -> tuple[list[Tensor], list[Tensor]]:
    """Returns learning rates and decay rates (toward the trained weights) of all parameters."""
    if rms is None:
        one = parameters[0].new_ones(())
        return [one * how.rate] * len(parameters), [one * how.decay] * len(parameters)
    total = sum(float(part.sum()) for part in rms)
    mean = total / sum(part.numel() for part in rms)
    decays = [(how.decay * part / mean).clamp_(max=1.0) for part in rms]
    return [how.rate / (part + _EPSILON) for part in rms], decays


def _score(
    model: LightningModule,
    window: StreamWindow,
    carry: Carry | None,
    parameters: list[nn.Parameter],
) -> tuple[Tensor, tuple[Tensor, ...], Carry | None]:
    """Returns the log-probabilities of the targets, gradients of their mean nll, and the carry."""
    scored = cast(Generator, model)
    # cuDNN computes gradients of recurrent layers only in training mode, which enables dropout.
    with torch.backends.cudnn.flags(enabled=False):
        states, after = scored(window.tokens.to(model.device), carry)
        log_probs = scored.head.log_probs(states, window.targets.to(model.device))
        mean = log_probs.sum() / (window.targets != IGNORE_INDEX).sum()
        found = torch.autograd.grad(-mean, parameters, allow_unused=True)
    gradients = tuple(  # a window may leave some weights unused
        torch.zeros_like(parameter) if gradient is None else gradient
        for parameter, gradient in zip(parameters, found, strict=True)
    )
    return log_probs.detach().cpu(), gradients, None if window.afresh else detach_carry(after)
