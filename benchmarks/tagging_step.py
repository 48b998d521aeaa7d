"""Compares the speed of training and using a tagger with a plain PyTorch loop and with flair.

    python benchmarks/tagging_step.py [--rounds 5] [--sentences 6400] [--encoder elman] [--layers 3]
                                      [--peer-python PATH]

The network is that of `configs/tagging/mpqa-dse.yaml`: 3 x 100, bidirectional, Adam, batches of 32,
clipping, frozen vectors. The data are fold 0 of MPQA and `minilm-300.bin` if `UNROLL_DATA` contains
both, otherwise the built-in opinions and random vectors. "plain" is a typical notebook loop with
random, packed batches, which logs only the loss every 50 steps. "ours" is `unroll fit` with padded
batches of similar lengths, Lightning, MLflow on SQLite and checkpoints. Both train on the same
sentences, in float32, with the same number of threads (`OMP_NUM_THREADS`). Each measurement runs in
its own process without reading the corpus and the first 20 steps, and the variants take turns.
Prediction is `unroll predict` on the sentences as text; start and reading of the model are excluded
by measuring the difference between a long and a short file; with `--bfloat16` if the CPU can.
`--peer-python PATH` also runs flair with that Python, in which flair 0.15.1 is installed; without
it, flair runs if it is installed here (`pip install -e .[bench]`).
"kept memory" is the plain loop with the memory allocator settings of ours (pipeline/process.py).
"""

import argparse
import importlib.util
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import yaml
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.lm_step import REPOSITORY, limits, read_options, run_ours, run_plain, take_turns
from benchmarks.vectors import write_vectors
from pipeline.process import cpu_multiplies_bfloat16

if TYPE_CHECKING:
    from datamodules.tagging.datamodule import TaggingData

CONFIG = REPOSITORY / "configs" / "tagging" / "mpqa-dse.yaml"
ENCODERS = {"elman": "Elman", "gru": "GRU", "lstm": "LSTM"}
WARM_UP = 20
BATCH_SIZE = 32


class Work(NamedTuple):
    """The work of both loops."""

    settings: dict[str, Any]  # configuration of ours
    file: Path  # sentences, vectors and sizes for the plain loop
    sentences: int  # number of sentences after the warm-up
    tokens: int  # number of their tokens


