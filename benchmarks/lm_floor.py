"""Measures the least time of a training step of `benchmarks/lm_step.py`, part by part.

    python benchmarks/lm_floor.py --head FullSoftmax --precision auto

The parts are: the products of the output layer (of a hierarchical softmax, those of gathered rows),
recorded while it computes a loss and its gradient, and repeated one by one; one softmax, in place,
over as many logits as the forward products have; the forward and backward pass of `nn.LSTM` on its
own, with weights in the data type of the products; and `parameter.add_(gradient)` for all
parameters. Everything else in a step (embedding, casts, clipping, Lightning, logging) counts as
overhead. Each part is repeated alone, in a process with the allocator and the threads of training;
the result is the median time in seconds.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.output_layers import make_loss
from pipeline.process import configure_allocator, cpu_multiplies_bfloat16

TIME, BATCH, FEATURES, VOCABULARY = 35, 20, 200, 10_000
REPEATS = 15
_aten = torch.ops.aten
_PRODUCTS = {_aten.mm.default, _aten.addmm.default, _aten.bmm.default, _aten.baddbmm.default}


class _Products(TorchDispatchMode):
    """Records the matrix products that are computed, and the sizes of their results."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Callable[[], object]] = []
        self.sizes: list[int] = []

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 (torch's own operator)
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        if func in _PRODUCTS:
            left, right = args[-2:]
            product = torch.mm if left.dim() == 2 else torch.bmm
            self.calls.append(lambda: product(left, right))
            self.sizes.append(result.numel())
        elif _is_gathered_product(str(func), args, result):
            self.calls.append(lambda: func(*args, **(kwargs or {})))
        return result


def _is_gathered_product(name: str, args: tuple[Any, ...], result: object) -> bool:
    """Returns whether an operation is a part of the products of a hierarchical softmax.

    Each state is multiplied with its own rows of the weight: gathered, multiplied and summed.
    """
    if "embedding_bag" in name:
        return True
    if name in ("aten.index.Tensor", "aten.mul.Tensor"):
        return isinstance(result, Tensor) and result.dim() == 2 and result.shape[1] == FEATURES
    return name == "aten.sum.dim_IntList" and args[0].dim() == 2 and args[0].shape[1] == FEATURES


def median(part: Callable[[], object]) -> float:
    """Returns the median time of a part in seconds."""
    seconds = []
    for _ in range(REPEATS + 3):
        start = time.perf_counter()
        part()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[3:])


def head_parts(head: str, dtype: torch.dtype) -> tuple[dict[str, float], list[Tensor]]:
    """Returns the times of the products and of the softmax of an output layer, and parameters."""
    loss, parameters = make_loss(head, VOCABULARY)
    chances = 1 / torch.arange(1, VOCABULARY + 1, dtype=torch.float64)
    targets = torch.multinomial(chances, TIME * BATCH, replacement=True)
    states = torch.randn(TIME * BATCH, FEATURES, requires_grad=True)
    with _Products() as forward, torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
        nll = loss(states, targets)
    with _Products() as backward:
        (nll / len(targets)).backward()
    products = [*forward.calls, *backward.calls]
    logits = torch.randn(len(targets), max(1, sum(forward.sizes) // len(targets)), dtype=dtype)
    return {
        f"{len(products)} products": sum(median(product) for product in products),
        "softmax": median(lambda: torch.softmax(logits, -1, out=logits)),
    }, parameters


def lstm_time(dtype: torch.dtype) -> float:
    """Returns the time of the forward and backward pass of the LSTM."""
    lstm = nn.LSTM(FEATURES, FEATURES, 2).to(dtype)
    inputs = torch.randn(TIME, BATCH, FEATURES, dtype=dtype, requires_grad=True)
    signal = torch.randn(TIME, BATCH, FEATURES, dtype=dtype)

    def run() -> None:
        torch.autograd.grad(lstm(inputs)[0], [inputs, *lstm.parameters()], signal)

    return median(run)


def floor(head: str, precision: str) -> dict[str, float]:
    """Returns the time of each part in seconds."""
    torch.manual_seed(0)
    is_short = precision == "auto" and cpu_multiplies_bfloat16()
    dtype = torch.bfloat16 if is_short else torch.float32
    parts, parameters = head_parts(head, dtype)
    parts["LSTM"] = lstm_time(dtype)
    others = [
        nn.Embedding(VOCABULARY, FEATURES).weight,
        *nn.LSTM(FEATURES, FEATURES, 2).parameters(),
    ]
    pairs = [(value.detach(), torch.randn_like(value) * 1e-3) for value in (*others, *parameters)]
    parts["update"] = median(lambda: [value.add_(by, alpha=-1e-3) for value, by in pairs])
    return parts


def main() -> None:
    """Prints the times as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--head", default="FullSoftmax")
    parser.add_argument("--precision", choices=["auto", "32-true"], default="auto")
    options = parser.parse_args()
    configure_allocator()
    print(json.dumps(floor(options.head, options.precision)))


if __name__ == "__main__":
    main()
