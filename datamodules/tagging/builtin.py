"""The built-in opinion corpus: news-like sentences of a small grammar, tagged as MPQA is.

Wiebe, Wilson and Cardie, "Annotating expressions of opinions and emotions in language", Language
Resources and Evaluation 39 (2005), tell direct subjective expressions (DSE: "said", where what was
said is an opinion) from expressive ones (ESE: "far from perfect"). Here as there most spans are
decided by words to their right: "said on Monday that the plan was a draft" reports a fact, "said on
Monday that the plan was a disaster" an opinion. Others are decided on the left: a reply is bitter
in another sense than coffee. Each sentence has one tagging only, so that a network that reads both
ways can be right everywhere; how well one can do that has not read on is `left_to_right_bound`.
"""

from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path
from random import Random

from datamodules.batching.sentences import Sentence, Source, TaggedCorpus
from datamodules.files.cache import cached, sha256_of
from datamodules.tagging import builtin_grammar as opinion_grammar
from datamodules.tagging.builtin_grammar import LEXICON, Clause, clauses
from datamodules.tagging.columns import Columns
from pipeline.errors import InputError

_SEEDS = {"train": 1, "valid": 2, "test": 3}
_NUM_HELD_OUT = 500  # sentences of the validation and the test split
_LINKED = 0.3  # share of sentences that have two clauses


class BuiltinOpinions(Source):
    """Writes the corpus into the cache and reads it: DSE and ESE, with the column `pos`.

    Args:
        num_train: sentences to train with; fewer are the first ones of more. 500 validate and 500
            test.

    Raises:
        InputError: `num_train` is below 1.
    """

    name = "builtin"

    def __init__(self, num_train: int = 3000) -> None:
        if num_train < 1:
            raise InputError(f"num_train is {num_train}; 1 or more is expected")
        self._sizes = {"train": num_train, "valid": _NUM_HELD_OUT, "test": _NUM_HELD_OUT}

    def read(self) -> TaggedCorpus:
        """See `Source`."""
        sums = [sha256_of(Path(module)) for module in (__file__, opinion_grammar.__file__)]
        version = "-".join(digest[:16] for digest in sums)  # what is written otherwise is elsewhere
        folder = cached(f"opinions-{self._sizes['train']}-{version}", self._write)
        return Columns(str(folder), features={"pos": 1}, separator="tab").read()

    def _write(self, folder: Path) -> None:
        for split, count in self._sizes.items():
            with (folder / f"{split}.txt").open("w", encoding="utf-8", newline="\n") as file:
                for sentence in generate_opinions(_SEEDS[split], count):
                    rows = zip(sentence.tokens, sentence.columns[0], sentence.tags, strict=True)
                    file.writelines("\t".join(row) + "\n" for row in rows)
                    file.write("\n")


def generate_opinions(seed: int, count: int) -> Iterator[Sentence]:
    """Writes sentences, the same on every machine and version of Python.

    Args:
        seed: of the choices.
        count: sentences to write.

    Yields:
        A sentence; its one column holds parts of speech.
    """
    random = Random(seed)  # noqa: S311 - not for secrets; random() alone is used, which never changes
    for _ in range(count):
        yield _sentence(random)


def left_to_right_bound() -> dict[str, float]:
    """Gives the F1 that no tagger can exceed on a long text if it has not read on.

    Such a tagger decides whether a span begins at a word from the words up to it. The chance that
    one does is known for each beginning of a clause, and F1 is highest if spans begin wherever it
    exceeds some threshold; all ends and the types are taken to be right. What comes before a clause
    says nothing of it.

    Returns:
        The bound in percent, for "DSE", "ESE" and, of both together, "micro".
    """
    return {
        name: 100 * _best_f1(clauses(), types)
        for name, types in (("DSE", ("DSE",)), ("ESE", ("ESE",)), ("micro", ("DSE", "ESE")))
    }


def _sentence(random: Random) -> Sentence:
    clause = _draw(random)
    classes, tags = clause.classes, clause.tags
    if random.random() < _LINKED:
        other = _draw(random)
        classes, tags = (*classes, ",", "LINK", *other.classes), (*tags, "O", "O", *other.tags)
    kinds = [LEXICON[name] for name in (*classes, ".")]
    words = [
        kind.words[bisect(kind.bounds, int(random.random() * kind.bounds[-1]))] for kind in kinds
    ]
    tokens = (words[0][0].upper() + words[0][1:], *words[1:])
    return Sentence(tokens, (*tags, "O"), (tuple(kind.pos for kind in kinds),))


def _draw(random: Random) -> Clause:
    bounds = _bounds()
    return clauses()[bisect(bounds, random.random() * bounds[-1], hi=len(bounds) - 1)]


@cache
def _bounds() -> list[float]:
    return list(accumulate(clause.chance for clause in clauses()))


def _best_f1(written: Iterable[Clause], types: tuple[str, ...]) -> float:
    seen: dict[tuple[str, ...], float] = defaultdict(float)
    begun = {name: seen.copy() for name in types}  # beginning of a clause -> chance of a span there
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
