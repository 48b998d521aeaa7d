"""Tags text files with a trained tagger, in constant RAM."""

import gc
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO, cast

import torch

from pipeline.batches import IGNORE_INDEX, Sentences, length_batches
from pipeline.checkpoints.read import Trained
from pipeline.console import print_note, progress
from pipeline.errors import InputError
from pipeline.inference.annotation.chunks import Chunk, ChunkReader
from pipeline.inference.annotation.column_input import ColumnInput
from pipeline.inference.annotation.output_formats import Tagged, tagged_conll, tagged_json
from pipeline.inference.annotation.processes import map_in_processes, num_processes
from pipeline.inference.annotation.sentence_splitting import (
    Passage,
    line_sentences,
    read_passages,
    sentence_passages,
)
from pipeline.inference.annotation.terminal import default_format, has_colors, tagged_text
from pipeline.inference.annotation.text_files import input_waits, read_lines
from pipeline.inference.unseen_words import Counts
from pipeline.options import STANDARD_INPUT
from pipeline.reports import apply_platt
from pipeline.text.columns import TextLine

_BATCH_TOKENS = 8192
_BATCH_NUMBERS = 1 << 22  # tokens times tags of a batch
_LINES = 2048  # of a file, that a process tags at a time


class TagRequest(NamedTuple):
    """Which files to tag, and how to write the tagged sentences.

    Attributes:
        sources: File names; "-" is standard input.
        input_format: "sentences" (one per line), "documents" (paragraphs), "tokens" (tokens
            separated by single spaces) or "columns" (one token per line).
        output_format: "text", "jsonl" or "conll"; if None, "text" in a terminal, else "jsonl".
        encoding: Encoding of the files.
        bfloat16: Whether the network multiplies in bfloat16, faster on some CPUs; scores then
            depend on the other sentences of a batch.
        vectors: File in which unseen words are looked up, as in `UnseenWords`.

    Example:
        >>> request = TagRequest(["news.txt"], input_format="documents", output_format="jsonl")
        >>> request.encoding
        'utf-8'
    """

    sources: Sequence[str]
    input_format: str = "sentences"
    output_format: str | None = None
    encoding: str = "utf-8"
    bfloat16: bool = False
    vectors: Path | None = None


def tag_sentences(trained: Trained, sentences: Iterable[str]) -> Iterator[Tagged]:
    """Tags sentences given as strings.

    Args:
        trained: Trained tagger.
        sentences: One string per sentence; strings without tokens are skipped.

    Yields:
        The tagged sentences; offsets are characters of the string.

    Raises:
        InputError: If the model reads columns, which plain text does not have.
    """
    yield from sentence_tagger(trained)(sentences)


def sentence_tagger(trained: Trained) -> Callable[[Iterable[str]], Iterator[Tagged]]:
    """Returns a function that tags sentences as `tag_sentences` does, for many calls.

    Raises `InputError` if the model reads columns, which plain text does not have.
    """
    _check_columns(trained, "tokens")
    tagger = _Tagger(trained)
    return lambda sentences: tagger.tag(sentence_passages(sentences))


def annotate(trained: Trained, request: TagRequest, file: TextIO) -> None:
    """Tags text files with a trained tagger, and writes the results to an open file."""
    has_columns = _check_columns(trained, request.input_format)
    gc.freeze()  # otherwise the garbage collector examines the whole model for each chunk
    output_format = request.output_format or default_format(file)
    formatted = _formatter(output_format, has_colors(file))
    columns = ColumnInput(trained.data, has_columns, output_format == "conll")
    tagger = _Tagger(trained, request.vectors, has_columns)
    tagger.bfloat16 = request.bfloat16
    can_share = request.input_format in ("sentences", "tokens") and not has_colors(file)
    if can_share and STANDARD_INPUT not in request.sources:
        sentences = _formatted_lines(tagger, request, formatted)
    else:
        passages = itertools.chain.from_iterable(
            columns.passages(source, request.encoding)
            if request.input_format == "columns"
            else read_passages(source, request.encoding, request.input_format)
            for source in request.sources
        )
        sentences = map(formatted, tagger.tag(passages))
    for sentence in progress(sentences, "sentences", file):
        file.write(sentence + "\n")
        if input_waits():
            file.flush()
    print_note(tagger.reader.summary("sentences"))
    for what, count in columns.skipped.items():
        print_note(f"{count:,} {what} were skipped")


class _Lines(NamedTuple):
    """Consecutive lines of a file."""

    source: str
    lines: list[TextLine]


