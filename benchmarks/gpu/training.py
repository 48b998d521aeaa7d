"""Measures training steps of `unroll fit` on a GPU, with every output layer, cell and task.

    python -m benchmarks.gpu.training [--only PATTERN ...] [--tiny]

Language models are those of `configs/lm/ptb-lstm-medium.yaml` (2 x 650, batch 20, bptt 35, dropout)
on the Penn Treebank in `UNROLL_DATA`, or on random words with a Zipf distribution if it is missing.
"plain" is a loop in plain PyTorch that trains the same network on the same words, with autocast,
fused clipping and pinned copies, and reads the loss every 50 steps. Columns: milliseconds per step,
launches of kernels and CUDA graphs per step, share of the time in which the GPU is busy, and how
often the host waits for the GPU per step (`torch.cuda.set_sync_debug_mode`). "graphs" is the
default, with CUDA graphs; the others have `--cuda_graphs=false`. Everything runs in one process,
one variant after the other. `--tiny` uses small sizes and few steps; together with the CPU
it shows that the benchmark works, with the names of the full sizes.
"""

import argparse
import contextlib
import io
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from benchmarks.gpu.profile import Activity, WaitCounter, synchronize
from benchmarks.lm_step import corpus_folder
from pipeline.__main__ import ENTRY_POINT
from pipeline.cli.main import main as unroll

TINY_STEPS = {"warm_up": 2, "counted": 2, "profiled": 1, "timed": 3}
STEPS = {"warm_up": 20, "counted": 50, "profiled": 5, "timed": 60}
LM = ["--config=lm/ptb-lstm-medium"]
ENCODER, HEAD = "--model.encoder=pipeline.encoders.", "--model.head=pipeline.heads."
SIZES = "--model.encoder.init_args."
LAYERS = [f"{SIZES}{name}" for name in ("num_layers=2", "dropout=0.5")]
WIDE = [f"{SIZES}{name}=1500" for name in ("input_size", "hidden_size")]
CELLS = [
    "GRU",
    "Elman",
    "CoupledLSTM",
    "SLSTM",
    "MogrifierLSTM",
    "MinGRU",
    "MinLSTM",
    "QRNN",
    "SRU",
]
CASES: dict[str, list[str]] = {
    "2 x 650 LSTM": LM,
    "2 x 650 LSTM, float32": [*LM, "--precision=32-true"],
    "2 x 650 LSTM, 16-mixed": [*LM, "--precision=16-mixed"],
    "2 x 650 LSTM, tf32": [*LM, "--precision=tf32"],
    "2 x 650 LSTM, deterministic": [*LM, "--trainer.deterministic=true"],
    "2 x 1500 LSTM": [*LM, *WIDE],
    "AWD-LSTM": ["--config=lm/ptb-awd-lstm"],
    "ClassSoftmax": [*LM, f"{HEAD}ClassSoftmax"],
    "HierarchicalSoftmax": [*LM, f"{HEAD}HierarchicalSoftmax"],
    "AdaptiveSoftmax": [*LM, f"{HEAD}AdaptiveSoftmax"],
    "Sampled": [*LM, f"{HEAD}Sampled"],
    "Sampled, NCE": [*LM, f"{HEAD}Sampled", "--model.head.criterion=NCE"],
    **{
        cell: [
            *LM,
            f"{ENCODER}{cell}",
            f"{SIZES}input_size=650",
            f"{SIZES}hidden_size=650",
            *LAYERS,
        ]
        for cell in CELLS
    },
    "tagger, softmax": ["--config=tagging/builtin-lstm"],
    "tagger, CRF": ["--config=tagging/builtin-bilstm-crf"],
    "tagger, CRF, characters": [
        "--config=tagging/builtin-bilstm-crf",
        "--model.inputs=[{class_path: pipeline.inputs.CharacterCNN, init_args: {size: 50}}]",
    ],
    "classifier, BiLSTM": ["--config=sentiment/builtin-bilstm"],
    "classifier, averages": ["--config=sentiment/builtin-dan"],
}


def measure(arguments: list[str], corpus: Path, tiny: bool) -> dict[str, float]:
    """Runs `unroll fit` in a new folder and returns what `StepProfile` measured."""
    with tempfile.TemporaryDirectory() as name, _working_in(Path(name)):
        file = Path(name) / "steps.json"
        steps = {"path": str(file), **(TINY_STEPS if tiny else STEPS)}
        callback = {"class_path": "benchmarks.gpu.profile.StepProfile", "init_args": steps}
        given = ["fit", *arguments, f"--trainer.callbacks+={json.dumps(callback)}"]
        given += ["--trainer.limit_val_batches=0", "--trainer.max_epochs=100"]
        if any("=lm/" in one for one in arguments):
            given.append(f"--data.corpus={corpus}")
            if tiny:
                given += [f"{SIZES}{each}=8" for each in ("input_size", "hidden_size")]
                given += ["--data.batch_size=2", "--data.bptt=5"]
                given += [f"{SIZES}last_size=8"] if "awd" in arguments[0] else []
        messages = io.StringIO()
        with contextlib.redirect_stderr(messages), contextlib.redirect_stdout(io.StringIO()):
            code = unroll(given, ENTRY_POINT)
        if code or not file.exists():
            raise RuntimeError(messages.getvalue()[-2000:])
        measured: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
    return measured


