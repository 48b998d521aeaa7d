"""The built-in reviews: one sentence each, whose label depends on negation, contrast, distance.

"You should not see this movie" is the lectures' example of what counts of words cannot tell. How
well anything can do that knows the words of a review and not their order is `bag_of_words_bound`.
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
    """Writes reviews of a small grammar, positive or negative.

    Args:
        num_train: reviews to train with; fewer are the first ones of more. 1,000 validate and
            1,000 test; none of them is trained on.

    Raises:
        InputError: `num_train` is below 1.
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
                f"whoever knows the words of a review and not their order is right in {bound:.1%} "
                "of all at best",
            ),
        )


def generate_reviews(seed: int, count: int | None = None) -> Iterator[LabelledText]:
    """Writes reviews, the same on every machine and version of Python.

    Args:
        seed: of the choices.
        count: reviews to write; endlessly many if omitted.
    """
    random = Random(seed)  # noqa: S311 - not for secrets; random() alone is used, which never changes
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
    """Gives the accuracy that nothing can exceed on a long text if it does not see order.

    The words of a class are equally likely whatever the label, so how often each class occurs says
    all that counts of words can say.
    """
    chances: dict[tuple[str, ...], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for review in reviews():
        chances[tuple(sorted(review.classes))][review.label] += review.chance
    return sum(max(labels.values()) for labels in chances.values())
