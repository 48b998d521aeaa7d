"""Classifies text files with a trained classifier, in constant RAM."""

import gc
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO, cast

import torch
from torch import Tensor

from pipeline.batches import IGNORE_INDEX, Texts, length_batches
from pipeline.checkpoints.read import Trained
from pipeline.console import print_note, progress
from pipeline.errors import InputError
from pipeline.inference.annotation.chunks import Chunk, ChunkReader
from pipeline.inference.annotation.output_formats import Classified, classified_json
from pipeline.inference.annotation.sentence_splitting import Passage, read_texts, text_passages
from pipeline.inference.annotation.terminal import classified_text, default_format, has_colors
from pipeline.inference.annotation.text_files import input_waits
from pipeline.text.state import read_max_tokens
from pipeline.text.treebank import Token
from pipeline.text.units import truncate_middle


class ClassifyRequest(NamedTuple):
    """Which files to classify, and how to write the classified texts.

    Attributes:
        sources: File names; "-" is standard input.
        input_format: "sentences" (one text per line), "documents" (one text per file) or "tokens"
            (one text per line, tokens separated by single spaces).
        output_format: "text" or "jsonl"; if None, "text" in a terminal, else "jsonl".
        encoding: Encoding of the files.
        explain: "leave-one-out" computes for each token the log-probability of the most probable
            label minus its log-probability without the token; "attention" returns the weights of
            attention pooling; None computes nothing.
        vectors: File in which unseen words are looked up, as in `UnseenWords`.
    """

    sources: Sequence[str]
    input_format: str = "sentences"
    output_format: str | None = None
    encoding: str = "utf-8"
    explain: str | None = None
    vectors: Path | None = None


def classify_texts(
    trained: Trained, texts: Iterable[str], explain: str | None = None
) -> Iterator[Classified]:
    """Classifies texts given as strings.

    Args:
        trained: Trained classifier.
        texts: One string per text; strings without tokens are skipped.
        explain: Influence of each token, as in `ClassifyRequest`.

    Yields:
        The classified texts; offsets are characters of the string.

    Raises:
        InputError: If `explain` does not fit the model.
    """
    yield from text_classifier(trained, explain)(texts)


def text_classifier(
    trained: Trained, explain: str | None = None
) -> Callable[[Iterable[str]], Iterator[Classified]]:
    """Returns a function that classifies texts as `classify_texts` does, for many calls.

    Raises `InputError` if `explain` does not fit the model.
    """
    _check_explain(trained, explain)
    classifier = _Classifier(trained, explain)
    return lambda texts: classifier.classify(text_passages(texts))


def classify(trained: Trained, request: ClassifyRequest, file: TextIO) -> None:
    """Classifies text files with a trained classifier, and writes the results to an open file."""
    if request.output_format == "conll":
        raise InputError("--as conll is for taggers only; a classifier writes text or jsonl")
    _check_explain(trained, request.explain)
    gc.freeze()  # otherwise the garbage collector examines the whole model for each chunk
    texts = itertools.chain.from_iterable(
        read_texts(source, request.encoding, request.input_format) for source in request.sources
    )
    output_format = request.output_format or default_format(file)
    formatted = _formatter(output_format, cast(Any, trained.model).labels.names, has_colors(file))
    classifier = _Classifier(trained, request.explain, request.vectors)
    classified = classifier.classify(texts)
    for text in progress(classified, "texts", file):
        file.write(formatted(text) + "\n")
        if input_waits():
            file.flush()
    print_note(classifier.reader.summary("texts"))


def _check_explain(trained: Trained, explain: str | None) -> None:
    pooling = cast(Any, trained.model).pooling
    if explain == "attention" and not hasattr(pooling, "weights"):
        raise InputError(
            f"--explain attention: the model's pooling {type(pooling).__name__} has no weights; "
            "use --explain leave-one-out, or train with pipeline.pooling.Attention"
        )


def _formatter(
    output_format: str, labels: Sequence[str], has_colors: bool
) -> Callable[[Classified], str]:
    if output_format == "jsonl":
        return lambda classified: classified_json(classified, labels)
    return lambda classified: classified_text(classified, labels, has_colors)


class _Classifier:
    """Classifies chunks of texts; batches are sorted by length, the output is in input order."""

    def __init__(
        self,
        trained: Trained,
        explain: str | None,
        vectors: Path | None = None,
    ) -> None:
        self._model: Any = trained.model
        self._explain = explain
        max_tokens = read_max_tokens(trained.data)

        def shorten(tokens: list[Token]) -> list[Token]:
            return list(truncate_middle(tokens, max_tokens))

        self.reader = ChunkReader(trained, vectors, shorten)

    def classify(self, texts: Iterator[Passage]) -> Iterator[Classified]:
        for chunk in self.reader.chunks(texts):
            yield from self._classify_chunk(chunk)

    @torch.inference_mode()
    def _classify_chunk(self, chunk: Chunk) -> Iterator[Classified]:
        tables = self._model.inputs.index(chunk.words, {})
        probabilities = self._probabilities(chunk.ids, tables)
        influences: list[list[float]] = [[] for _ in chunk.passages]
        if self._explain == "attention":
            influences = self._attention(chunk.ids, tables)
        elif self._explain is not None:
            influences = self._leave_one_out(chunk.ids, tables, probabilities)
        yield from map(Classified, chunk.passages, probabilities.tolist(), influences)

    def _probabilities(self, ids: Sequence[Tensor], tables: list[Tensor]) -> Tensor:
        result = torch.zeros(len(ids), len(self._model.labels.names))
        for rows in length_batches([len(row) for row in ids]):
            result[rows] = self._model.predict(_batch([ids[row] for row in rows], rows), tables)
        return result

    def _attention(self, ids: Sequence[Tensor], tables: list[Tensor]) -> list[list[float]]:
        result: list[list[float]] = [[] for _ in ids]
        for rows in length_batches([len(row) for row in ids]):
            weights = self._model.attention(_batch([ids[row] for row in rows], rows), tables)
            for row, row_weights in zip(rows, weights.tolist(), strict=True):
                result[row] = row_weights[: len(ids[row])]
        return result

    def _leave_one_out(
        self, ids: Sequence[Tensor], tables: list[Tensor], probabilities: Tensor
    ) -> list[list[float]]:
        result = []
        for row, row_probabilities in zip(ids, probabilities, strict=True):
            best = int(row_probabilities.argmax())
            if len(row) < 2:  # nothing is left to read without the only token
                result.append([0.0] * len(row))
                continue
            shortened = [torch.cat((row[:index], row[index + 1 :])) for index in range(len(row))]
            without = self._probabilities(shortened, tables)[:, best]
            result.append((row_probabilities[best].log() - without.log()).tolist())
        return result


def _batch(ids: Sequence[Tensor], rows: Sequence[int]) -> Texts:
    words = torch.nn.utils.rnn.pad_sequence(list(ids), batch_first=True)
    return Texts(
        words=words,
        columns=words.new_zeros(*words.shape, 0),
        labels=torch.full((len(ids),), IGNORE_INDEX),
        lengths=torch.tensor([len(row) for row in ids]),
        rows=torch.tensor(rows),
        targets_per_rank=1.0,
        tokens_per_rank=1.0,
    )
