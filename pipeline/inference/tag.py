"""From files to tagged sentences, in flat memory: read, cut, batch, tag, write."""

import gc
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TextIO, cast

import torch
from tqdm import tqdm

from pipeline.batches import IGNORE_INDEX, Sentences
from pipeline.checkpoints.read import Trained
from pipeline.console import print_note
from pipeline.errors import InputError
from pipeline.inference.chunks import ChunkReader, WordIds, length_batches, word_ids
from pipeline.inference.show import STYLES, Tagged, to_text
from pipeline.inference.text_files import STANDARD_INPUT, Passage, read_passages
from pipeline.reports import apply_platt


class Request(NamedTuple):
    """What is to be tagged, and how it is written.

    Attributes:
        sources: files, "-" for standard input.
        form: one of `FORMATS`.
        style: one of `STYLES`; None: text where it goes to a terminal, else JSON lines.
        encoding: of the files.
    """

    sources: Sequence[str]
    form: str = "sentences"
    style: str | None = None
    encoding: str = "utf-8"


def annotate(trained: Trained, request: Request, file: TextIO) -> None:
    """Tags text with a trained tagger.

    Args:
        trained: the model.
        request: what to tag.
        file: where to write.

    Raises:
        InputError: a file cannot be read, or the model reads columns that the text does not have.
    """
    columns = list(trained.data["lexicon"]["columns"])
    used = {part.column for part in cast(Any, trained.model).inputs} - {None}
    if used and request.form != "columns":
        raise InputError(
            f"the model reads the column {', '.join(sorted(used))}, which raw text does not have; "
            "give column files with --format columns, or train a model without it"
        )
    numbers = len(columns) if used else 0
    gc.freeze()  # the collector need not look through the model again for each chunk
    passages = itertools.chain.from_iterable(
        read_passages(source, request.encoding, request.form, numbers) for source in request.sources
    )
    write = _writer(request.style, file)
    is_typed = STANDARD_INPUT in request.sources
    tagger = _Tagger(trained, has_columns=bool(used), is_typed=is_typed)
    hidden = None if sys.stderr.isatty() else True
    for tagged in tqdm(
        tagger.tag(passages), unit=" sentences", unit_scale=True, disable=hidden, leave=False
    ):
        file.write(write(tagged) + "\n")
    print_note(tagger.reader.summary("sentences"))


def _writer(style: str | None, file: TextIO) -> Callable[[Tagged], str]:
    is_terminal = file.isatty()
    style = style or ("text" if is_terminal else "jsonl")
    if style == "text" and is_terminal and "NO_COLOR" not in os.environ:
        colours: dict[str, int] = {}
        return lambda tagged: to_text(tagged, colours)
    return STYLES[style]


class _Tagger:
    """Tags passages in chunks: sorted by length inside a chunk, given in their order."""

    def __init__(self, trained: Trained, has_columns: bool, is_typed: bool) -> None:
        self._model: Any = trained.model
        lexicon = trained.data["lexicon"]
        self.reader = ChunkReader(lexicon, is_typed)
        self._columns = list(lexicon["columns"]) if has_columns else []

    def tag(self, passages: Iterator[Passage]) -> Iterator[Tagged]:
        for chunk in self.reader.chunks(passages):
            yield from self._tag_chunk(chunk.passages, word_ids(chunk.words))

    @torch.inference_mode()
    def _tag_chunk(self, chunk: list[Passage], words: WordIds) -> list[Tagged]:
        values = [
            {value: None for passage in chunk for value in passage.columns[place]}
            for place in range(len(self._columns))
        ]
        columns = {name: list(found) for name, found in zip(self._columns, values, strict=True)}
        tables = self._model.inputs.index(words.distinct, columns)
        places = [{value: i for i, value in enumerate(found, 1)} for found in values]
        result: list[Tagged | None] = [None] * len(chunk)
        for rows in length_batches([len(row) for row in words.ids]):
            batch = _batch([words.ids[row] for row in rows], rows)
            batch = batch._replace(columns=_column_ids([chunk[row] for row in rows], places))
            for row, predicted in zip(rows, self._model.predict(batch, tables), strict=True):
                sure = apply_platt(predicted.log_probs, self._model.calibration.tolist())
                units = self._model.units(predicted.tags)
                result[row] = Tagged(chunk[row], predicted.tags, units, sure)
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


def _column_ids(chunk: Sequence[Passage], places: Sequence[dict[str, int]]) -> torch.Tensor:
    width = max(len(passage.tokens) for passage in chunk)
    ids = torch.zeros(len(chunk), width, len(places), dtype=torch.int64)
    for row, passage in enumerate(chunk):
        for column, known in enumerate(places):
            found = [known[value] for value in passage.columns[column]]
            ids[row, : len(found), column] = torch.tensor(found)
    return ids
