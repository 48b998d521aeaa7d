"""A back-off model over n-grams: what all estimates become, and what an ARPA file holds."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.ngrams.counting import Floats, Ints, sentence_begins, shifted


class NgramModel:
    """A distribution over the next word, given the words before it in its sentence.

    An n-gram that is listed has its probability. Any other has that of the n-gram without its first
    word, times the weight of its context if that is listed (Katz 1987; the ARPA format).
    Places and keys are those of `pipeline.ngrams.counting.OrderCounts`: the prefix of a listed
    n-gram is listed; its suffix need not be.

    Args:
        vocab_size: number of words.
        eos_id: the word that ends a sentence.
        keys: of the n-grams of order 2, 3, and so on, each sorted [ngram].
        probs: of the n-grams of order 1 (a word at its id, 0 for `<s>` after all words), 2, and so
            on, each [ngram].
        backoffs: weights of the n-grams of order 1, 2, and so on as contexts, each [ngram]; the
            highest order has none.

    Attributes:
        order: the length of the longest n-grams.
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

    def find(self, order: int, prefixes: Ints, words: Ints) -> Ints:
        """Looks n-grams up.

        Args:
            order: their length, 2 or more.
            prefixes: places of what comes before the last word [*]; -1 where that is not listed.
            words: last words [*]; an n-gram that ends in anything but a word is not listed.

        Returns:
            Their places [*], -1 for those that are not listed.
        """
        keys = self.keys[order - 2]
        if len(keys) == 0:
            return np.full(np.broadcast_shapes(prefixes.shape, words.shape), -1)
        wanted = prefixes * self.vocab_size + words
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        is_word = (words >= 0) & (words < self.vocab_size)
        return np.where((keys[places] == wanted) & is_word & (prefixes >= 0), places, -1)

    def log_probs(self, ids: npt.NDArray[np.integer]) -> Floats:
        """Scores a text whose first token begins a sentence.

        Args:
            ids: `eos_id` after each sentence [tokens].

        Returns:
            Natural logarithms of the tokens' probabilities [tokens]; -inf is a probability of 0.
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
        """Scores words after contexts.

        Args:
            contexts: the order-1 words before, the last one last; -1 before the sentence's
                beginning [batch order-1].
            words: ids [batch].

        Returns:
            Natural logarithms of their probabilities [batch]; -inf is a probability of 0.
        """
        probs = self.probs[0][words]
        for order, places in enumerate(self._find_contexts(contexts), start=2):
            probs = self._refined(order, probs, places, self.find(order, places, words))
        return _log(probs)

    def distribution(self, contexts: Ints) -> Floats:
        """Gives the probability of each word after contexts.

        Args:
            contexts: as of `log_probs_after`.

        Returns:
            Probabilities [batch vocab]; rows sum to 1, as exactly as the estimate does.
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
        """Gives all listed n-grams after contexts: which context of the list, and their places."""
        keys = self.keys[order - 2]
        firsts = np.searchsorted(keys, contexts * self.vocab_size)
        sizes = np.searchsorted(keys, (contexts + 1) * self.vocab_size) - firsts
        row = np.repeat(np.arange(len(contexts)), sizes)
        within = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return row, firsts[row] + within

    def _refined(self, order: int, probs: Floats, contexts: Ints, places: Ints) -> Floats:
        """Takes probabilities from what is known one order below to `order`, all [batch]."""
        known, found = contexts >= 0, places >= 0  # none, where an order has been cut off whole
        refined = probs.copy()
        refined[known] *= self.backoffs[order - 2][contexts[known]]
        refined[found] = self.probs[order - 1][places[found]]
        return refined

    def _find_contexts(self, contexts: Ints) -> list[Ints]:
        """Gives the places of the last 1, 2, and so on words of contexts, each [batch]."""
        if self.order == 1:
            return []
        assert contexts.shape[1] == self.order - 1
        symbols = contexts.copy()
        begins = np.zeros_like(symbols, dtype=np.bool_)  # where `<s>` stands
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
