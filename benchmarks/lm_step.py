"""Compares the speed of `unroll fit` with a plain PyTorch loop that trains the same model.

    python benchmarks/lm_step.py [--rounds 3] [--steps 300] [--epochs 3] [--peer PATH]

The model is a 2 x 200 LSTM with a vocabulary of 10,000, batch size 20, bptt 35, clipping and SGD.
The text is the Penn Treebank if it is in `UNROLL_DATA`, otherwise random words with a Zipf
distribution. "plain" is a typical notebook loop in float32, which computes all logits and logs
only the loss every 50 steps. "ours" is `unroll fit` with Lightning, MLflow on SQLite, checkpoints
and metrics. Each measurement runs in its own process without the first 30 steps, and the variants
take turns. "classes", "adaptive" and "hierarchical" are other output layers with default settings.
"kept memory" is the plain loop with the memory allocator settings of ours (pipeline/process.py).
Below the table, "floor" is the time of the necessary parts of a step, each measured alone in the
same run (`benchmarks/lm_floor.py`), and "share" is that time divided by the time of our step.
`--peer PATH` also runs word_language_model of a clone of https://github.com/pytorch/examples with
the same sizes, for the same number of steps; its dropout is 0.
`--epochs N` also trains one epoch in float32 and one with `precision: auto` for each of N seeds,
and compares the validation perplexities.
"""

import argparse
import functools
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
WARM_UP = 30
TOKENS_PER_STEP = 20 * 35
_PEER_LINE = re.compile(r"ms/batch +[0-9.]+")
_OURS = {  # precision and output layer
    "ours float32": ("32-true", "FullSoftmax"),
    "ours precision: auto": ("auto", "FullSoftmax"),
    "ours auto, classes": ("auto", "ClassSoftmax"),
    "ours auto, adaptive": ("auto", "AdaptiveSoftmax"),
    "ours auto, hierarchical": ("auto", "HierarchicalSoftmax"),
}


def corpus_folder(folder: Path) -> Path:
    """Returns the folder of the Penn Treebank, or writes random words into a folder."""
    found = Path(os.environ.get("UNROLL_DATA", "data")) / "ptb"
    if found.is_dir():
        return found.absolute()
    words = np.array([f"w{index}" for index in range(9998)])
    chances = 1 / np.arange(1, len(words) + 1)
    generator = np.random.default_rng(0)
    for split, lines in (("train", 42_068), ("valid", 3_370), ("test", 3_761)):
        drawn = generator.choice(words, size=(lines, 21), p=chances / chances.sum())
        if split == "train":
            drawn.flat[: len(words)] = words  # every word occurs
        text = "\n".join(" ".join(line) for line in drawn)
        (folder / f"{split}.txt").write_text(text + "\n", encoding="utf-8")
    return folder


def config(
    corpus: Path, precision: str, head: str = "FullSoftmax", **trainer: object
) -> dict[str, Any]:
    """Returns the configuration of the benchmark's model."""
    uniform = part("pipeline.encoders.initializers.Uniform", scale=0.1)
    encoder = part("LSTM", input_size=200, hidden_size=200, num_layers=2, initializer=uniform)
    sgd, output = part("torch.optim.SGD", lr=20.0), part(f"pipeline.heads.{head}")
    return {
        "seed_everything": 1,
        "precision": precision,
        "trainer": {"gradient_clip_val": 0.25, **trainer},
        "data": part("LanguageModelData", corpus=str(corpus), batch_size=20, bptt=35),
        "model": part("LanguageModel", encoder=encoder, head=output, optimizer=sgd),
    }


def part(class_path: str, **settings: object) -> dict[str, Any]:
    """Returns the configuration of an object."""
    return {"class_path": class_path, "init_args": settings}


def run_ours(folder: Path, settings: dict[str, Any]) -> str:
    """Runs `unroll fit` in a folder and returns its messages."""
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    command = [sys.executable, "-m", "pipeline", "fit", "--config", str(file)]
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    environment.pop("MLFLOW_TRACKING_URI", None)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return done.stderr


