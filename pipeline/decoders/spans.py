"""Probabilities of spans."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.decoders.scores import Posterior
from pipeline.text.tags import Span, are_labels

_MAX_NUMBERS = 1 << 22  # that `_begins_inside` computes at once: spans times tags squared


class _Place(NamedTuple):
    row: int
    begin: int  # id of B-label
    inside: int  # id of I-label
    start: int
    end: int


def span_log_probs(
    tags: Sequence[str],
    posterior: Posterior,
    lengths: Tensor,
    spans: Sequence[Sequence[Span]],
    strict: bool,
) -> list[list[float]]:
    """Computes the log-probability of each span; without "B-" and "I-" each token is a span.

    `strict` means that a span starts with B-label only. If not, as in conlleval, it also starts
    with an I-label at the start of the sentence or after a tag of another type. Raises a ValueError
    if the label of a span is not a type of the tags. The tensors of `posterior` must be on the CPU,
    where sums over few numbers are fastest.
    """
    ends = lengths.tolist()
    ids = {tag: index for index, tag in enumerate(tags)}
    if are_labels(tags):
        return [
            [float(posterior.log_marginals[row, span.start, ids[span.label]]) for span in of_row]
            for row, of_row in enumerate(spans)
        ]
    places = [_place(row, span, ids) for row, of_row in enumerate(spans) for span in of_row]
    rows, begins, insides, starts, _ = _columns(places, 5)
    totals = posterior.log_marginals[rows, starts, begins].double()
    totals += _goes_on(posterior, places, begins, ends)
    if not strict:
        spans_at_once = max(1, _MAX_NUMBERS // len(tags) ** 2)
        asked = torch.stack((rows, begins, insides, starts), dim=1)
        inside = torch.cat(
            [
                _begins_inside(posterior, *part.unbind(1))
                for part in torch.split(asked, spans_at_once)
            ]
        )
        totals = totals.logaddexp(inside + _goes_on(posterior, places, insides, ends))
    results = iter(totals.tolist())
    return [[next(results) for _ in of_row] for of_row in spans]


def _place(row: int, span: Span, ids: dict[str, int]) -> _Place:
    begin, inside = (ids.get(f"{letter}-{span.label}") for letter in "BI")
    if begin is None or inside is None:
        raise ValueError(
            f"the label of a span must have B- and I- tags, got {span.label!r} and the tags "
            f"{', '.join(ids)}"
        )
    return _Place(row, begin, inside, span.start, span.end)


def _begins_inside(
    posterior: Posterior, rows: Tensor, begins: Tensor, insides: Tensor, starts: Tensor
) -> Tensor:
    """Returns the log-probability that an I-label at each start continues no span [span]."""
    first = posterior.log_marginals[rows, starts, insides]
    # A start of 0 has no step before it; its values are not used below.
    before = posterior.log_marginals[rows, (starts - 1).clamp(min=0)]
    before = before.scatter(1, torch.stack((begins, insides), dim=1), -torch.inf)
    every = torch.arange(before.shape[1])
    following = posterior.following(rows.unsqueeze(1), starts.unsqueeze(1), every)
    into = following[torch.arange(len(rows)), :, insides]
    return first.where(starts == 0, (before + into).logsumexp(-1))


def _goes_on(
    posterior: Posterior, places: Sequence[_Place], firsts: Tensor, lengths: Sequence[int]
) -> Tensor:
    """Returns the log-probability of the rest of each span given its first tag, float64 [span].

    The rest is I-label up to the end and no I-label after it. `firsts` has the id of the first tag
    of each span [span].
    """
    asked = [
        (index, place.row, time, first if time == place.start + 1 else place.inside, place.inside)
        for index, (place, first) in enumerate(zip(places, firsts.tolist(), strict=True))
        for time in range(place.start + 1, min(place.end + 1, lengths[place.row]))
    ]
    owners, rows, times, previous, insides = _columns(asked, 5)
    following, insides = posterior.following(rows, times, previous), insides.unsqueeze(1)
    stays = following.gather(1, insides).squeeze(1)
    leaves = following.scatter(1, insides, -torch.inf).logsumexp(-1)
    is_after = times == _columns(places, 5)[-1][owners]
    steps = leaves.where(is_after, stays).double()
    return torch.zeros(len(places), dtype=torch.float64).index_add(0, owners, steps)


def _columns(rows: Sequence[tuple[int, ...]], num_columns: int) -> Sequence[Tensor]:
    return torch.tensor(rows, dtype=torch.int64).view(-1, num_columns).unbind(1)