def _formatted_lines(
    tagger: "_Tagger", request: TagRequest, formatted: Callable[[Tagged], str]
) -> Iterator[str]:
    """Yields the formatted sentences of files with one sentence per line.

    More than `_LINES` lines are shared by several processes.
    """

    def tag(block: _Lines) -> tuple[list[str], Counts]:
        tagger.reader.counts = Counts()
        passages = line_sentences(block.source, iter(block.lines), request.input_format)
        return [formatted(tagged) for tagged in tagger.tag(passages)], tagger.reader.counts

    blocks, counts = _blocks(request), Counts()
    first = list(itertools.islice(blocks, 2))
    blocks, number = itertools.chain(first, blocks), num_processes()
    is_long = len(first) == 2
    results = map_in_processes(tag, blocks, number) if is_long and number > 1 else map(tag, blocks)
    for sentences, found in results:
        counts = counts.plus(found)
        yield from sentences
    tagger.reader.counts = counts


def _blocks(request: TagRequest) -> Iterator[_Lines]:
    for source in request.sources:
        lines = read_lines(source, request.encoding)
        while block := list(itertools.islice(lines, _LINES)):
            yield _Lines(source, block)


def _check_columns(trained: Trained, input_format: str) -> bool:
    """Returns whether the model reads columns; raises `InputError` if the format has none."""
    columns = {part.column for part in cast(Any, trained.model).inputs} - {None}
    if columns and input_format != "columns":
        raise InputError(
            f"the model reads the column {', '.join(sorted(columns))}, which plain text does not "
            "have; give column files with --format columns, or train a model without this column"
        )
    return bool(columns)


def _formatter(output_format: str, has_colors: bool) -> Callable[[Tagged], str]:
    if output_format == "text":
        colors: dict[str, int] | None = {} if has_colors else None
        return lambda tagged: tagged_text(tagged, colors)
    return {"jsonl": tagged_json, "conll": tagged_conll}[output_format]


class _Tagger:
    """Tags chunks of passages; batches are sorted by length, the output keeps the input's order."""

    def __init__(
        self,
        trained: Trained,
        vectors: Path | None = None,
        has_columns: bool = False,
    ) -> None:
        self._model: Any = trained.model
        self.reader = ChunkReader(trained, vectors)
        self._columns = list(trained.data["lexicon"]["columns"]) if has_columns else []
        self._num_tags = max(1, len(trained.data.get("tags", ())))
        self.bfloat16 = False  # whether the network multiplies in bfloat16

    def tag(self, passages: Iterator[Passage]) -> Iterator[Tagged]:
        for chunk in self.reader.chunks(passages):
            yield from self._tag_chunk(chunk)

    @torch.inference_mode()
    def _tag_chunk(self, chunk: Chunk) -> list[Tagged]:
        passages = chunk.passages
        values = [
            {value: None for passage in passages for value in passage.columns[index]}
            for index in range(len(self._columns))
        ]
        columns = {name: list(found) for name, found in zip(self._columns, values, strict=True)}
        tables = self._model.inputs.index(chunk.words, columns)
        value_ids = [{value: i for i, value in enumerate(found, 1)} for found in values]
        result: list[Tagged | None] = [None] * len(passages)
        calibration = self._model.calibration.tolist()
        max_tokens = min(_BATCH_TOKENS, _BATCH_NUMBERS // self._num_tags)
        for rows in length_batches([len(row) for row in chunk.ids], max_tokens):
            batch = _batch([chunk.ids[row] for row in rows], rows)
            batch = batch._replace(columns=_column_ids([passages[row] for row in rows], value_ids))
            found = self._model.predict(batch, tables, self.bfloat16)
            for row, predicted in zip(rows, found, strict=True):
                confidences = apply_platt(predicted.log_probs, calibration)
                spans = self._model.units(predicted.tags)
                result[row] = Tagged(passages[row], predicted.tags, spans, confidences)
        return cast(list[Tagged], result)


def _batch(ids: Sequence[torch.Tensor], rows: Sequence[int]) -> Sentences:
    words = torch.nn.utils.rnn.pad_sequence(list(ids), batch_first=True)
    return Sentences(
        words=words,
        columns=words.new_zeros(*words.shape, 0),
        tags=torch.full_like(words, IGNORE_INDEX),
        lengths=torch.tensor([len(row) for row in ids]),
        rows=torch.tensor(rows),
        targets_per_rank=1.0,
    )


def _column_ids(chunk: Sequence[Passage], value_ids: Sequence[dict[str, int]]) -> torch.Tensor:
    width = max(len(passage.tokens) for passage in chunk)
    ids = torch.zeros(len(chunk), width, len(value_ids), dtype=torch.int64)
    for row, passage in enumerate(chunk):
        for column, known in enumerate(value_ids):
            found = [known[value] for value in passage.columns[column]]
            ids[row, : len(found), column] = torch.tensor(found)
    return ids
