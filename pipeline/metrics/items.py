"""Scores of each item of a test split, stored with a run so that runs can be compared in pairs."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FILE = "items.json"
"""Name of the file in the folder of a test report."""

COLUMNS = {
    "f1": ("right", "predicted", "gold"),
    "accuracy": ("right", "total"),
    "perplexity": ("nll", "tokens"),
}
"""The numbers of each item from whose sums a score is computed."""

_SCORES: Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "f1": lambda sums: 2 * sums[0] / np.maximum(sums[1] + sums[2], 1),
    "accuracy": lambda sums: sums[0] / np.maximum(sums[1], 1),
    "perplexity": lambda sums: np.exp(sums[0] / np.maximum(sums[1], 1)),
}


class ItemScores(NamedTuple):
    """Scores of the items of a test split: sentences, texts, or blocks of tokens.

    Attributes:
        metric: Name of the score: f1, accuracy or perplexity.
        digest: Identifies the items and their gold answers; scores of two models can be compared
            item by item if it is the same.
        values: The numbers of `COLUMNS` for each item, float64 [column item]. The nll is in nats.

    Example:
        >>> items = ItemScores("accuracy", "", np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]))
        >>> round(float(items.score(items.values.sum(axis=1))), 4)
        0.6667
    """

    metric: str
    digest: str
    values: NDArray[np.float64]

    def score(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the score of sums over items [column ...], of shape [...]."""
        return np.asarray(_SCORES[self.metric](sums), dtype=np.float64)

    def to_json(self) -> str:
        """Formats the scores as JSON with one list per column; an nll has 4 decimal places."""
        names = COLUMNS[self.metric]
        lists = {
            name: [int(v) if float(v).is_integer() else round(float(v), 4) for v in row]
            for name, row in zip(names, self.values, strict=True)
        }
        return json.dumps({"metric": self.metric, "digest": self.digest, **lists}) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "ItemScores":
        """Reads what `to_json` wrote; raises a `ValueError` for anything else."""
        try:
            content = json.loads(text)
            rows = [content[name] for name in COLUMNS[content["metric"]]]
            values = np.array(rows, dtype=np.float64)
        except (LookupError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError("expected scores per item") from error
        if values.ndim != 2 or not np.isfinite(values).all():
            raise ValueError("expected equally long lists of finite numbers")
        return cls(content["metric"], str(content.get("digest")), values)


def digest_of(parts: Iterable[str]) -> str:
    """Returns 16 hexadecimal digits that identify a sequence of texts.

    Example:
        >>> digest_of(["a", "b"]) == digest_of(["ab"])
        False
    """
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()[:16]
