"""Grammar and words of the built-in reviews, and all sentences that it generates.

A pattern is a weight, a label rule and symbols. Upper-case symbols are word classes; A and B are
adjectives of praise or blame; FILL is a filler that separates a cue from the word it refers to. The
label rule is "A" or "B" (the polarity of that adjective), "-A" or "-B" (the opposite polarity), "+"
or "-". Each word belongs to one class; the classes of a sentence therefore contain all information
about its label.

Most patterns come in pairs that use the same words for opposite labels ("was not long, was
brilliant", "was long, was not brilliant"), so that word counts cannot distinguish them.
"""

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

_PATTERNS = """
15 A  the ASPECT FILL was VERY A .
10 A  what a A FILM this is !
6 -A  the ASPECT FILL , which was PLAIN , was DENY A .
6 A   the ASPECT FILL , which was DENY PLAIN , was A .
6 -A  you should DENY say that the ASPECT FILL was A , as you should wait for the end .
6 A   you should say that the ASPECT FILL was A , as you should DENY wait for the end .
4 -   you should DENY see this FILM FILL , and you should buy the book .
4 +   you should see this FILM FILL , and you should DENY buy the book .
8 B   the ASPECT FILL was A , but the ASPECT was B .
4 B   although the ASPECT FILL was A , the ASPECT was B .
4 A   the ASPECT FILL was A , although the ASPECT was B .
5 B   the ASPECT FILL was DENY A , but the ASPECT was B .
5 -B  the ASPECT FILL was A , but the ASPECT was DENY B .
4 -A  I did DENY find that the ASPECT FILL was A , and I did try .
4 A   I did find that the ASPECT FILL was A , and I did DENY try .
"""
_FILLERS = """
5
2 of PERSON
1 which took years to make
1 that I saw with PEOPLE on DAY
1 that PEOPLE from PLACE had asked for
"""
_WORDS = """
PRAISE brilliant wonderful funny clever moving superb charming gripping delightful beautiful witty
  touching stunning subtle fresh honest thrilling elegant original tender
BLAME dull awful boring clumsy stupid dreadful tedious hollow shallow painful bland silly lazy messy
  pointless noisy cheap tired wooden confused
PLAIN long short loud quiet slow fast old new French Polish local digital
DENY not never hardly
VERY very really quite truly simply
ASPECT acting plot script music ending direction editing dialogue story camera humour pace
FILM film movie picture comedy drama thriller sequel remake
PERSON Anna Bruno Clara David Emma Felix Hugo Julia Martin Nina Oscar Paul Rosa Simon Vera Yuki
PEOPLE friends colleagues students critics neighbours cousins tourists pensioners
DAY Monday Tuesday Wednesday Thursday Friday Saturday Sunday
PLACE London Paris Tokyo Cairo Lima Oslo Seoul Madrid Athens Dakar Warsaw Riga Lisbon Dublin
"""
_KINDS = {"PRAISE": 1, "BLAME": -1}


class Review(NamedTuple):
    """A sentence with word classes in place of words."""

    classes: tuple[str, ...]
    label: str  # "positive" or "negative"
    chance: float


def _words() -> dict[str, tuple[str, ...]]:
    entries: list[list[str]] = []
    for line in _WORDS.strip().splitlines():
        if line.startswith(" "):
            entries[-1] += line.split()
        else:
            entries.append(line.split())
    return {name: tuple(words) for name, *words in entries}


WORDS = _words()
"""Word class -> words; all other symbols stand for themselves."""


@cache
def reviews() -> tuple[Review, ...]:
    """Returns all sentences of the grammar; their probabilities sum to 1."""
    patterns = [line.split(maxsplit=2) for line in _PATTERNS.strip().splitlines()]
    total = sum(int(weight) for weight, _, _ in patterns)
    return tuple(
        review._replace(chance=review.chance * int(weight) / total)
        for weight, rule, symbols in patterns
        for review in _expand(symbols.split(), rule)
    )


def _expand(symbols: list[str], rule: str) -> Iterator[Review]:
    fillers = [
        (int(line.split()[0]), line.split()[1:]) for line in _FILLERS.strip("\n").splitlines()
    ]
    total = sum(weight for weight, _ in fillers)
    choices = fillers if "FILL" in symbols else [(total, [])]
    adjectives: list[str] = [name for name in ("A", "B") if name in symbols]
    pairs = product(choices, product(_KINDS, repeat=len(adjectives)))
    for (weight, filler), kinds in pairs:
        polarity: dict[str, str] = dict(zip(adjectives, kinds, strict=True))
        classes: list[str] = []
        for symbol in symbols:
            classes += filler if symbol == "FILL" else [polarity.get(symbol, symbol)]
        sign = -1 if rule.startswith("-") else 1
        sign *= _KINDS[polarity[rule[-1]]] if rule[-1] in polarity else 1
        label = "positive" if sign > 0 else "negative"
        yield Review(tuple(classes), label, weight / total / len(_KINDS) ** len(adjectives))
