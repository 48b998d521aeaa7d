"""Whether somebody listens to a module, so that its call must not be gone around."""

from torch import nn


def is_hooked(module: nn.Module) -> bool:
    """Whether something waits for this module's own call."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or "forward"
        in module.__dict__  # `pipeline.analysis.gradients.trace.stepwise`, and fakes of tests
    )
