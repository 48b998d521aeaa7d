"""Recordings of losses for machines without a GPU."""

import torch


class Overwriting:
    """Computes a loss again in every run, in the same tensors, as a CUDA graph does."""

    def __init__(self, loss, inputs, parameters):
        self.loss, self.parameters = loss, parameters
        self.inputs = tuple(each.clone() for each in inputs)
        self.outputs, self.gradients = None, None
        self.gradient = torch.zeros(())
        with torch.random.fork_rng():
            self.forward()
            self.backward()

    def forward(self):
        with torch.enable_grad():
            self.found = self.loss(self.inputs)
        self.outputs = _overwrite(self.outputs, [each.detach() for each in self.found])

    def backward(self):
        found = torch.autograd.grad(
            self.found[0], self.parameters, self.gradient, allow_unused=True
        )
        self.gradients = _overwrite(self.gradients, found)


def _overwrite(before, new):
    if before is None:
        return [None if each is None else each.clone() for each in new]
    return [
        None if one is None else one.copy_(other) for one, other in zip(before, new, strict=True)
    ]


def recorded_on_the_cpu(graphs):
    """Lets `LossGraphs` record on the CPU and returns the list of recordings."""
    made = []
    graphs._device = "cpu"
    graphs._make_recording = lambda *given: made.append(Overwriting(*given)) or made[-1]
    return made
