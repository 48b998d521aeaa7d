"""The formulas of the papers retyped over plain dictionaries, for one sentence and word at a time.

An n-gram is a tuple of words; a context that begins a sentence begins with BEGIN.
"""

from collections import Counter

BEGIN = "<s>"


def ngrams(sentences, length):
    """Yields the n-grams of a length; BEGIN alone is not one of them."""
    for sentence in sentences:
        padded = (BEGIN, *sentence)
        for end in range(max(length, 2), len(padded) + 1):
            yield padded[end - length : end]


def counts(sentences, length):
    return Counter(ngrams(sentences, length))


def followers(table, context):
    return {gram[-1]: count for gram, count in table.items() if gram[:-1] == context}


class Counted:
    """Counts of all orders; `prob` drops the words of a context that the order does not reach."""

    def __init__(self, sentences, words, order):
        self.words, self.order = words, order
        self.tables = [counts(sentences, length) for length in range(1, order + 1)]

    def prob(self, context, word):
        return self._prob(context[max(0, len(context) - self.order + 1) :], word)


class KneserNey(Counted):
    """Chen & Goodman (1999), section 3, with SRILM's cut-offs."""

    def __init__(self, sentences, words, order, discounts, min_counts):
        super().__init__(sentences, words, order)
        self.discounts, self.min_counts = discounts, min_counts
        self.tables = [self.adjusted(sentences, length) for length in range(1, order + 1)]

    def adjusted(self, sentences, length):
        table = counts(sentences, length)
        if length == self.order:
            return table
        longer = counts(sentences, length + 1)
        return {
            gram: count
            if gram[0] == BEGIN
            else len({other[0] for other in longer if other[1:] == gram})
            for gram, count in table.items()
        }

    def discount(self, length, count):
        return 0.0 if count == 0 else self.discounts[length - 1][min(count, 3) - 1]

    def _prob(self, context, word):
        length = len(context) + 1
        table = followers(self.tables[length - 1], context)
        if length > 1 and not table:
            return self._prob(context[1:], word)
        total = sum(table.values())
        gamma = sum(self.discount(length, count) for count in table.values()) / total

        def lower(one):
            return 1 / len(self.words) if length == 1 else self._prob(context[1:], one)

        def own(one):
            count = table[one]
            return (count - self.discount(length, count)) / total + gamma * lower(one)

        least = self.min_counts[length - 1]
        kept = [one for one, count in table.items() if count >= least]
        if len(kept) == len(table):
            count = table.get(word, 0)
            return (count - self.discount(length, count)) / total + gamma * lower(word)
        if word in kept:
            return own(word)
        left = 1 - sum(own(one) for one in kept)
        return left / (1 - sum(lower(one) for one in kept)) * lower(word)


def discounts_of(numbers):
    """D1, D2, D3+ of n1 to n4 (Chen & Goodman 1999, eq. 26)."""
    n1, n2, n3, n4 = numbers
    y = n1 / (n1 + 2 * n2)
    return [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]


class Katz(Counted):
    """Katz (1987) with the special cases of SRILM."""

    def __init__(self, sentences, words, order, highest, min_counts):
        super().__init__(sentences, words, order)
        self.highest, self.min_counts = highest, min_counts

    def discounted(self, length, r):
        number = Counter(self.tables[length - 1].values())
        if r > self.highest or not number[1] or not number[r]:
            return r
        share = (self.highest + 1) * number[self.highest + 1] / number[1]
        star = (r + 1) * number[r + 1] / number[r]
        if share == 1:
            return r
        ratio = (star / r - share) / (1 - share)
        return ratio * r if 0 < ratio <= 1 else r

    def _prob(self, context, word):
        length = len(context) + 1
        table = followers(self.tables[length - 1], context)

        def lower(one):
            return 1 / len(self.words) if length == 1 else self._prob(context[1:], one)

        kept = {one: r for one, r in table.items() if r >= self.min_counts[length - 1]}
        if not kept:
            return lower(word)
        amounts = {one: self.discounted(length, r) for one, r in kept.items()}
        total = sum(table.values())
        if len(kept) == len(self.words):
            total = sum(amounts.values())
        elif sum(amounts.values()) > (1 - 3e-6) * total:
            total += 1
        if word in kept:
            return amounts[word] / total
        left = 1 - sum(amounts.values()) / total
        return left / (1 - sum(lower(one) for one in kept)) * lower(word)


class MaximumLikelihood(Counted):
    def _prob(self, context, word):
        while context and not followers(self.tables[len(context)], context):
            context = context[1:]
        table = followers(self.tables[len(context)], context)
        return table.get(word, 0) / sum(table.values())


class AddDelta(Counted):
    def __init__(self, sentences, words, order, delta):
        super().__init__(sentences, words, order)
        self.delta = delta

    def _prob(self, context, word):
        table = followers(self.tables[len(context)], context)
        total = sum(table.values()) + self.delta * len(self.words)
        return (table.get(word, 0) + self.delta) / total


class StupidBackoff(Counted):
    """Brants et al. (2007), eq. 5, divided by its sum over all words."""

    def __init__(self, sentences, words, order, alpha):
        super().__init__(sentences, words, order)
        self.alpha = alpha

    def score(self, context, word):
        table = followers(self.tables[len(context)], context)
        if word in table:
            return table[word] / sum(table.values())
        if not context:
            return self.alpha / len(self.words)
        return self.alpha * self.score(context[1:], word)

    def _prob(self, context, word):
        return self.score(context, word) / sum(self.score(context, one) for one in self.words)