def ours(corpus: Path, precision: str, steps: int, head: str = "FullSoftmax") -> float:
    """Returns the tokens per second of `unroll fit`."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "seconds.json"
        trainer = limits(file, steps, WARM_UP)
        run_ours(Path(name), config(corpus, precision, head, **trainer))
        measured = json.loads(file.read_text(encoding="utf-8"))
    return float(measured["steps"] * TOKENS_PER_STEP / measured["seconds"])


def limits(file: Path, steps: int, warm_up: int) -> dict[str, Any]:
    """Returns trainer settings for a number of steps whose time is written to a file."""
    clock = part("benchmarks.clock.Clock", path=str(file), warm_up=warm_up)
    return {"max_steps": steps, "limit_val_batches": 0, "callbacks": [clock]}


def run_plain(script: str, kept_memory: bool, *arguments: str) -> float:
    """Runs the plain loop of a script in a new process and returns the number that it prints."""
    command = [sys.executable, script, *arguments, *["--configure-allocator"] * kept_memory]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return float(done.stdout)


def plain_loop(corpus: Path, steps: int) -> float:
    """Trains with the plain loop in this process and returns the tokens per second."""
    import torch
    from torch import nn

    text = next(path for path in sorted(corpus.iterdir()) if "train" in path.name)
    words = text.read_text(encoding="utf-8").replace("\n", " <eos> ").split()
    index = {word: number for number, word in enumerate(dict.fromkeys(words))}
    ids = torch.tensor([index[word] for word in words])
    columns = ids[: len(ids) // 20 * 20].view(20, -1).t().contiguous()  # [time batch]

    torch.manual_seed(1)
    embedding = nn.Embedding(len(index), 200)
    lstm = nn.LSTM(200, 200, 2)
    output = nn.Linear(200, len(index))
    parameters = [*embedding.parameters(), *lstm.parameters(), *output.parameters()]
    for parameter in parameters:
        nn.init.uniform_(parameter, -0.1, 0.1)
    optimizer = torch.optim.SGD(parameters, lr=20.0)
    state = None
    start = 0.0
    for step in range(steps):
        if step == WARM_UP:
            start = time.perf_counter()
        place = step * 35 % (len(columns) - 36)
        inputs, targets = columns[place : place + 35], columns[place + 1 : place + 36]
        hidden, state = lstm(embedding(inputs), state)
        state = tuple(part.detach() for part in state)
        loss = nn.functional.cross_entropy(output(hidden).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 0.25)
        optimizer.step()
        if step % 50 == 0:
            sys.stderr.write(f"{loss.item():.3f}\n")
    return (steps - WARM_UP) * TOKENS_PER_STEP / (time.perf_counter() - start)


def peer(folder: Path, corpus: Path, steps: int) -> float:
    """Returns the tokens per second of the first epoch of word_language_model."""
    script = next((path for path in (folder, folder / "word_language_model") if
                   (path / "main.py").is_file()), None)  # fmt: skip
    if script is None:
        sys.exit(f"--peer {folder}: there is no word_language_model/main.py; expected a clone of "
                 "https://github.com/pytorch/examples")  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        for path in corpus.iterdir():
            for split in ("train", "valid", "test"):
                if split in path.name:
                    (data / f"{split}.txt").symlink_to(path)
        interval = max(1, (steps - WARM_UP) // 2)
        command = "main.py --model LSTM --emsize 200 --nhid 200 --nlayers 2 --dropout 0 --lr 20 "
        command += f"--clip 0.25 --batch_size 20 --bptt 35 --log-interval {interval} --epochs 1"
        process = subprocess.Popen(
            [sys.executable, "-u", *command.split(), "--data", name, "--save", f"{name}/model.pt"],
            cwd=script,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        lines = filter(_PEER_LINE.search, process.stdout)
        found = [float(line.split("ms/batch")[1].split()[0]) for line in itertools.islice(lines, 2)]
        process.terminate()
        _, message = process.communicate()
    if len(found) < 2:
        sys.exit(f"--peer {folder}: main.py failed: {message}")
    return TOKENS_PER_STEP / found[1] * 1000  # the first interval contains the slow first steps


def compare_epochs(corpus: Path, seeds: int) -> None:
    """Trains an epoch in float32 and one with `precision: auto` for each seed."""
    found: dict[str, list[float]] = {"32-true": [], "auto": []}
    for seed in range(1, seeds + 1):
        for precision, perplexities in found.items():
            with tempfile.TemporaryDirectory() as name:
                settings = {**config(corpus, precision, max_epochs=1), "seed_everything": seed}
                said = run_ours(Path(name), settings)
            line = next(line for line in said.splitlines() if "val/perplexity" in line)
            print(f"one epoch, seed {seed}, {precision:8} {line.strip()}", flush=True)
            perplexities.append(float(line.split("val/perplexity")[1].split()[0]))
    ratio = statistics.mean(found["auto"]) / statistics.mean(found["32-true"])
    print(f"mean validation perplexity, auto / float32: {ratio:.4f}")


def compare_loops(corpus: Path, rounds: int, steps: int, peer_folder: Path | None) -> None:
    """Measures all variants, and the floor of ours in each round."""
    arguments = ("--plain", str(corpus), "--steps", str(steps))
    variants = {
        "plain float32": lambda: run_plain(__file__, False, *arguments),
        "plain float32, kept memory": lambda: run_plain(__file__, True, *arguments),
    }
    if peer_folder is not None:
        variants["word_language_model"] = lambda: peer(peer_folder, corpus, steps)
    floors: dict[str, list[dict[str, float]]] = {name: [] for name in _OURS}

    def run(name: str) -> float:
        precision, head = _OURS[name]
        floors[name].append(floor(precision, head))
        return ours(corpus, precision, steps, head)

    variants |= {name: functools.partial(run, name) for name in _OURS}
    rates = take_turns(variants, rounds, "tokens/s")
    print(f"\n{'ms':28}{'step':>7}{'floor':>7}{'share':>7}")
    for name, of_rounds in floors.items():
        parts = {part: statistics.median(times[part] for times in of_rounds) * 1000
                 for part in of_rounds[0]}  # fmt: skip
        step, least = TOKENS_PER_STEP / rates[name] * 1000, sum(parts.values())
        listed = ", ".join(f"{part} {time:.1f}" for part, time in parts.items())
        print(f"{name:28}{step:7.1f}{least:7.1f}{least / step:7.2f}  {listed}")


def floor(precision: str, head: str) -> dict[str, float]:
    """Returns the time in seconds of each part of a step, measured alone in a new process."""
    script = str(Path(__file__).with_name("lm_floor.py"))
    command = [sys.executable, script, "--precision", precision, "--head", head]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    parts: dict[str, float] = json.loads(done.stdout)
    return parts


def take_turns(
    variants: dict[str, Callable[[], float]], rounds: int, unit: str
) -> dict[str, float]:
    """Measures the rates of variants in turns; prints and returns their medians.

    They are printed relative to the first two.
    """
    rates: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds):
        for name, measure in variants.items():
            rates[name].append(measure())
            print(f"round {number + 1}: {name}: {rates[name][-1]:.0f} {unit}", file=sys.stderr)
    middle = {name: statistics.median(values) for name, values in rates.items()}
    first, second, *_ = middle.values()
    print(f"{'':28}{unit:>12}{'x plain':>9}{'x plain, kept memory':>22}")
    for name, rate in middle.items():
        print(f"{name:28}{rate:12.0f}{rate / first:9.2f}{rate / second:22.2f}")
    return middle


def read_options(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Adds the options of `run_plain` to a parser, parses and sets the allocator."""
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--configure-allocator", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.configure_allocator:
        sys.path.insert(0, str(REPOSITORY))
        from pipeline.process import configure_allocator

        configure_allocator()
    return options


def main() -> None:
    """Runs the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=0, help="Number of seeds for one epoch each.")
    parser.add_argument("--peer", type=Path, help="Clone of pytorch/examples.")
    options = read_options(parser)
    if options.plain is not None:
        print(plain_loop(options.plain, options.steps))
        return
    with tempfile.TemporaryDirectory() as name:
        corpus = corpus_folder(Path(name))
        if options.rounds:
            compare_loops(corpus, options.rounds, options.steps, options.peer)
        if options.epochs:
            compare_epochs(corpus, options.epochs)


if __name__ == "__main__":
    main()
