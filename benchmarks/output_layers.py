"""Compares the time and memory of output layers with `nn.Linear` and `F.cross_entropy`.

    python benchmarks/output_layers.py [--precision 32|bf16] [--vocabulary 10000 100000]
                                       [--layers plain FullSoftmax ...] [--rounds 5] [--threads 2]

A measurement is the forward and backward pass of a batch of 700 targets, drawn by Zipf's law, with
200 features, including the gradients of states and parameters. Every layer runs in its own process.
The processes take turns of a few batches, so that other load on the machine affects all of them.
The table has the minimum and the median time of a batch, ratios of the minima, and the growth of
the process's peak resident memory since before the layer was created. The memory allocator is set
like in `unroll` (pipeline/process.py).
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
TOKENS, FEATURES, WARM_UP = 700, 200, 3
LAYERS = [
    "plain",
    "FullSoftmax",
    "ClassSoftmax",
    "ClassSoftmax(SquareRootBins)",
    "HierarchicalSoftmax",
    "HierarchicalSoftmax(BalancedTree)",
    "AdaptiveSoftmax",
    "Sampled(SampledSoftmax)",
    "Sampled(NCE)",
    "Sampled(NegativeSampling)",
    "Sampled(BlackOut)",
]


def make_loss(name: str, size: int) -> tuple[Callable, list]:  # type: ignore[type-arg]
    """Returns the loss function (states, targets) of a layer and its parameters."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    from pipeline import heads
    from pipeline.text.vocabulary import EOS, UNK, Vocabulary

    if name == "plain":
        linear, reduce = torch.nn.Linear(FEATURES, size), partial(F.cross_entropy, reduction="sum")
        return lambda states, targets: reduce(linear(states), targets), list(linear.parameters())
    words = [EOS, UNK, *(f"w{index}" for index in range(2, size))]
    vocabulary = Vocabulary(words, [10_000_000 // rank + 1 for rank in range(1, size + 1)])
    layer, _, part = name.rstrip(")").partition("(")
    parts = [getattr(heads, part)()] if part else []
    made = getattr(heads, layer)(FEATURES, vocabulary, *parts)
    return made.loss, list(made.parameters())


def serve(name: str, size: int, bf16: bool, threads: int) -> None:
    """Measures as many batches as each input line says (in a child process)."""
    sys.path.insert(0, str(REPOSITORY))
    from pipeline.process import configure_allocator

    configure_allocator()
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    chances = 1 / torch.arange(1, size + 1, dtype=torch.float64)
    states = torch.randn(TOKENS, FEATURES, requires_grad=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    loss, parameters = make_loss(name, size)

    def step() -> float:
        targets = torch.multinomial(chances, TOKENS, replacement=True)
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            found = loss(states, targets)
        (found / TOKENS).backward()
        seconds = time.perf_counter() - start
        for tensor in (states, *parameters):
            tensor.grad = None
        return seconds

    for _ in range(WARM_UP):
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        seconds = [step() for _ in range(int(line))]
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(json.dumps([seconds, grown]), flush=True)


def measure(size: int, options: argparse.Namespace) -> None:
    """Prints a table of all layers for one vocabulary size."""
    children = {}
    for name in options.layers:
        command = [sys.executable, __file__, "--serve", name, "--vocabulary", str(size)]
        command += ["--precision", options.precision, "--threads", str(options.threads)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        child.stdout.readline()
        children[name] = child
    seconds: dict[str, list[float]] = {name: [] for name in children}
    grown = dict.fromkeys(children, 0)
    for _ in range(options.rounds):
        for name, child in children.items():
            child.stdin.write(f"{options.batches}\n")
            child.stdin.flush()
            found, grown[name] = json.loads(child.stdout.readline())
            seconds[name] += found
    for child in children.values():
        child.stdin.close()
        child.wait()
    least = {name: min(values) * 1000 for name, values in seconds.items()}
    plain, full = least.get("plain", float("nan")), least.get("FullSoftmax", float("nan"))
    print(f"\nV = {size:,}, precision {options.precision}, {options.threads} threads")
    print(f"{'':34}{'min ms':>9}{'median ms':>10}{'x plain':>9}{'x full':>8}{'peak MB':>9}")
    for name, best in least.items():
        middle = statistics.median(seconds[name]) * 1000
        print(
            f"{name:34}{best:9.1f}{middle:10.1f}{plain / best:9.1f}{full / best:8.1f}"
            f"{grown[name] / 1024:9.0f}",
            flush=True,
        )


def main() -> None:
    """Prints a table for each vocabulary size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", choices=["32", "bf16"], default="32")
    parser.add_argument("--vocabulary", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--layers", nargs="+", default=LAYERS)
    parser.add_argument("--rounds", type=int, default=5, help="Number of turns of each layer.")
    parser.add_argument("--batches", type=int, default=5, help="Number of batches in a turn.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.vocabulary[0], options.precision == "bf16", options.threads)
        return
    for size in options.vocabulary:
        measure(size, options)


if __name__ == "__main__":
    main()
