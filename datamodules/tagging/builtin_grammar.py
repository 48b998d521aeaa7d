"""Grammar and words of the built-in opinion corpus, and all clauses that it generates.

A rule is a symbol followed by its expansions, one per line, each with a weight. Upper-case names
are symbols or word classes. Brackets mark a span: its type, then word classes and words. Each word
belongs to one class, and a word written in the grammar forms its own class; the classes of a
sentence therefore contain all information about its tags.
"""

from collections.abc import Iterator
from functools import cache
from itertools import accumulate, product
from math import prod
from typing import NamedTuple

_GRAMMAR = """
CLAUSE
  12 SOURCE [DSE SAY] WHEN that OPINION
  18 SOURCE SAY WHEN that FACT
  5 [DSE according to] SOURCE , OPINION
  7 according to SOURCE , FACT
  8 SOURCE [DSE SEE] THING as [ESE a SCORN]
  12 SOURCE SEE THING in PLACE
  6 SOURCE [DSE GIVE POSS FULL SUPPORT] to THING
  8 SOURCE GIVE POSS FULL PASSPORT to the MINISTER
  5 SOURCE [DSE HOW CONDEMN] THING
  7 SOURCE HOW CLOSE THING
  4 SOURCE [DSE took a DIRECT SWIPE at] THING
  6 SOURCE took a DIRECT FLIGHT to PLACE
  6 SOURCE NOTICE the [ESE BITTER] REACTION of PEOPLE
  8 SOURCE NOTICE the BITTER WATER of PLACE
  3 the REACTION AFTER was [ESE BITTER]
  3 the WATER AFTER was BITTER
  3 the REACTION to the WATER was [ESE BITTER]
  3 the WATER after the REACTION was BITTER
  4 OPINION
  6 FACT
OPINION
  2 THING was [ESE a SCORN]
  1 THING was [ESE a BIG SCORN]
  2 THING was [ESE far from PERFECT]
  2 THING was [ESE not PERFECT]
  2 THING was [ESE VERY ABSURD]
  1 THING was [ESE ABSURD]
FACT
  2 THING was a DRAFT
  1 THING was a BIG DRAFT
  2 THING was far from PLACE
  2 THING was not READY
  2 THING was VERY READY
  1 THING BEGAN on DAY
SOURCE
  3 FIRST NAME
  2 Mr. NAME
  2 the MINISTER
  2 the MINISTER of PLACE
  2 PEOPLE in PLACE
  1 the MINISTER who MET PEOPLE on DAY
THING
  5 the PLAN
  3 the NATIONAL PLAN
  2 the PLAN of PEOPLE
  1 the PLAN which PEOPLE SIGNED on DAY
WHEN
  4
  2 on DAY
  2 in PLACE
  1 after the TALKS
  1 on DAY in PLACE
AFTER
  1
  1 in PLACE
  1 after the TALKS in PLACE
"""
# Word class, part of speech, and words by decreasing frequency.
_WORDS = """
SAY VBD said noted added stated announced wrote declared remarked repeated explained reported
SEE VBD saw viewed regarded described portrayed treated presented pictured depicted
GIVE VBD gave lent offered sent handed granted showed extended
CONDEMN VBD condemned criticized praised denounced rejected welcomed attacked defended applauded
  deplored endorsed mocked
CLOSE VBD closed printed opened copied amended dated filed delivered discussed renamed published
NOTICE VBD noticed mentioned recorded filmed watched observed
MET VBD met interviewed briefed joined phoned visited
SIGNED VBD signed read received reviewed studied
BEGAN VBD began ended resumed started continued
HOW RB strongly sharply quickly publicly openly formally firmly repeatedly suddenly
VERY RB completely totally entirely wholly fully
POSS PRP$ his her their its
FULL JJ full whole first entire last personal
SUPPORT NN support sympathy backing approval gratitude solidarity praise admiration thanks
PASSPORT NN passport luggage address ticket notebook photograph diary schedule key archive
DIRECT JJ direct late long short brief rare double quick
SWIPE NN swipe jab dig poke potshot thrust
FLIGHT NN flight train bus ferry boat tram taxi coach
SCORN NN disaster farce threat mockery triumph disgrace joke failure success sham tragedy scandal
  mistake miracle victory betrayal humiliation nightmare masterpiece provocation crime
DRAFT NN draft text booklet memo map list letter copy manuscript sketch paper pamphlet dossier
  bulletin circular summary brochure leaflet
BIG JJ big real small great second
PERFECT JJ fair perfect honest credible wise convincing legitimate reasonable serious acceptable
  sincere helpful impressive
ABSURD JJ absurd shameful ridiculous outrageous brilliant appalling wonderful hypocritical
  unacceptable admirable pathetic scandalous cynical magnificent
READY JJ ready complete public available valid final official printable visible finished local
BITTER JJ bitter warm cool sharp dry icy sour soft rough dark heavy bright cold
REACTION NN reaction reply tone welcome answer mood response attitude comment rebuke
WATER NN water coffee wind ground river soil bread beer weather tea sand rain
PLAN NN plan report treaty vote decision law summit project proposal budget agreement policy reform
  programme inquiry tribunal accord deal mission verdict resolution measure campaign statement
  election boycott embargo referendum
NATIONAL JJ national new regional military economic nuclear federal foreign provincial interim
TALKS NNS talks meetings ceremonies sessions hearings conferences
MINISTER NN minister president spokesman ambassador chairman general mayor governor judge senator
  secretary director
PEOPLE NNS officials voters critics lawmakers observers diplomats journalists farmers workers
  students protesters soldiers
DAY NNP Monday Tuesday Wednesday Thursday Friday Saturday Sunday
FIRST NNP John Mary Ahmed Anna Paul Julia David Fatima Simon Clara Martin Helen Oscar Nina Victor
  Alice Hugo Emma Felix Rosa Bruno Ida Conrad Vera Edgar Olga Ivan Leila Pedro Yuki
PLACE NNP Cairo Geneva Tokyo London Moscow Harare Caracas Beijing Paris Havana Ottawa Jakarta Tehran
  Lima Oslo Nairobi Seoul Madrid Athens Dakar Quito Kabul Lagos Vienna Warsaw Riga Sofia Tunis
  Manila Bogota Prague Lisbon Dublin Helsinki Lusaka Maputo Kampala Montevideo Brasilia Ankara
LINK CC while but and whereas
"""
# Parts of speech of the words that the grammar contains literally.
_SPELLED = """
DT the a
IN that as from in on of at after according
TO to
RB far not
VBD was took
WDT which
WP who
NNP Mr.
, ,
. .
"""
_NAMES = (  # starts and ends combine freely: some names of the test split are new
    "Kar Mor Bel Tor Lan Ves Hal Dor Sal Rem Gal Nor Fen Mar Pel Zan Bor Ter Vol Ril Hav Cos Lem"
    " Sut Wil Rad Jan Bak",
    "son ov ez wick ama ius berg ara ton eau ido ski ura well ent ani ing ard een oux",
)


