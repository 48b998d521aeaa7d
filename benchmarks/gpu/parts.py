"""Measures output layers, CRFs and recurrences alone on a GPU, against plain torch in the same run.

    python -m benchmarks.gpu.parts [heads] [chains] [recurrences] [--tiny]

A measurement is a forward and backward pass with the gradients of inputs and parameters: "ms" is
the median time of a pass including the host, "launches" the number of kernel launches, "GPU ms" the
time in which the GPU is busy. "heads": 700 targets drawn by Zipf's law, 650 features, bfloat16
autocast, vocabularies of 10,000, 100,000 and 800,000 words; "plain" is `nn.Linear` with
`F.cross_entropy`; torch's own adaptive softmax has the cutoffs of ours, and needs float32.
"chains": 32 sentences of at most 60 tokens; "pytorch-crf" is that package, if it is installed.
"recurrences": one layer of 650 features, 20 rows of 35 steps, against `nn.LSTM`. `--tiny` shows on
any machine that all this works.
"""

import argparse
import contextlib
import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from benchmarks.encoders import KINDS
from benchmarks.gpu.profile import Activity, synchronize
from pipeline import heads
from pipeline.decoders import CRF
from pipeline.text.vocabulary import EOS, UNK, Vocabulary

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LAYERS = [
    "FullSoftmax",
    "ClassSoftmax",
    "HierarchicalSoftmax",
    "AdaptiveSoftmax",
    "Sampled",
]


def measure(name: str, run: Callable[[], Tensor], module: nn.Module, passes: int) -> float:
    """Prints a row for a function that returns a loss, and returns the median milliseconds."""

    def once() -> None:
        run().backward()
        module.zero_grad()

    try:
        for _ in range(3):
            once()
        activity = Activity()
        activity.start()
        once()
        activity.stop()
        taken = [_seconds(once) for _ in range(passes)]
    except torch.OutOfMemoryError:
        print(f"  {name:36} out of memory", flush=True)
        return float("nan")
    middle = statistics.median(taken) * 1e3
    print(f"  {name:36}{middle:9.3f}{activity.launches:10}{activity.busy * 1e3:9.3f}", flush=True)
    return middle


def _seconds(once: Callable[[], None]) -> float:
    synchronize()
    start = time.perf_counter()
    once()
    synchronize()
    return time.perf_counter() - start


