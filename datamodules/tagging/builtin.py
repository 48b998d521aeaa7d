"""Built-in opinion corpus: news-like sentences from a small grammar, annotated like MPQA.

Wiebe, Wilson and Cardie, "Annotating expressions of opinions and emotions in language", Language
Resources and Evaluation 39 (2005), distinguish direct subjective expressions (DSE: "said", if an
opinion follows) from expressive ones (ESE: "far from perfect"). As in MPQA, most spans depend on
words to their right: "said on Monday that the plan was a draft" reports a fact, "said on Monday
that the plan was a disaster" an opinion. Others depend on words to their left: a bitter reply is an
opinion, bitter coffee is not. The words of a sentence determine its tags, so a bidirectional
network can reach F1 1; `left_to_right_bound` limits networks that read from left to right only.
"""

from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path
from random import Random

from datamodules.batching.sentences import Sentence, TaggedCorpus, TaggedSource
from datamodules.tagging import builtin_grammar
from datamodules.tagging.builtin_grammar import LEXICON, Clause, clauses
from datamodules.tagging.columns import Columns
from pipeline.cache import cached, sha256_of
from pipeline.errors import InputError

_SEEDS = {"train": 1, "valid": 2, "test": 3}
_NUM_HELD_OUT = 500  # sentences of the validation split and of the test split
_LINKED = 0.3  # probability that a sentence has two clauses


class BuiltinOpinions(TaggedSource):
    """Generates the built-in opinion corpus: types DSE and ESE, and the column `pos`.

    The validation and test splits have 500 sentences each. The corpus is kept in the cache.

    Args:
        num_train: Number of training sentences. A smaller number gives the first ones of a larger.

    Raises:
        InputError: If `num_train` is below 1.

    Example:
        >>> corpus = BuiltinOpinions(num_train=100).read()
        >>> sentence = corpus.splits["train"][45]
        >>> list(zip(sentence.tokens, sentence.tags))[2:5]
        [('was', 'O'), ('a', 'B-ESE'), ('farce', 'I-ESE')]
    """

    name = "builtin"

    def __init__(self, num_train: int = 3000) -> None:
        if num_train < 1:
            raise InputError(f"num_train is {num_train}; 1 or more is expected")
        self._sizes = {"train": num_train, "valid": _NUM_HELD_OUT, "test": _NUM_HELD_OUT}

    def read(self) -> TaggedCorpus:
        """See `TaggedSource`."""
        sums = [sha256_of(Path(module)) for module in (__file__, builtin_grammar.__file__)]
        version = "-".join(digest[:16] for digest in sums)
        folder = cached(f"opinions-{self._sizes['train']}-{version}", self._write, Path)
        return Columns(str(folder), features={"pos": 1}, separator="tab").read()

    def _write(self, folder: Path) -> None:
        for split, count in self._sizes.items():
            with (folder / f"{split}.txt").open("w", encoding="utf-8", newline="\n") as file:
                for sentence in generate_opinions(_SEEDS[split], count):
                    rows = zip(sentence.tokens, sentence.columns[0], sentence.tags, strict=True)
                    file.writelines("\t".join(row) + "\n" for row in rows)
                    file.write("\n")


def generate_opinions(seed: int, count: int) -> Iterator[Sentence]:
    """Yields sentences with a column of parts of speech, identical on every machine."""
    random = Random(seed)  # noqa: S311 - only random() is used: its sequence is the same in all versions
    for _ in range(count):
        yield _sentence(random)


def left_to_right_bound() -> dict[str, float]:
    """Computes an upper bound of the F1 of taggers that read from left to right only.

    Such a tagger decides from the words up to and including a token whether a span begins there.
    The grammar gives the probability of a beginning for each prefix of a clause; expected F1 is
    highest if spans begin wherever this probability exceeds some threshold. Ends and types of spans
    are assumed to be correct. Clauses are independent, so preceding clauses do not help.

    Returns the bound in percent for "DSE", for "ESE" and for both together ("micro").
    """
    return {
        name: 100 * _best_f1(clauses(), types)
        for name, types in (("DSE", ("DSE",)), ("ESE", ("ESE",)), ("micro", ("DSE", "ESE")))
    }


def _sentence(random: Random) -> Sentence:
    clause = _random_clause(random)
    classes, tags = clause.classes, clause.tags
    if random.random() < _LINKED:
        other = _random_clause(random)
        classes, tags = (*classes, ",", "LINK", *other.classes), (*tags, "O", "O", *other.tags)
    kinds = [LEXICON[name] for name in (*classes, ".")]
    words = [
        kind.words[bisect(kind.bounds, int(random.random() * kind.bounds[-1]))] for kind in kinds
    ]
    tokens = (words[0][0].upper() + words[0][1:], *words[1:])
    return Sentence(tokens, (*tags, "O"), (tuple(kind.pos for kind in kinds),))


def _random_clause(random: Random) -> Clause:
    bounds = _bounds()
    return clauses()[bisect(bounds, random.random() * bounds[-1], hi=len(bounds) - 1)]


@cache
def _bounds() -> list[float]:
    return list(accumulate(clause.chance for clause in clauses()))


def _best_f1(written: Iterable[Clause], types: tuple[str, ...]) -> float:
    seen: dict[tuple[str, ...], float] = defaultdict(float)
    begun = {name: seen.copy() for name in types}  # prefix -> probability of a beginning at its end
    for clause in written:
        for place, tag in enumerate(clause.tags, start=1):
            seen[clause.classes[:place]] += clause.chance
            if tag[0] == "B" and tag[2:] in begun:
                begun[tag[2:]][clause.classes[:place]] += clause.chance
    num_spans = sum(sum(chances.values()) for chances in begun.values())
    pairs = [(max(chances[left] for chances in begun.values()), seen[left]) for left in seen]
    best = num_right = num_predicted = 0.0
    for right, all_ in sorted(pairs, key=lambda pair: -pair[0] / pair[1]):
        num_right, num_predicted = num_right + right, num_predicted + all_
        best = max(best, 2 * num_right / (num_predicted + num_spans))
    return best
