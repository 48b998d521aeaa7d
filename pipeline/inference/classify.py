"""From files to classified texts, in flat memory: read, cut, batch, classify, explain, write."""

import gc
import itertools
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TextIO

import torch
from torch import Tensor
from tqdm import tqdm

from pipeline.batches import IGNORE_INDEX, Texts
from pipeline.checkpoints.read import Trained
from pipeline.console import print_note
from pipeline.errors import InputError
from pipeline.inference.chunks import Chunk, ChunkReader, WordIds, length_batches, word_ids
from pipeline.inference.text_files import STANDARD_INPUT, Passage, read_texts
from pipeline.text.ends import ends
from pipeline.text.treebank import Token

_RED, _GREEN = 31, 32
_LINE_END = re.compile("[\n\r\x0b\x0c\x85\u2028\u2029]")


class Classified(NamedTuple):
    """A text that was classified.

    Attributes:
        passage: the text.
        probabilities: of each label, in the order of the labels.
        influences: what each token did for the likeliest label, see `ClassifyRequest`; none where
            nobody asked.
    """

    passage: Passage
    probabilities: list[float]
    influences: list[float]


class ClassifyRequest(NamedTuple):
    """What is to be classified, and how it is written.

    Attributes:
        sources: files, "-" for standard input.
        form: "sentences", "documents" or "tokens", see `read_texts`.
        style: "text" or "jsonl"; None: text where it goes to a terminal, else JSON lines.
        encoding: of the files.
        explain: "leave-one-out" gives each token the difference that it makes: the log-probability
            of the likeliest label, less what it is without the token; "attention" gives the weights
            with which the model averages the states; None gives nothing.
    """

    sources: Sequence[str]
    form: str = "sentences"
    style: str | None = None
    encoding: str = "utf-8"
    explain: str | None = None


def classify(trained: Trained, request: ClassifyRequest, file: TextIO) -> None:
    """Classifies text with a trained classifier.

    Args:
        trained: the model.
        request: what to classify.
        file: where to write.

    Raises:
        InputError: a file cannot be read, or what is asked for does not go with the model.
    """
    if request.style == "conll":
        raise InputError("--as conll is for taggers; a classifier writes text or jsonl")
    model: Any = trained.model
    if request.explain == "attention" and not hasattr(model.pooling, "weights"):
        raise InputError(
            f"--explain attention: the model pools by {type(model.pooling).__name__}, without "
            "weights; use --explain leave-one-out, or train with pipeline.pooling.Attention"
        )
    gc.freeze()  # the collector need not look through the model again for each chunk
    texts = itertools.chain.from_iterable(
        read_texts(source, request.encoding, request.form) for source in request.sources
    )
    write = _writer(request.style, file, model.labels.names)
    classifier = _Classifier(trained, request.explain, STANDARD_INPUT in request.sources)
    hidden = None if sys.stderr.isatty() else True
    for classified in tqdm(
        classifier.classify(texts), unit=" texts", unit_scale=True, disable=hidden, leave=False
    ):
        file.write(write(classified) + "\n")
    print_note(classifier.reader.summary("texts"))