class Clause(NamedTuple):
    """A clause with word classes in place of words."""

    chance: float
    classes: tuple[str, ...]
    tags: tuple[str, ...]  # BIO


class WordClass(NamedTuple):
    """Words that are interchangeable in the grammar."""

    pos: str
    words: list[str]
    bounds: list[int]  # cumulative integer frequencies of the words


@cache
def clauses(symbol: str = "CLAUSE") -> tuple[Clause, ...]:
    """Returns all expansions of a symbol, class or word; their probabilities sum to 1."""
    expansions = _rules().get(symbol)
    if expansions is None:
        return (Clause(1.0, (symbol,), ("O",)),)
    total = sum(weight for weight, _ in expansions)
    return tuple(
        clause._replace(chance=clause.chance * weight / total)
        for weight, parts in expansions
        for clause in _expand(parts)
    )


def _expand(parts: list[str]) -> Iterator[Clause]:
    names: list[str] = []
    tags: list[str] = []
    tag = "O"
    for part in parts:
        if part.startswith("["):
            tag = f"B-{part[1:]}"
            continue
        names.append(part.rstrip("]"))
        tags.append(tag)
        tag = "O" if part.endswith("]") else tag.replace("B-", "I-")
    for chosen in product(*map(clauses, names)):
        written = [
            pair
            for tag, clause in zip(tags, chosen, strict=True)
            for pair in zip(clause.classes, clause.tags if tag == "O" else (tag,), strict=True)
        ]
        yield Clause(
            prod(clause.chance for clause in chosen),
            tuple(name for name, _ in written),
            tuple(tag for _, tag in written),
        )


@cache
def _rules() -> dict[str, list[tuple[int, list[str]]]]:
    rules: dict[str, list[tuple[int, list[str]]]] = {}
    expansions: list[tuple[int, list[str]]] = []
    for line in _GRAMMAR.strip().splitlines():
        if line.startswith(" "):
            weight, *parts = line.split()
            expansions.append((int(weight), parts))
        else:
            expansions = rules[line] = []
    return rules


def _lexicon() -> dict[str, WordClass]:
    entries = [line.split() for line in _WORDS.strip().replace("\n  ", " ").splitlines()]
    starts, ends = (half.split() for half in _NAMES)
    entries.append(["NAME", "NNP", *(start + end for end in ends for start in starts)])
    for pos, *words in map(str.split, _SPELLED.strip().splitlines()):
        entries.extend([word, pos, word] for word in words)
    return {
        name: WordClass(pos, words, list(accumulate(2000 // (i + 10) for i in range(len(words)))))
        for name, pos, *words in entries
    }


LEXICON = _lexicon()
"""Word class -> words, with frequencies that follow Zipf's law."""
