"""Largest difference and speed of an exported ONNX file on the lines of a text file.

    python -m benchmarks.exported --checkpoint best.ckpt --input sentences.txt

Each line is a sentence of its own length. The time is that of the exported graph alone, one
sentence at a time and in batches of 64 of similar lengths, for torch and for ONNX Runtime.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from pipeline.checkpoints.read import Trained, load_trained
from pipeline.inference.exporting import Graph, graph_of, write_onnx
from pipeline.inference.exporting.onnx_file import largest_difference, open_session

BATCH = 64


def main() -> None:
    """Parses the command line and prints differences and times."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--input", type=Path, required=True, help="one tokenized sentence per line")
    parser.add_argument("--sentences", type=int, default=1000)
    options = parser.parse_args()
    trained = load_trained(options.checkpoint)
    lines = [line.split() for line in options.input.read_text("utf-8").splitlines()]
    lines = [words for words in lines if words][: options.sentences]
    graph = graph_of(trained)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        write_onnx(trained, file)
        single = [_inputs(trained, [words]) for words in lines]
        differences = [largest_difference(graph, file, inputs) for inputs in single]
        ordered = sorted(lines, key=len)
        starts = range(0, len(ordered), BATCH)
        batches = [_inputs(trained, ordered[start : start + BATCH]) for start in starts]
        if graph.metadata["kind"] == "language model":  # rows of different lengths have no batch
            batches = []
        differences += [largest_difference(graph, file, inputs) for inputs in batches]
        print(
            f"{len(lines)} sentences of {len(ordered[0])} to {len(ordered[-1])} tokens: largest "
            f"difference {max(differences):.2g}"
        )
        for name, groups in (("single", single), (f"batches of {BATCH}", batches)):
            if groups:
                ours = _seconds(lambda inputs: graph.module(*inputs), groups)
                theirs = _seconds(_runner(graph, file), groups)
                print(f"{name}: torch {ours:.2f} s, ONNX Runtime {theirs:.2f} s")


def _inputs(trained: Trained, sentences: Sequence[Sequence[str]]) -> list[Tensor]:
    model: Any = trained.model
    if hasattr(model, "vocabulary"):
        rows = [torch.tensor(model.vocabulary.encode(list(words))) for words in sentences]
        carry = graph_of(trained).example(torch.ones(len(rows), dtype=torch.int64), 0)[1:]
        return [pad_sequence(rows, batch_first=True), *carry]
    distinct = list(dict.fromkeys(word for words in sentences for word in words))
    places = {word: index for index, word in enumerate(distinct)}
    ids = [torch.tensor([places[word] for word in words]) for words in sentences]
    padded = pad_sequence(ids, batch_first=True)
    tables = model.inputs.index(distinct, {})
    return [*(table[padded] for table in tables), torch.tensor([len(row) for row in ids])]


def _runner(graph: Graph, file: Path) -> Callable[[Sequence[Tensor]], object]:
    session = open_session(file)
    names = {each.name for each in session.get_inputs()}

    def run(inputs: Sequence[Tensor]) -> object:
        pairs = zip(graph.inputs, inputs, strict=True)
        return session.run(graph.outputs, {key: x.numpy() for key, x in pairs if key in names})

    return run


def _seconds(
    run: Callable[[Sequence[Tensor]], object], groups: Sequence[Sequence[Tensor]]
) -> float:
    """Returns the smallest time of three passes over all groups."""
    return float(np.min(list(_times(run, groups))))


def _times(
    run: Callable[[Sequence[Tensor]], object], groups: Sequence[Sequence[Tensor]]
) -> Iterator[float]:
    with torch.inference_mode():
        for _ in range(3):
            start = time.perf_counter()
            for inputs in groups:
                run(inputs)
            yield time.perf_counter() - start


if __name__ == "__main__":
    main()