class _Classifier:
    """Classifies texts in chunks: sorted by length inside a chunk, given in their order."""

    def __init__(self, trained: Trained, explain: str | None, is_typed: bool) -> None:
        self._model: Any = trained.model
        self._explain = explain
        max_tokens = trained.data["max_tokens"]

        def shorten(tokens: list[Token]) -> list[Token]:
            return list(ends(tokens, max_tokens))

        self.reader = ChunkReader(trained.data["lexicon"], is_typed, shorten)

    def classify(self, texts: Iterator[Passage]) -> Iterator[Classified]:
        for chunk in self.reader.chunks(texts):
            yield from self._classify_chunk(chunk, word_ids(chunk.words))

    @torch.inference_mode()
    def _classify_chunk(self, chunk: Chunk, words: WordIds) -> Iterator[Classified]:
        tables = self._model.inputs.index(words.distinct, {})
        found = self._probabilities(words.ids, tables)
        influences: list[list[float]] = [[] for _ in chunk.passages]
        if self._explain == "attention":
            influences = self._attention(words.ids, tables)
        elif self._explain is not None:
            influences = self._leave_one_out(words.ids, tables, found)
        for passage, probabilities, influence in zip(
            chunk.passages, found.tolist(), influences, strict=True
        ):
            yield Classified(passage, probabilities, influence)

    def _probabilities(self, ids: Sequence[Tensor], tables: list[Tensor]) -> Tensor:
        result = torch.zeros(len(ids), len(self._model.labels.names))
        for rows in length_batches([len(row) for row in ids]):
            result[rows] = self._model.predict(_batch([ids[row] for row in rows], rows), tables)
        return result

    def _attention(self, ids: Sequence[Tensor], tables: list[Tensor]) -> list[list[float]]:
        result: list[list[float]] = [[] for _ in ids]
        for rows in length_batches([len(row) for row in ids]):
            weights = self._model.attention(_batch([ids[row] for row in rows], rows), tables)
            for row, of_one in zip(rows, weights.tolist(), strict=True):
                result[row] = of_one[: len(ids[row])]
        return result

    def _leave_one_out(
        self, ids: Sequence[Tensor], tables: list[Tensor], found: Tensor
    ) -> list[list[float]]:
        result = []
        for row, probabilities in zip(ids, found, strict=True):
            best = int(probabilities.argmax())
            if len(row) < 2:  # without its only token there is nothing to read
                result.append([0.0] * len(row))
                continue
            without = [torch.cat((row[:place], row[place + 1 :])) for place in range(len(row))]
            left = self._probabilities(without, tables)[:, best]
            result.append((probabilities[best].log() - left.log()).tolist())
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


def _writer(style: str | None, file: TextIO, labels: Sequence[str]) -> Callable[[Classified], str]:
    is_terminal = file.isatty()
    if (style or ("text" if is_terminal else "jsonl")) == "jsonl":
        return lambda classified: to_json(classified, labels)
    is_coloured = is_terminal and "NO_COLOR" not in os.environ
    return lambda classified: to_text(classified, labels, is_coloured)


def to_json(classified: Classified, labels: Sequence[str]) -> str:
    """Writes one JSON object; places are in characters of the file.

    Args:
        classified: the text.
        labels: names, in the order of the probabilities.
    """
    passage, probabilities = classified.passage, classified.probabilities
    row: dict[str, Any] = {
        "source": passage.source,
        "line": passage.line,
        "text": passage.text,
        "label": labels[_best(probabilities)],
        "probabilities": {
            label: round(value, 4) for label, value in zip(labels, probabilities, strict=True)
        },
    }
    if classified.influences:
        row["words"] = [
            {
                "text": passage.text[token.start : token.end],
                "start": passage.start + token.start,
                "end": passage.start + token.end,
                "influence": round(value, 4),
            }
            for token, value in zip(passage.tokens, classified.influences, strict=True)
        ]
    return json.dumps(row, ensure_ascii=False)


def to_text(classified: Classified, labels: Sequence[str], is_coloured: bool = False) -> str:
    """Writes label, probability and text on a line.

    Where influences were asked for, words that moved the decision are coloured (green for the
    label, red against it), or marked `+word+` and `-word-`.

    Args:
        classified: the text.
        labels: names, in the order of the probabilities.
        is_coloured: whether a terminal shows it.
    """
    best = _best(classified.probabilities)
    width = max(len(label) for label in labels)
    head = f"{labels[best]:<{width}}  {classified.probabilities[best]:.2f}"
    return f"{head}  {_marked(classified, is_coloured)}"


def _marked(classified: Classified, is_coloured: bool) -> str:
    text = _LINE_END.sub(" ", classified.passage.text)  # as long as before
    if not classified.influences:
        return text
    strongest = max(abs(value) for value in classified.influences)
    pieces, done = [], 0
    for token, value in zip(classified.passage.tokens, classified.influences, strict=True):
        if abs(value) < strongest / 3 or not strongest:
            continue
        word = text[token.start : token.end]
        if is_coloured:
            word = f"\x1b[1;{_GREEN if value > 0 else _RED}m{word}\x1b[0m"
        else:
            sign = "+" if value > 0 else "-"
            word = f"{sign}{word}{sign}"
        pieces += [text[done : token.start], word]
        done = token.end
    return "".join([*pieces, text[done:]])


def _best(probabilities: Sequence[float]) -> int:
    return max(range(len(probabilities)), key=probabilities.__getitem__)
