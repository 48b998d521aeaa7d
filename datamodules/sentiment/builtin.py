"""Built-in reviews: one sentence each, whose label depends on negation and contrast.

"You should not see this movie" is the lectures' example of a sentence that word counts cannot
classify. `bag_of_words_bound` is the best accuracy of a classifier that ignores word order.
"""

from bisect import bisect
from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate, islice, repeat
from pathlib import Path
from random import Random

from datamodules.batching.texts import LabelledCorpus, LabelledSource, LabelledText
from datamodules.sentiment.builtin_grammar import WORDS, reviews
from pipeline.errors import InputError

_SEEDS = {"train": 1, "valid": 2, "test": 3}
_NUM_HELD_OUT = 1000
_LABELS = ("negative", "positive")


class BuiltinReviews(LabelledSource):
    """Generates positive and negative reviews from a small grammar.

    The validation and test splits have 1,000 reviews each, none of which occurs in training.

    Args:
        num_train: Number of training reviews. A smaller number gives the first ones of a larger.

    Raises:
        InputError: If `num_train` is below 1.

    Example:
        >>> review = BuiltinReviews(num_train=100).read().splits["train"][2]
        >>> " ".join(review.tokens), review.label
        ('The editing was very tender .', 'positive')
    """

    name = "builtin"

    def __init__(self, num_train: int = 4000) -> None:
        if num_train < 1:
            raise InputError(f"num_train is {num_train}; 1 or more is expected")
        self._num_train = num_train

    def read(self) -> LabelledCorpus:
        """See `LabelledSource`."""
        held_out = {
            split: list(generate_reviews(_SEEDS[split], _NUM_HELD_OUT))
            for split in ("valid", "test")
        }
        tested = {text.tokens for texts in held_out.values() for text in texts}
        new = (text for text in generate_reviews(_SEEDS["train"]) if text.tokens not in tested)
        splits = {"train": list(islice(new, self._num_train)), **held_out}
        bound = bag_of_words_bound()
        return LabelledCorpus(
            splits=splits,
            files=dict.fromkeys(splits, Path(__file__)),
            labels=_LABELS,
            notes=(
                "a classifier that ignores word order has an expected accuracy of at most "
                f"{bound:.1%}",
            ),
        )


def generate_reviews(seed: int, count: int | None = None) -> Iterator[LabelledText]:
    """Yields reviews, identical on every machine; without end if `count` is None."""
    random = Random(seed)  # noqa: S311 - only random() is used: its sequence is the same in all versions
    written = reviews()
    bounds = list(accumulate(review.chance for review in written))
    for _ in repeat(None) if count is None else range(count):
        review = written[bisect(bounds, random.random() * bounds[-1], hi=len(bounds) - 1)]
        tokens = []
        for symbol in review.classes:
            words = WORDS.get(symbol, (symbol,))
            tokens.append(words[int(random.random() * len(words))])
        tokens[0] = tokens[0][0].upper() + tokens[0][1:]
        yield LabelledText(tuple(tokens), review.label)


def bag_of_words_bound() -> float:
    """Computes the best expected accuracy of a classifier that ignores word order.

    All words of a class are equally likely for both labels, so word counts contain no more
    information than the counts of word classes.
    """
    chances: dict[tuple[str, ...], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for review in reviews():
        chances[tuple(sorted(review.classes))][review.label] += review.chance
    return sum(max(labels.values()) for labels in chances.values())