@contextlib.contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def plain(corpus: Path, size: int, precision: str, tiny: bool) -> dict[str, float]:
    """Trains a 2-layer LSTM with a loop in plain PyTorch and measures the same figures."""
    text = next(path for path in sorted(corpus.iterdir()) if "train" in path.name)
    words = text.read_text(encoding="utf-8").replace("\n", " <eos> ").split()
    index = {word: number for number, word in enumerate(dict.fromkeys(words))}
    ids = torch.tensor([index[word] for word in words])
    loop = _PlainLoop(ids[: len(ids) // 20 * 20].view(20, -1), len(index), size, precision)
    steps = TINY_STEPS if tiny else STEPS
    for _ in range(steps["warm_up"]):
        loop.step()
    waits, activity = WaitCounter(), Activity()
    waits.start()
    for _ in range(steps["counted"]):
        loop.step()
    waits.stop()
    activity.start()
    for _ in range(steps["profiled"]):
        loop.step()
    activity.stop()
    synchronize()
    start = time.perf_counter()
    for _ in range(steps["timed"]):
        loop.step()
    synchronize()
    seconds = (time.perf_counter() - start) / steps["timed"]
    return {
        "ms": seconds * 1e3,
        "launches": activity.launches / steps["profiled"],
        "busy": activity.busy / steps["profiled"] / seconds,
        "waits": waits.count / steps["counted"],
    }


class _PlainLoop:
    """A training loop as people write it, without Lightning and tracking."""

    def __init__(self, columns: torch.Tensor, vocab: int, size: int, precision: str) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.columns = columns.contiguous()
        if self.device == "cuda":
            self.columns = self.columns.pin_memory()
        self.embedding = nn.Embedding(vocab, size, device=self.device)
        self.lstm = nn.LSTM(size, size, 2, batch_first=True, dropout=0.5, device=self.device)
        self.dropout = nn.Dropout(0.5)
        self.output = nn.Linear(size, vocab, device=self.device)
        self.parameters = [
            *self.embedding.parameters(),
            *self.lstm.parameters(),
            *self.output.parameters(),
        ]
        for parameter in self.parameters:
            nn.init.uniform_(parameter, -0.05, 0.05)
        self.optimizer = torch.optim.SGD(self.parameters, lr=35.0)
        self.bf16 = precision == "bf16"
        self.state: tuple[torch.Tensor, ...] | None = None
        self.number = 0

    def step(self) -> None:
        """Makes one update."""
        place = self.number * 35 % (self.columns.shape[1] - 36)
        window = self.columns[:, place : place + 36].to(self.device, non_blocking=True)
        self.number += 1
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            inputs = self.dropout(self.embedding(window[:, :-1]))
            hidden, state = self.lstm(inputs, self.state)
            logits = self.output(self.dropout(hidden))
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
        self.state = tuple(part.detach() for part in state)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 5 / 35)
        self.optimizer.step()
        if self.number % 50 == 0:
            sys.stderr.write(f"{loss.item():.3f}\n")


def main() -> None:
    """Measures all cases and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[""], help="Regular expressions of cases.")
    parser.add_argument("--tiny", action="store_true", help="Small sizes and few steps.")
    options = parser.parse_args()
    print(f"{_device_name()}, torch {torch.__version__}")
    print(f"{'':36}{'ms/step':>9}{'launches':>10}{'GPU busy':>10}{'waits':>8}")
    with tempfile.TemporaryDirectory() as name:
        corpus = corpus_folder(Path(name))
        runs = {
            f"plain 2 x {size}, {precision}": (
                lambda s=size, p=precision: plain(corpus, s, p, tiny)
            )
            for size, precision in ((650, "bf16"), (650, "float32"), (1500, "bf16"))
        }
        tiny = options.tiny
        if tiny:
            runs = {"plain 2 x 8, float32": lambda: plain(corpus, 8, "float32", tiny)}
        for case, arguments in CASES.items():
            if tiny and "--precision=tf32" in arguments:
                continue  # needs a GPU
            unrecorded = [*arguments, "--cuda_graphs=false"]
            runs[case] = lambda given=unrecorded: measure(given, corpus, tiny)
            runs[f"{case}, graphs"] = lambda given=arguments: measure(given, corpus, tiny)
        for case, run in runs.items():
            if any(re.search(pattern, case) for pattern in options.only):
                _print_row(case, run)


def _print_row(case: str, run: Callable[[], dict[str, float]]) -> None:
    try:
        found = run()
    except RuntimeError as error:
        print(f"{case:36} {error}", flush=True)
        return
    print(
        f"{case:36}{found['ms']:9.2f}{found['launches']:10.0f}{found['busy']:10.0%}"
        f"{found['waits']:8.2f}",
        flush=True,
    )


def _device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


if __name__ == "__main__":
    main()
