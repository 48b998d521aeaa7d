"""The backoff model that every smoothing method estimates and an ARPA file contains."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.ngrams.counting import MAX_ORDER, Floats, Ints, sentence_begins, shifted

_ROUNDING = 1e-6  # of probabilities that are sums


class NgramModel:
    """An n-gram backoff model: a distribution over the next word given its sentence so far.

    A listed n-gram has its own probability. Any other has the probability of the n-gram without its
    first word, multiplied by the backoff weight of its context if that is listed (Katz 1987; the
    ARPA format). Indices and keys are those of `pipeline.ngrams.counting.OrderCounts`. The prefix
    of a listed n-gram is always listed; its suffix may be missing.

    Args:
        vocab_size: Number of words.
        eos_id: Id of the end of a sentence.
        keys: Sorted keys of the n-grams of order 2, 3, and so on, each [ngram].
        probs: Probabilities of the n-grams of order 1, 2, and so on, each [ngram]. Unigrams are
            indexed by id, followed by a 0 for `<s>`.
        backoffs: Backoff weights of the n-grams of order 1, 2, and so on as contexts, each [ngram];
            none for the highest order.

    Attributes:
        order: Length of the longest n-grams.

    Example:
        >>> unigrams = np.array([0.25, 0.5, 0.25, 0.0])  # <eos>, a, b, and <s>
        >>> model = NgramModel(vocab_size=3, eos_id=0, keys=[], probs=[unigrams], backoffs=[])
        >>> np.exp(model.log_probs(np.array([1, 1, 0])))
        array([0.5 , 0.5 , 0.25])
    """

    def __init__(
        self,
        vocab_size: int,
        eos_id: int,
        keys: Sequence[Ints],
        probs: Sequence[Floats],
        backoffs: Sequence[Floats],
    ) -> None:
        self.vocab_size, self.eos_id = vocab_size, eos_id
        self.keys, self.probs, self.backoffs = list(keys), list(probs), list(backoffs)
        self.order = len(self.probs)

    def check(self) -> None:
        """Raises a `ValueError` for tables that cannot be those of a model, as of a strange file.

        Lookups in them would fail or give probabilities that are not numbers.
        """
        sizes = [len(probs) for probs in self.probs]
        is_shaped = (
            1 <= self.order <= MAX_ORDER
            and sizes[0] == self.vocab_size + 1
            and [len(keys) for keys in self.keys] == sizes[1:]
            and [len(weights) for weights in self.backoffs] == sizes[:-1]
            and all(table.ndim == 1 for table in (*self.keys, *self.probs, *self.backoffs))
        )
        if not is_shaped or any(keys.dtype != np.int64 for keys in self.keys):
            raise ValueError("the tables of n-grams have sizes that do not fit one another")
        for size, keys in zip(sizes, self.keys, strict=False):
            is_inside = not len(keys) or 0 <= keys[0] <= keys[-1] < size * self.vocab_size
            if not is_inside or not (keys[:-1] < keys[1:]).all():
                raise ValueError("the keys of n-grams are not sorted, or of no n-gram")
        tables = [(values, 1 + _ROUNDING) for values in self.probs]
        tables += [(values, float(np.finfo(np.float64).max)) for values in self.backoffs]
        for values, most in tables:
            if values.dtype != np.float64 or not ((values >= 0) & (values <= most)).all():
                raise ValueError("a probability or backoff weight of an n-gram is out of range")

    def find(self, order: int, prefixes: Ints, words: Ints) -> Ints:
        """Returns the indices of n-grams of length `order` (at least 2) [*]; -1 if not listed.

        `prefixes` [*] contains the indices of the n-grams without their last words (-1 if not
        listed), `words` [*] the last words. A word that is not a valid id is not listed.
        """
        keys = self.keys[order - 2]
        if len(keys) == 0:
            return np.full(np.broadcast_shapes(prefixes.shape, words.shape), -1)
        wanted = prefixes * self.vocab_size + words
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        is_word = (words >= 0) & (words < self.vocab_size)
        return np.where((keys[places] == wanted) & is_word & (prefixes >= 0), places, -1)

    def log_probs(self, ids: npt.NDArray[np.integer]) -> Floats:
        """Returns the natural logarithms of the probabilities of a text's tokens [tokens].

        The first token begins a sentence, and `eos_id` ends each sentence. The logarithm of 0 is
        -inf.
        """
        words = np.asarray(ids, dtype=np.int64)
        begins = sentence_begins(words, self.eos_id)
        places, probs = words, self.probs[0][words]
        for order in range(2, self.order + 1):
            contexts = shifted(places, begins, self.vocab_size if order == 2 else -1)
            places = self.find(order, contexts, words)
            probs = self._refined(order, probs, contexts, places)
        return _log(probs)

    def log_probs_after(self, contexts: Ints, words: Ints) -> Floats:
        """Returns the natural logarithms of the probabilities of words [batch] after contexts.

        Contexts [batch order-1] are as in `distribution`. The logarithm of 0 is -inf.
        """
        probs = self.probs[0][words]
        for order, places in enumerate(self._find_contexts(contexts), start=2):
            probs = self._refined(order, probs, places, self.find(order, places, words))
        return _log(probs)

    def distribution(self, contexts: Ints) -> Floats:
        """Returns the probability of every word given contexts [batch vocab].

        `contexts` [batch order-1] contains the words before, oldest first, and -1 before the
        beginning of the sentence. Rows sum to 1 if the model is normalized.
        """
        rows = np.tile(self.probs[0][: self.vocab_size], (len(contexts), 1))
        for order, places in enumerate(self._find_contexts(contexts), start=2):
            known = np.flatnonzero(places >= 0)
            rows[known] *= self.backoffs[order - 2][places[known], None]
            row, listed = self._followers(order, places[known])
            words = self.keys[order - 2][listed] % self.vocab_size
            rows[known[row], words] = self.probs[order - 1][listed]
        return rows

    def _followers(self, order: int, contexts: Ints) -> tuple[Ints, Ints]:
        """Returns the listed n-grams of contexts: the row of each n-gram's context, its index."""
        keys = self.keys[order - 2]
        firsts = np.searchsorted(keys, contexts * self.vocab_size)
        sizes = np.searchsorted(keys, (contexts + 1) * self.vocab_size) - firsts
        row = np.repeat(np.arange(len(contexts)), sizes)
        within = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return row, firsts[row] + within

    def _refined(self, order: int, probs: Floats, contexts: Ints, places: Ints) -> Floats:
        """Refines probabilities of one order below to `order`; all arguments are [batch]."""
        known, found = contexts >= 0, places >= 0  # none if a cutoff dropped the whole order
        refined = probs.copy()
        refined[known] *= self.backoffs[order - 2][contexts[known]]
        refined[found] = self.probs[order - 1][places[found]]
        return refined

    def _find_contexts(self, contexts: Ints) -> list[Ints]:
        """Returns the indices of the last 1, 2, and so on words of contexts, each [batch]."""
        if self.order == 1:
            return []
        assert contexts.shape[1] == self.order - 1
        symbols = contexts.copy()
        begins = np.zeros_like(symbols, dtype=np.bool_)  # positions of `<s>`
        begins[:, :-1] = (symbols[:, :-1] < 0) & (symbols[:, 1:] >= 0)
        begins[:, -1] = symbols[:, -1] < 0
        symbols[begins] = self.vocab_size
        places = symbols
        found = [places[:, -1]]
        for length in range(2, self.order):
            places = self.find(length, places[:, :-1], symbols[:, length - 1 :])
            found.append(places[:, -1])
        return found


def _log(probs: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        logarithms: Floats = np.log(probs)
    return logarithms