def make_work(folder: Path, encoder: str, layers: int, sentences: int) -> Work:
    """Reads corpus and configuration, and writes the file of the plain loop into a folder."""
    settings = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    steps = WARM_UP + -(-sentences // BATCH_SIZE)
    settings["trainer"] |= limits(folder / "seconds.json", steps, WARM_UP)
    network = settings["model"]["init_args"]["encoder"]
    network["class_path"] = f"pipeline.encoders.{ENCODERS[encoder]}"
    network["init_args"]["num_layers"] = layers
    if encoder != "elman":
        del network["init_args"]["nonlinearity"]
    data = load_data(folder, settings, steps * BATCH_SIZE)
    batches = list(itertools.islice(data.train_dataloader(), steps))
    if len(batches) < steps:
        sys.exit(f"an epoch has {len(batches)} batches, not {steps}; use fewer --sentences")
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
    names = {"words": list(data.lexicon.counts), "tags": list(data.tags)}
    stored = {"rows": rows, "vectors": table(data), "encoder": encoder, "sizes": sizes, **names}
    torch.save(stored, file)
    return Work(settings, file, len(rows[1]), sum(len(words) for words, _ in rows[1]))


def load_data(folder: Path, settings: dict[str, Any], sentences: int) -> "TaggingData":
    """Returns the data of a configuration, changed to built-in sentences if MPQA is missing."""
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


def table(data: "TaggingData") -> Tensor:
    """Returns the vector of each word of a lexicon; zeros for words without one."""
    vectors = data.lexicon.vectors
    assert vectors is not None, "the configuration names some"
    places = {word: place for place, word in enumerate(data.lexicon.counts)}
    rows = torch.zeros(len(places), vectors.values.shape[1])
    rows[[places[word] for word in vectors.words]] = torch.from_numpy(vectors.values.copy())
    return rows


def plain_loop(file: Path) -> float:
    """Trains with the plain loop and returns the seconds after the warm-up."""
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


def ours(work: Work) -> float:
    """Returns sentences per second of our loop."""
    with tempfile.TemporaryDirectory() as name:
        run_ours(Path(name), work.settings)
    measured = json.loads((work.file.parent / "seconds.json").read_text(encoding="utf-8"))
    assert measured["steps"] == -(-work.sentences // BATCH_SIZE), measured
    return work.sentences / float(measured["seconds"])


def predictor(work: Work) -> Callable[[], float]:
    """Trains a few steps; returns a function that measures the sentences per second of predict."""
    folder = work.file.parent
    stored = torch.load(work.file)
    lines = [
        " ".join(stored["words"][index] for index in ids.tolist()) for ids, _ in stored["rows"][1]
    ]
    files = {}
    for times in (2, 12):
        files[times] = folder / f"{times}.txt"
        files[times].write_text("\n".join(lines * times) + "\n", encoding="utf-8")
    settings = {**work.settings, "trainer": {**work.settings["trainer"], "max_steps": WARM_UP + 1}}
    run_ours(folder, settings)
    checkpoint = next(folder.rglob("best.ckpt"))

    def seconds(times: int) -> float:
        command = [sys.executable, "-m", "pipeline", "predict", "--checkpoint", str(checkpoint)]
        command += ["--input", str(files[times]), "--output", str(folder / "tags.jsonl")]
        command += ["--trust", "benchmarks.clock"]  # the callback that measured the training
        command += ["--bfloat16"] * cpu_multiplies_bfloat16()
        path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
        start = time.perf_counter()
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=False
        )
        if done.returncode:
            sys.exit(done.stderr.decode())
        return time.perf_counter() - start

    return lambda: 10 * len(lines) / (seconds(12) - seconds(2))


def run_flair(python: str, work: Work, name: str) -> float:
    """Returns sentences per second of flair."""
    script = str(Path(__file__).with_name("flair_tagger.py"))
    command = [python, script, str(work.file), name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return work.sentences / float(done.stdout.split()[-1])


def compare(work: Work, rounds: int, peer: str | None) -> None:
    """Measures all variants of training, and of prediction."""

    def plain(kept_memory: bool) -> float:
        return work.sentences / run_plain(__file__, kept_memory, "--plain", str(work.file))

    training = {
        "plain, random, packed": lambda: plain(False),
        "plain, kept memory": lambda: plain(True),
        "ours": lambda: ours(work),
    }
    prediction = {"ours, unroll predict": predictor(work)}
    if peer is not None:
        training["flair"] = lambda: run_flair(peer, work, "train")
        prediction["flair, predict"] = lambda: run_flair(peer, work, "predict")
    trained = take_turns(training, rounds, "sentences/s")
    found: dict[str, list[float]] = {name: [] for name in prediction}
    for _ in range(rounds):
        for name, measure in prediction.items():
            found[name].append(measure())
    predicted = {name: statistics.median(values) for name, values in found.items()}
    for name, rate in predicted.items():
        print(f"{name:28}{rate:12.0f}")
    if peer is not None:
        print(f"ours / flair: training {trained['ours'] / trained['flair']:.2f}, prediction "
              f"{predicted['ours, unroll predict'] / predicted['flair, predict']:.2f}")  # fmt: skip


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=6400, help="Number, at most an epoch.")
    parser.add_argument("--encoder", choices=ENCODERS, default="elman")
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--peer-python", help="Python with flair 0.15.1, if it is not this one.")
    options = read_options(parser)
    if options.plain is not None:
        print(plain_loop(options.plain))
        return
    with tempfile.TemporaryDirectory() as name:
        work = make_work(Path(name), options.encoder, options.layers, options.sentences)
        print(
            f"{options.encoder}, {options.layers} layers, {torch.get_num_threads()} threads: "
            f"{work.sentences:,} sentences of {work.tokens / work.sentences:.1f} tokens, "
            f"{work.settings['data']['init_args']['source']['class_path']}"
        )
        peer = options.peer_python
        if peer is None and importlib.util.find_spec("flair"):
            peer = sys.executable
        compare(work, options.rounds, peer)


if __name__ == "__main__":
    main()
