"""Largest difference and speed of an exported ONNX file on the lines of a text file.

    python -m benchmarks.exported --checkpoint best.ckpt --input sentences.txt

Each line is a sentence of its own length. The time is that of the exported graph alone, for torch
and for ONNX Runtime: one sentence at a time, and batches of 64 sentences of similar lengths, or,
since a language model returns the log-probabilities of the next token only, one token of one text
and of 64 texts.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from pipeline.checkpoints.read import Trained, load_trained
from pipeline.inference.exporting import Graph, graph_of, write_onnx
from pipeline.inference.exporting.onnx_file import largest_difference, open_session

BATCH = 64
PASSES = 3

Inputs: TypeAlias = list[Tensor]
Run: TypeAlias = Callable[[Inputs], object]


def main() -> None:
    """Parses the command line and prints differences and times."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--input", type=Path, required=True, help="one tokenized sentence per line")
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--timed", type=int, default=200, help="calls of each kind that are timed")
    options = parser.parse_args()
    lines = [line.split() for line in options.input.read_text("utf-8").splitlines()]
    lines = [words for words in lines if words][: options.sentences]
    trained = load_trained(options.checkpoint)
    graph = graph_of(trained)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        write_onnx(trained, file)
        session = open_session(file)
        groups = _groups(trained, graph, lines)
        everything = [inputs for group in groups.values() for inputs in group]
        differences = [largest_difference(graph, session, inputs) for inputs in everything]
    lengths = [len(words) for words in lines]
    print(
        f"{len(lines)} sentences of {min(lengths)} to {max(lengths)} tokens: largest difference "
        f"{max(differences):.2g}"
    )
    for name, group in groups.items():
        timed = group[: options.timed]
        ours = _milliseconds(lambda inputs: graph.module(*inputs), timed)
        theirs = _milliseconds(_runner(graph, session), timed)
        print(f"{name}: torch {ours:.2f} ms, ONNX Runtime {theirs:.2f} ms")


def _groups(
    trained: Trained, graph: Graph, lines: Sequence[Sequence[str]]
) -> dict[str, list[Inputs]]:
    single = [_inputs(trained, graph, [words]) for words in lines]
    if graph.metadata["kind"] != "language model":
        ordered = sorted(lines, key=len)
        starts = range(0, len(ordered), BATCH)
        batches = [_inputs(trained, graph, ordered[start : start + BATCH]) for start in starts]
        return {"one sentence": single, f"batch of {BATCH} sentences": batches}
    first = [words[:1] for words in lines]
    starts = range(0, len(first) - BATCH + 1, BATCH)
    return {
        "one sentence": single,
        "one token": [_inputs(trained, graph, [words]) for words in first],
        f"one token of {BATCH} texts": [
            _inputs(trained, graph, first[start : start + BATCH]) for start in starts
        ],
    }


def _inputs(trained: Trained, graph: Graph, sentences: Sequence[Sequence[str]]) -> Inputs:
    model: Any = trained.model
    if graph.metadata["kind"] == "language model":
        rows = [torch.tensor(model.vocabulary.encode(list(words))) for words in sentences]
        carry = graph.example(torch.ones(len(rows), dtype=torch.int64), 0)[1:]
        return [pad_sequence(rows, batch_first=True), *carry]
    distinct = list(dict.fromkeys(word for words in sentences for word in words))
    places = {word: index for index, word in enumerate(distinct)}
    ids = [torch.tensor([places[word] for word in words]) for words in sentences]
    padded = pad_sequence(ids, batch_first=True)
    tables = model.inputs.index(distinct, {})
    return [*(table[padded] for table in tables), torch.tensor([len(row) for row in ids])]


def _runner(graph: Graph, session: Any) -> Run:  # noqa: ANN401 (ONNX Runtime has no types)
    names = {each.name for each in session.get_inputs()}

    def run(inputs: Inputs) -> object:
        pairs = zip(graph.inputs, inputs, strict=True)
        return session.run(graph.outputs, {key: x.numpy() for key, x in pairs if key in names})

    return run


def _milliseconds(run: Run, group: Sequence[Inputs]) -> float:
    """Returns the mean time of a call in the fastest of several passes over a group."""
    return min(_times(run, group)) * 1000 / len(group)


def _times(run: Run, group: Sequence[Inputs]) -> Iterator[float]:
    with torch.inference_mode():
        for _ in range(PASSES):
            start = time.perf_counter()
            for inputs in group:
                run(inputs)
            yield time.perf_counter() - start


if __name__ == "__main__":
    main()
