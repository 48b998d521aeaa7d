"""Counts of n-grams, as sorted arrays of keys."""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]

MAX_ORDER = 9


class OrderCounts(NamedTuple):
    """The n-grams of one order that a text holds.

    An n-gram is known by its place. Unigrams stand at their word's id, and `<s>`, the beginning of
    a sentence, after all words. An n-gram of a higher order has the key `prefix * vocab_size +
    word`, where `prefix` is the place, one order below, of the n-gram without its last word; its
    place is that of its key among the sorted keys, so that what follows a context stands together.

    Attributes:
        keys: sorted [ngram]; of unigrams the places themselves.
        prefixes: the places, one order below, of the n-grams without their last words [ngram]; 0
            for unigrams, whose context is empty.
        suffixes: as `prefixes`, without their first words.
        begins: whether it begins with `<s>` [ngram].
        counts: occurrences in the text [ngram]; 0 for `<s>`, which is never predicted.
    """

    keys: Ints
    prefixes: Ints
    suffixes: Ints
    begins: Flags
    counts: Ints


class Counts(NamedTuple):
    """The n-grams of a text.

    Attributes:
        vocab_size: number of words; their ids are below it.
        eos_id: the word that ends a sentence.
        orders: the n-grams of order 1, 2, and so on.
    """

    vocab_size: int
    eos_id: int
    orders: tuple[OrderCounts, ...]

    def up_to(self, order: int) -> "Counts":
        """Gives the same counts without the orders above `order`."""
        return self._replace(orders=self.orders[:order])


def check_order(order: int) -> None:
    """Raises `ValueError` for an order that no model has."""
    if not 1 <= order <= MAX_ORDER:
        raise ValueError(f"order is the length of an n-gram, 1 to {MAX_ORDER}, got {order}")


def count(ids: npt.NDArray[np.integer], eos_id: int, vocab_size: int, order: int) -> Counts:
    """Counts the n-grams of all orders up to `order`.

    A sentence is what ends with `eos_id`; none looks across its beginning, where `<s>` stands.

    Args:
        ids: the text, `eos_id` after each sentence [tokens]; each is predicted once.
        eos_id: the word that ends a sentence.
        vocab_size: ids are below it.
        order: the highest order.

    Returns:
        The counts; each order holds the prefixes and suffixes of the next.

    Raises:
        ValueError: the order is out of range, or the text holds no n-gram of it.
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
                f"the text holds no n-gram of order {length}: its longest sentence has "
                f"{length - 2} tokens, so the order is at most {length - 1}, got {order}"
            )
        orders.append(counted)
    return Counts(vocab_size, eos_id, tuple(orders))


def sentence_begins(ids: Ints, eos_id: int) -> Flags:
    """Tells which tokens are the first of their sentence [tokens]."""
    begins = np.ones(len(ids), dtype=np.bool_)
    begins[1:] = ids[:-1] == eos_id
    return begins


def shifted(places: Ints, begins: Flags, at_begin: int) -> Ints:
    """Moves what ends at each token to the token after it.

    Args:
        places: of the n-grams that end at each token [tokens].
        begins: which tokens begin a sentence [tokens].
        at_begin: what stands before these.

    Returns:
        Of the n-grams that end right before each token [tokens].
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
    """Counts the n-grams one longer than `lower`; gives the places of those at each token, too."""
    real = np.flatnonzero(prefixes >= 0)
    keys = prefixes[real] * vocab_size + words[real]
    order = np.argsort(keys)
    keys = keys[order]
    is_first = np.ones(len(keys), dtype=np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=is_first[1:])
    firsts = np.flatnonzero(is_first)
    tokens = real[order]  # in the order of keys
    places = np.full(len(words), -1)
    places[tokens] = np.cumsum(is_first) - 1
    distinct = keys[firsts]
    contexts = distinct // vocab_size
    counts = np.diff(firsts, append=len(keys))
    return places, OrderCounts(
        distinct, contexts, suffixes[tokens[firsts]], lower.begins[contexts], counts
    )
