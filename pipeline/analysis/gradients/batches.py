"""Selects long rows of batches for the analysis."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from pipeline.batches import IGNORE_INDEX, Series, StreamWindow

_BATCHES = 20  # searched for the longest rows


def few_rows(batch: Any, rows: int) -> Any:  # noqa: ANN401 (a batch of any task)
    """Keeps the longest rows of a `StreamWindow`, `Sentences`, `Texts` or `Series`.

    Example:
        >>> from pipeline.batches import Series
        >>> few_rows(Series(torch.zeros(3, 5, 1), torch.zeros(3), 3.0, 15.0), rows=2).inputs.shape
        torch.Size([2, 5, 1])
    """
    order = _lengths(batch).argsort(descending=True, stable=True)[:rows]
    parts = zip(batch._fields, batch, strict=True)
    chosen = {name: p[order.to(p.device)] for name, p in parts if isinstance(p, Tensor)}
    return batch._replace(**chosen)


def sample(loader: Iterable[Any], rows: int, steps: int) -> Any:  # noqa: ANN401 (as the loader)
    """Selects rows of a split: pieces of a stream, or the longest rows of other data.

    Rows of a stream have at most `steps` tokens; sentences and texts are not cut. Raises a
    ValueError if the loader is empty or a stream has fewer than two tokens per row.
    """
    iterator = iter(loader)
    first = next(iterator, None)
    if first is None:
        raise ValueError("there is nothing to analyze: the split has no batches")
    if isinstance(first, StreamWindow) and not first.afresh:
        columns, time = first.targets.shape
        needed = -(-rows // columns) * steps - time
        return _cut([first, *_until(iterator, needed)], rows, steps)
    found = [few_rows(batch, rows) for batch in (first, *islice(iterator, _BATCHES - 1))]
    return max(found, key=lambda batch: (len(batch[0]), int(_lengths(batch).min())))


def _lengths(batch: Any) -> Tensor:  # noqa: ANN401 (any batch)
    if isinstance(batch, Series):
        return torch.full((len(batch.inputs),), batch.inputs.shape[1])
    if isinstance(batch, StreamWindow):
        return (batch.targets != IGNORE_INDEX).sum(dim=1)
    lengths: Tensor = batch.lengths
    return lengths


def _until(windows: Iterable[StreamWindow], needed: int) -> Iterable[StreamWindow]:
    for window in windows:
        if needed <= 0:
            return
        needed -= window.targets.shape[1]
        yield window


def _cut(windows: list[StreamWindow], rows: int, steps: int) -> StreamWindow:
    """Cuts a stream into rows of consecutive tokens, each within one column."""
    pairs = [torch.stack((w.tokens[:, -w.targets.shape[1] :], w.targets)) for w in windows]
    columns = torch.cat(pairs, dim=2)
    _, count, time = columns.shape
    each = -(-rows // count)  # rows per column
    steps = min(steps, time // each)
    if steps < 2:
        raise ValueError(
            f"the text has {count * time} tokens, too few for {rows} rows of two; use fewer rows"
        )
    cut = columns[:, :, : each * steps].reshape(2, count * each, steps)
    tokens, targets = cut[:, :rows]
    return StreamWindow(tokens, targets, float(rows * steps), afresh=True)