def compare_heads(tiny: bool, passes: int) -> None:
    """Compares the losses of output layers."""
    rows, size = (10, 32) if tiny else (700, 650)
    for vocab in [50, 100] if tiny else [10_000, 100_000, 800_000]:
        _title(f"{vocab:,} words")
        words = [EOS, UNK, *(f"w{index}" for index in range(2, vocab))]
        vocabulary = Vocabulary(words, [10_000_000 // rank + 1 for rank in range(1, vocab + 1)])
        chances = 1 / torch.arange(1, vocab + 1, dtype=torch.float64)
        targets = torch.multinomial(chances, rows, replacement=True)
        states = torch.randn(rows, size, device=DEVICE, requires_grad=True)
        plain, there = nn.Linear(size, vocab, device=DEVICE), targets.to(DEVICE)
        with torch.autocast(DEVICE, torch.bfloat16):
            run = partial(_plain_loss, plain, states, there)
            measure("plain", run, plain, passes)
            for layer in LAYERS:
                head = getattr(heads, layer)(size, vocabulary).to(DEVICE)
                measure(layer, partial(head.loss, states, targets), head, passes)
                if layer == "AdaptiveSoftmax":
                    theirs = nn.AdaptiveLogSoftmaxWithLoss(
                        size, vocab, head.cutoffs, head_bias=True
                    )
                    run = partial(_adaptive_loss, theirs.to(DEVICE), states, there)
                    measure("torch's adaptive softmax, float32", run, theirs, passes)


def _plain_loss(linear: nn.Linear, states: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(linear(states), targets, reduction="sum")


def _adaptive_loss(layer: nn.AdaptiveLogSoftmaxWithLoss, states: Tensor, targets: Tensor) -> Tensor:
    with torch.autocast(DEVICE, enabled=False):  # it raises an error under autocast
        loss: Tensor = layer(states, targets).loss
    return loss


def compare_chains(tiny: bool, passes: int) -> None:
    """Compares the loss and the decoding of CRFs."""
    batch, time_, size = (2, 5, 4) if tiny else (32, 60, 200)
    for num in [3] if tiny else [9, 17, 45]:
        _title(f"CRF of {num} tags")
        lengths = torch.randint(1, time_ + 1, (batch,))
        lengths[0] = time_
        targets = torch.randint(num, (batch, time_), device=DEVICE)
        states = torch.randn(batch, time_, size, device=DEVICE, requires_grad=True)
        mine = CRF(size, [f"B-{i}" for i in range(num)]).to(DEVICE)
        measure("CRF.loss", partial(mine.loss, states, targets, lengths), mine, passes)
        if importlib.util.find_spec("torchcrf"):
            from torchcrf import CRF as TORCH_CRF

            theirs = nn.ModuleDict({"linear": nn.Linear(size, num)}).to(DEVICE)
            theirs["crf"] = TORCH_CRF(num, batch_first=True).to(DEVICE)
            mask = (torch.arange(time_) < lengths.unsqueeze(1)).to(DEVICE)
            run = partial(_torchcrf_loss, theirs, states, targets, mask)
            measure("pytorch-crf", run, theirs, passes)
        taken = [_seconds(partial(mine.decode, states, lengths)) for _ in range(passes)]
        print(f"  {'CRF.decode':36}{statistics.median(taken) * 1e3:9.3f}", flush=True)


def _torchcrf_loss(model: nn.ModuleDict, states: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    loss: Tensor = -model["crf"](model["linear"](states), targets, mask=mask)
    return loss


def compare_recurrences(tiny: bool, passes: int) -> None:
    """Compares all kinds of recurrent layers with `nn.LSTM`."""
    batch, steps, size = (2, 5, 4) if tiny else (20, 35, 650)
    inputs = torch.randn(batch, steps, size, device=DEVICE, requires_grad=True)
    for name, context in _precisions().items():
        _title(f"one layer, {name}")
        theirs = nn.LSTM(size, size, batch_first=True, device=DEVICE)
        with context():
            measure("nn.LSTM", lambda m=theirs: m(inputs)[0].float().sum(), theirs, passes)
            for kind, make in KINDS.items():
                encoder = make(size, size).to(DEVICE)
                run = partial(_sum_of_states, encoder, inputs)
                measure(kind, run, encoder, passes)


def _sum_of_states(encoder: nn.Module, inputs: Tensor) -> Tensor:
    total: Tensor = encoder(inputs).states.float().sum()
    return total


def _precisions() -> dict[str, Callable[[], contextlib.AbstractContextManager[None]]]:
    return {
        "float32": contextlib.nullcontext,
        "bfloat16": lambda: torch.autocast(DEVICE, torch.bfloat16),
    }


def _title(text: str) -> None:
    print(f"{text:38}{'ms':>9}{'launches':>10}{'GPU ms':>9}", flush=True)


PARTS = {"heads": compare_heads, "chains": compare_chains, "recurrences": compare_recurrences}


def _chosen(names: list[str]) -> Iterator[Callable[[bool, int], None]]:
    return (PARTS[name] for name in names or PARTS)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="Default: all.")
    parser.add_argument("--tiny", action="store_true", help="Small sizes and few passes.")
    parser.add_argument("--passes", type=int, default=20)
    options = parser.parse_args()
    torch.manual_seed(0)
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}")
    for part in _chosen(options.parts):
        part(options.tiny, 2 if options.tiny else options.passes)


if __name__ == "__main__":
    main()
