"""Measures the time of every recurrent encoder, and of ours against `torch.nn` of the same shape.

    python benchmarks/encoders.py [--hidden 200] [--batch 20] [--times 35 200 1000] [--rounds 5]
                                  [--threads 1] [--clock wall] [--tables kinds torch ragged]

One measurement is the forward and backward pass of one batch in float32, with the gradients of
inputs and parameters; inputs are as wide as states. Tables: "kinds" compares every encoder, one
layer in one direction, with `nn.LSTM`; "torch" compares our LSTM and GRU, one and two layers in
one and both directions, with torch's module of the same parameters; "ragged" compares both,
bidirectional, on rows of 1 to `time` steps, with torch's module on a packed sequence. The
variants of a table alternate, so that other load affects all of them. The columns are the minimum
and median time of a round and the ratio of the minima. `--clock cpu` measures processor time
instead of wall time, which is better on a shared machine. Freed memory is kept, as in `unroll`
(pipeline/process.py).
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from pipeline import encoders  # noqa: E402
from pipeline.process import configure_allocator  # noqa: E402

Run: TypeAlias = Callable[[Tensor], Tensor]

KINDS: dict[str, Callable[[int, int], encoders.Encoder]] = {
    "LSTM": encoders.LSTM,
    "GRU": encoders.GRU,
    "Elman": encoders.Elman,
    "IRNN": encoders.IRNN,
    "MinGRU": encoders.MinGRU,
    "MinLSTM": encoders.MinLSTM,
    "SRU": encoders.SRU,
    "QRNN": encoders.QRNN,
    "QRNN, window 2": partial(encoders.QRNN, window=2),
    "Elman, sigmoid (loop)": partial(encoders.Elman, nonlinearity="sigmoid"),
    "GRU, reset before (loop)": partial(encoders.GRU, reset="before"),
    "CoupledLSTM (loop)": encoders.CoupledLSTM,
    "SLSTM (loop)": encoders.SLSTM,
    "MogrifierLSTM (loop)": encoders.MogrifierLSTM,
}
PAIRS = {"LSTM": (encoders.LSTM, nn.LSTM), "GRU": (encoders.GRU, nn.GRU)}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Settings(NamedTuple):
    """Number of rounds and clock of a table."""

    rounds: int
    clock: Callable[[], float]


def seconds(module: nn.Module, run: Run, inputs: Tensor, clock: Callable[[], float]) -> float:
    """Returns the seconds of a forward and backward pass."""
    module.zero_grad()
    inputs = inputs.detach().requires_grad_()
    start = clock()
    run(inputs).sum().backward()
    return clock() - start


def compare(
    title: str, variants: dict[str, tuple[nn.Module, Run]], inputs: Tensor, settings: Settings
) -> None:
    """Measures variants alternately and prints a table with times relative to the first one."""
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(settings.rounds + 1):
        for name, (module, run) in variants.items():
            taken[name].append(seconds(module, run, inputs, settings.clock))
    least = {name: min(values[1:]) for name, values in taken.items()}  # the first is a warm-up
    base = next(iter(least.values()))
    print(f"\n{title:44}{'least ms':>10}{'median ms':>11}{'ratio':>8}")
    for name, values in taken.items():
        middle = statistics.median(values[1:]) * 1e3
        print(f"{name:44}{least[name] * 1e3:10.2f}{middle:11.2f}{least[name] / base:8.2f}")
    sys.stdout.flush()


def ours(encoder: encoders.Encoder, lengths: Tensor | None = None) -> tuple[nn.Module, Run]:
    """Returns one of our encoders and a function that runs it."""
    return encoder, lambda inputs: encoder(inputs, lengths).states


def plain(module: nn.RNNBase) -> tuple[nn.Module, Run]:
    """Returns a torch module and a function that runs it."""
    return module, lambda inputs: module(inputs)[0]


def packed(module: nn.RNNBase, lengths: Tensor) -> tuple[nn.Module, Run]:
    """Returns a torch module and a function that runs it on a packed sequence."""

    def run(inputs: Tensor) -> Tensor:
        sequence = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        total = inputs.shape[1]
        return pad_packed_sequence(module(sequence)[0], batch_first=True, total_length=total)[0]

    return module, run


def compare_kinds(inputs: Tensor, settings: Settings) -> None:
    """Compares every encoder with torch's LSTM."""
    size = inputs.shape[-1]
    variants = {"torch.nn.LSTM": plain(nn.LSTM(size, size, batch_first=True))}
    variants |= {name: ours(make(size, size)) for name, make in KINDS.items()}
    compare(f"time {inputs.shape[1]}: all kinds", variants, inputs, settings)


def compare_with_torch(inputs: Tensor, settings: Settings) -> None:
    """Compares our LSTM and GRU with torch's, without padding."""
    for layers in (1, 2):
        for both in (False, True):
            compare_pairs(inputs, layers, both, None, settings)


def compare_ragged(inputs: Tensor, settings: Settings) -> None:
    """Compares our bidirectional encoders with packed sequences."""
    lengths = torch.randint(1, inputs.shape[1] + 1, inputs.shape[:1])
    lengths[0] = inputs.shape[1]
    for layers in (1, 2):
        compare_pairs(inputs, layers, True, lengths, settings)


def compare_pairs(
    inputs: Tensor, layers: int, both: bool, lengths: Tensor | None, settings: Settings
) -> None:
    """Compares our LSTM and GRU with torch's, on packed sequences if there are lengths."""
    size = inputs.shape[-1]
    ways = f"{'both ways' if both else 'one way'}{'' if lengths is None else ', ragged'}"
    for name, (mine, theirs) in PAIRS.items():
        module = theirs(size, size, layers, batch_first=True, bidirectional=both)
        encoder = mine(size, size, num_layers=layers, bidirectional=both)
        other = plain(module) if lengths is None else packed(module, lengths)
        compare(
            f"time {inputs.shape[1]}: {layers} x {name}, {ways}",
            {
                f"torch.nn.{name}" if lengths is None else "packed": other,
                name: ours(encoder, lengths),
            },
            inputs,
            settings,
        )


TABLES = {"kinds": compare_kinds, "torch": compare_with_torch, "ragged": compare_ragged}


def main() -> None:
    """Measures and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--hidden", type=int, default=200, help="Number of features of inputs and states."
    )
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--times", type=int, nargs="+", default=[35, 200, 1000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES))
    options = parser.parse_args()
    settings = Settings(options.rounds, CLOCKS[options.clock])
    configure_allocator()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    for steps in options.times:
        inputs = torch.randn(options.batch, steps, options.hidden)
        for table in options.tables:
            TABLES[table](inputs, settings)


if __name__ == "__main__":
    main()
