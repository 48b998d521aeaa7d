"""Sentences per second of a tagger's training against a plain PyTorch loop of the same network.

    python benchmarks/tagging_step.py [--rounds 5] [--sentences 6400] [--encoder elman] [--layers 3]

The network is that of `configs/tagging/mpqa-dse.yaml`: 3 x 100, bidirectional, Adam, batches of 32,
clipping, frozen vectors; with `--encoder gru` or `lstm` another recurrence. The data are fold 0 of
MPQA and `minilm-300.bin` where `UNROLL_DATA` holds both, else the built-in opinions and random
vectors. "plain" is a loop as one writes it in a notebook: random batches, packed for one module of
three bidirectional layers, nothing logged but the loss every 50 steps. "ours" is `unroll fit`:
batches of sentences of like lengths, never packed, Lightning, MLflow on sqlite, checkpoints. Both
train on the same sentences, in float32 and with as many threads (`OMP_NUM_THREADS`). Each
measurement is a process of its own, the variants take turns, and the first 20 steps of each do not
count; nor does reading the corpus. "kept memory" is the plain loop with the allocator setting that
ours has (pipeline/process.py).
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.lm_step import REPOSITORY, run_ours

if TYPE_CHECKING:
    from datamodules.tagging.datamodule import TaggingData

CONFIG = REPOSITORY / "configs" / "tagging" / "mpqa-dse.yaml"
ENCODERS = {"elman": "Elman", "gru": "GRU", "lstm": "LSTM"}
WARM_UP = 20
BATCH_SIZE = 32


class Work(NamedTuple):
    """What both loops have to do.

    Attributes:
        settings: the configuration of ours.
        file: what the plain loop reads: sentences, vectors, sizes.
        sentences: those that count.
        tokens: of these.
    """

    settings: dict[str, Any]
    file: Path
    sentences: int
    tokens: int


def make_work(folder: Path, encoder: str, layers: int, sentences: int) -> Work:
    """Reads the corpus and the configuration, and writes the plain loop's share into a folder."""
    settings = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    steps = WARM_UP + -(-sentences // BATCH_SIZE)
    clock = {
        "class_path": "benchmarks.clock.Clock",
        "init_args": {"path": str(folder / "seconds.json"), "warm_up": WARM_UP},
    }
    settings["trainer"] |= {"max_steps": steps, "limit_val_batches": 0, "callbacks": [clock]}
    network = settings["model"]["init_args"]["encoder"]
    network["class_path"] = f"pipeline.encoders.{ENCODERS[encoder]}"
    network["init_args"]["num_layers"] = layers
    if encoder != "elman":
        del network["init_args"]["nonlinearity"]
    data = load_data(folder, settings, steps * BATCH_SIZE)
    batches = list(itertools.islice(data.train_dataloader(), steps))
    if len(batches) < steps:
        sys.exit(f"an epoch has no {steps} batches but {len(batches)}; give fewer --sentences")
    rows = [
        [
            (words[:length], tags[:length])
            for batch in part
            for words, tags, length in zip(batch.words, batch.tags, batch.lengths, strict=True)
        ]
        for part in (batches[:WARM_UP], batches[WARM_UP:])
    ]
    sizes = {**network["init_args"], "num_tags": len(data.tags)}
    file = folder / "plain.pt"
    torch.save({"rows": rows, "vectors": table(data), "encoder": encoder, "sizes": sizes}, file)
    return Work(settings, file, len(rows[1]), sum(len(words) for words, _ in rows[1]))


def load_data(folder: Path, settings: dict[str, Any], sentences: int) -> "TaggingData":
    """Gives the data of a configuration, which it makes the built-in ones where MPQA is missing.

    Args:
        folder: for random vectors.
        settings: the configuration.
        sentences: of the built-in opinions.
    """
    from datamodules.batching.sentences import TaggedSource
    from datamodules.tagging.builtin import BuiltinOpinions
    from datamodules.tagging.datamodule import TaggingData
    from datamodules.tagging.mpqa.released import MPQA

    init = settings["data"]["init_args"]
    root = Path(os.environ.get("UNROLL_DATA") or "data").absolute()
    source: TaggedSource
    if (root / "mpqa").is_dir() and (root / "vectors" / init["vectors"]).is_file():
        os.environ["UNROLL_DATA"] = str(root)  # ours runs in another folder
        source = MPQA(**init["source"]["init_args"])
    else:
        os.environ["UNROLL_CACHE"] = str(folder / "cache")
        source = BuiltinOpinions(sentences)
        init["source"] = {"class_path": "BuiltinOpinions", "init_args": {"num_train": sentences}}
        init["vectors"] = str(folder / "vectors.txt")
        size = settings["model"]["init_args"]["encoder"]["init_args"]["input_size"]
        write_vectors(Path(init["vectors"]), TaggingData(source).lexicon.counts, size)
    return TaggingData(
        source, BATCH_SIZE, vectors=init["vectors"], seed=settings["seed_everything"]
    )


def write_vectors(path: Path, words: Iterable[str], size: int) -> None:
    """Writes a random vector for each word."""
    generator = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        for word in words:
            numbers = generator.normal(0, 0.4, size)
            file.write(f"{word} " + " ".join(f"{number:.5f}" for number in numbers) + "\n")


def table(data: "TaggingData") -> Tensor:
    """Gives the vector of each word of a lexicon, zeros where it has none."""
    vectors = data.lexicon.vectors
    assert vectors is not None, "the configuration names some"
    places = {word: place for place, word in enumerate(data.lexicon.counts)}
    rows = torch.zeros(len(places), vectors.values.shape[1])
    rows[[places[word] for word in vectors.words]] = torch.from_numpy(vectors.values.copy())
    return rows


def plain_loop(file: Path) -> float:
    """The plain loop; returns the seconds after the warm-up."""
    given = torch.load(file)
    sizes = given["sizes"]
    torch.manual_seed(1)
    embedding = nn.Embedding.from_pretrained(given["vectors"])  # frozen
    kernel = {"elman": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[given["encoder"]]
    options = {"nonlinearity": sizes["nonlinearity"]} if "nonlinearity" in sizes else {}
    network = kernel(
        sizes["input_size"],
        sizes["hidden_size"],
        sizes["num_layers"],
        batch_first=True,
        bidirectional=True,
        dropout=sizes["dropout"] if sizes["num_layers"] > 1 else 0.0,
        **options,
    )
    dropout = nn.Dropout(sizes["dropout"])
    output = nn.Linear(2 * sizes["hidden_size"], sizes["num_tags"])
    parameters = [*network.parameters(), *output.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.001)
    start = 0.0
    for part in given["rows"]:
        start = time.perf_counter()
        loader = DataLoader(part, batch_size=BATCH_SIZE, shuffle=True, collate_fn=collate)
        for step, (words, tags, lengths) in enumerate(loader):
            packed = pack_padded_sequence(
                dropout(embedding(words)), lengths, batch_first=True, enforce_sorted=False
            )
            states, _ = pad_packed_sequence(network(packed)[0], batch_first=True)
            logits = output(dropout(states))
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), tags.flatten())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            if step % 50 == 0:
                sys.stderr.write(f"{loss.item():.3f}\n")
    return time.perf_counter() - start


