"""N-gram counts, as sorted arrays of keys."""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]

MAX_ORDER = 9


class OrderCounts(NamedTuple):
    """The n-grams of one order in a text.

    An n-gram is identified by its index within its order. The index of a unigram is the word's id;
    `<s>`, the beginning of a sentence, comes after all words. An n-gram of a higher order has the
    key `prefix * vocab_size + word`, where `prefix` is the index, one order below, of the n-gram
    without its last word. Its index is the position of its key among the sorted keys, so that the
    n-grams of one context are adjacent.
    """

    keys: Ints  # sorted keys [ngram]; for unigrams the indices themselves
    prefixes: Ints  # indices, one order below, without the last word [ngram]; 0 for unigrams
    suffixes: Ints  # indices, one order below, without the first word [ngram]
    begins: Flags  # whether an n-gram begins with `<s>` [ngram]
    counts: Ints  # number of occurrences [ngram]; 0 for `<s>`, which is never predicted


class Counts(NamedTuple):
    """The n-grams of a text, as `count` returns them.

    Example:
        >>> counts = count(np.array([2, 3, 2, 0]), eos_id=0, vocab_size=4, order=2)
        >>> counts.orders[0].counts.tolist()  # words 0 to 3 and <s>
        [1, 0, 2, 1, 0]
        >>> len(counts.up_to(1).orders)
        1
    """

    vocab_size: int  # number of words; all ids are smaller
    eos_id: int  # id of the end of a sentence
    orders: tuple[OrderCounts, ...]  # n-grams of order 1, 2, and so on

    def up_to(self, order: int) -> "Counts":
        """Returns the counts without the orders above `order`."""
        return self._replace(orders=self.orders[:order])


def check_order(order: int) -> None:
    """Raises a `ValueError` if an order is not supported."""
    if not 1 <= order <= MAX_ORDER:
        raise ValueError(f"order must be from 1 to {MAX_ORDER}, got {order}")


def count(ids: npt.NDArray[np.integer], eos_id: int, vocab_size: int, order: int) -> Counts:
    """Counts the n-grams of all orders up to `order` in a text [tokens].

    `eos_id` ends a sentence. N-grams do not cross its beginning, which is marked by `<s>`. Each
    order contains the prefixes and suffixes of the next. Raises a `ValueError` if the order is out
    of range or the text has no n-gram of this order.
    """
    check_order(order)
    words = np.asarray(ids, dtype=np.int64)
    begins = sentence_begins(words, eos_id)
    orders = [_unigrams(words, vocab_size)]
    places = words
    for length in range(2, order + 1):
        prefixes = shifted(places, begins, vocab_size if length == 2 else -1)
        places, counted = _longer(orders[-1], prefixes, words, places, vocab_size)
        if len(counted.keys) == 0:
            raise ValueError(
                f"the text has no n-gram of order {length}, because its longest sentence has "
                f"{length - 2} tokens; order must be at most {length - 1}, got {order}"
            )
        orders.append(counted)
    return Counts(vocab_size, eos_id, tuple(orders))


def sentence_begins(ids: Ints, eos_id: int) -> Flags:
    """Returns whether each token is the first of its sentence [tokens]."""
    begins = np.ones(len(ids), dtype=np.bool_)
    begins[1:] = ids[:-1] == eos_id
    return begins


def shifted(places: Ints, begins: Flags, at_begin: int) -> Ints:
    """Returns the index of the n-gram that ends right before each token [tokens].

    `places` contains the index of the n-gram that ends at each token. Tokens that begin a sentence
    get `at_begin`.
    """
    result = np.empty_like(places)
    result[1:] = places[:-1]
    result[begins] = at_begin
    return result


def _unigrams(words: Ints, vocab_size: int) -> OrderCounts:
    places = np.arange(vocab_size + 1)
    nowhere = np.zeros_like(places)
    counts = np.bincount(words, minlength=vocab_size + 1)
    return OrderCounts(places, nowhere, nowhere, places == vocab_size, counts)


def _longer(
    lower: OrderCounts, prefixes: Ints, words: Ints, suffixes: Ints, vocab_size: int
) -> tuple[Ints, OrderCounts]:
    """Returns the index of the n-gram that ends at each token, and counts, one order above."""
    real = np.flatnonzero(prefixes >= 0)
    keys = prefixes[real] * vocab_size + words[real]
    order = np.argsort(keys)
    keys = keys[order]
    is_first = np.ones(len(keys), dtype=np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=is_first[1:])
    firsts = np.flatnonzero(is_first)
    tokens = real[order]  # sorted by key
    places = np.full(len(words), -1)
    places[tokens] = np.cumsum(is_first) - 1
    distinct = keys[firsts]
    contexts = distinct // vocab_size
    counts = np.diff(firsts, append=len(keys))
    return places, OrderCounts(
        distinct, contexts, suffixes[tokens[firsts]], lower.begins[contexts], counts
    )
