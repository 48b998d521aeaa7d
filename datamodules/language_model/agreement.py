"""Verbs of the built-in grammar with their subjects, enough of each distance to measure memory."""

from collections import Counter
from collections.abc import Sequence

from datamodules.language_model.builtin import Agreement, agreements
from pipeline.errors import InputError

PROBE_SEED = 4  # 1, 2 and 3 are those of the corpus
_MOST_SENTENCES = 500_000


def agreement_probe(starts: Sequence[int], per_range: int) -> list[Agreement]:
    """Draws verbs from the grammar: the first ones of each range of distances.

    Within a range distances and attractors are as frequent as in the grammar. The seed is not that
    of a file of the built-in corpus; short sentences may be in both by chance.

    Args:
        starts: the least distance of each range, rising from 0; the last range has no end.
        per_range: verbs of each range.

    Returns:
        `per_range` verbs of each range, in the order in which they were drawn.

    Raises:
        InputError: the grammar has hardly any of a range.
    """
    counts, found = Counter[int](), list[Agreement]()
    for one in agreements(PROBE_SEED, _MOST_SENTENCES):
        start = max(start for start in starts if start < one.verb - one.subject)
        if counts[start] < per_range:
            counts[start] += 1
            found.append(one)
            if len(found) == per_range * len(starts):
                return found
    raise InputError(
        f"{_MOST_SENTENCES:,} sentences of the grammar have fewer than {per_range} verbs of some "
        "range of distances; ask for fewer verbs"
    )