def collate(rows: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    """Pads the sentences of a batch: words, tags (-100 after the end), lengths."""
    words = pad_sequence([words for words, _ in rows], batch_first=True)
    tags = pad_sequence([tags for _, tags in rows], batch_first=True, padding_value=-100)
    return words, tags, torch.tensor([len(words) for words, _ in rows])


def plain(work: Work, kept_memory: bool) -> float:
    """Returns sentences per second of the plain loop, which runs in a process of its own."""
    command = [sys.executable, __file__, "--plain", str(work.file)]
    if kept_memory:
        command.append("--configure-allocator")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return work.sentences / float(done.stdout)


def ours(work: Work) -> float:
    """Returns sentences per second of our loop."""
    with tempfile.TemporaryDirectory() as name:
        run_ours(Path(name), work.settings)
    measured = json.loads((work.file.parent / "seconds.json").read_text(encoding="utf-8"))
    assert measured["steps"] == -(-work.sentences // BATCH_SIZE), measured
    return work.sentences / float(measured["seconds"])


def compare(work: Work, rounds: int) -> None:
    """Measures each variant in turn, and prints the medians."""
    variants = {
        "plain, random, packed": lambda: plain(work, False),
        "plain, kept memory": lambda: plain(work, True),
        "ours": lambda: ours(work),
    }
    rates: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds):
        for name, measure in variants.items():
            rates[name].append(measure())
            said = f"round {number + 1}: {name}: {rates[name][-1]:.0f} sentences/s"
            print(said, file=sys.stderr)
    middle = {name: statistics.median(values) for name, values in rates.items()}
    first, second, *_ = middle.values()
    print(f"{'':24}{'sentences/s':>12}{'x plain':>9}{'x plain, kept memory':>22}")
    for name, rate in middle.items():
        print(f"{name:24}{rate:12.0f}{rate / first:9.2f}{rate / second:22.2f}")


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=6400, help="that count, at most an epoch")
    parser.add_argument("--encoder", choices=ENCODERS, default="elman")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--configure-allocator", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain is not None:
        if options.configure_allocator:
            from pipeline.process import configure_allocator

            configure_allocator()
        print(plain_loop(options.plain))
        return
    with tempfile.TemporaryDirectory() as name:
        work = make_work(Path(name), options.encoder, options.layers, options.sentences)
        print(
            f"{options.encoder}, {options.layers} layers, {torch.get_num_threads()} threads: "
            f"{work.sentences:,} sentences of {work.tokens / work.sentences:.1f} tokens, "
            f"{work.settings['data']['init_args']['source']['class_path']}"
        )
        compare(work, options.rounds)


if __name__ == "__main__":
    main()
