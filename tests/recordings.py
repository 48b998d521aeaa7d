"""Recordings of computations for machines without a GPU."""

import torch

from pipeline.cuda_graphs import replay
from pipeline.cuda_graphs.recording import Recording, Traced, static_copies, zeros_for


def record_on_the_cpu(monkeypatch):
    """Lets `replay` record on the CPU by computing again, and returns the list of all recordings.

    Like CUDA graphs, a recording reads and writes tensors of fixed addresses, and forgets a run at
    the next one.
    """
    made = []

    def record(compute, inputs, weights):
        with torch.random.fork_rng():
            made.append(_record(compute, inputs, weights))
        return made[-1]

    monkeypatch.setattr(replay, "record_cuda", record)
    monkeypatch.setattr(replay, "can_replay", lambda *_: replay._is_enabled.get())
    return made


def _record(compute, inputs, weights):
    copies, tracks = static_copies(inputs), torch.is_grad_enabled()
    live = Traced(compute, copies, weights, tracks)
    outputs = tuple(output.detach().clone() for output in live.outputs)
    of_outputs = zeros_for(live.outputs)
    gradients = [None] * len(live.leaves)
    if any(gradient is not None for gradient in of_outputs):
        gradients = [part if part is None else part.clone() for part in live.gradients(of_outputs)]

    def forward():
        nonlocal live
        with torch.set_grad_enabled(tracks):
            live = Traced(compute, copies, weights, tracks)
        for static, found in zip(outputs, live.outputs, strict=True):
            static.copy_(found.detach())

    def backward():
        for static, found in zip(gradients, live.gradients(of_outputs), strict=True):
            if static is not None:
                static.copy_(found)

    return Recording(copies, outputs, of_outputs, gradients, forward, backward)
