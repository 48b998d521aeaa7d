"""The grammar of the built-in corpus, in the manner of Elman (1991).

Elman, "Distributed representations, simple recurrent networks, and grammatical structure", Machine
Learning 7. A verb agrees in number with its subject, and relative clauses can stand between them:
"the boys who the girl sees chase dogs". All probabilities are known, so the lowest perplexity that
any model can reach is known too.

    S  -> NP[n] VP[n]                     n is singular or plural
    NP -> Name | Det (Adj) N (RC)         names are singular
    RC -> who VP[n] | who NP[m] Vt[m]     n is the number of the noun that the clause describes
    VP -> Vi[n] (Adv) | Vt[n] NP
"""

from functools import cache
from typing import NamedTuple, TypeAlias

_NOUNS = """
boy girl dog cat king queen doctor nurse teacher student farmer singer dancer painter writer
poet lawyer pilot sailor soldier baker hunter driver runner swimmer player friend neighbour
stranger visitor uncle cousin brother sister prince bishop judge clerk tailor barber butcher
plumber gardener cleaner editor reporter actor author scholar senator mayor banker trader robber
thief/thieves wolf/wolves mouse/mice goose/geese child/children man/men woman/women horse cow
sheepdog rabbit lion tiger bear eagle
"""
_NAMES = """
John Mary Peter Anna Paul Julia David Laura Simon Clara Martin Helen Oscar Nina Victor Alice
Hugo Emma Felix Rosa Bruno Ida Conrad Vera Edgar Olga
"""
_TRANSITIVE = """
see chase feed hear like love hate know help follow visit admire fear trust blame call thank
praise kick push pull hug greet invite ignore avoid find meet hire fool tease warn obey serve
defend protect teach/teaches watch/watches catch/catches miss/misses kiss/kisses envy/envies
carry/carries bury/buries
"""
_INTRANSITIVE = """
walk run sleep sing dance laugh smile swim live work wait arrive leave rest fall jump sneeze
snore shout whisper complain travel dream listen disappear wander cough/coughs march/marches
blush/blushes cry/cries worry/worries vanish/vanishes
"""
_ADJECTIVES = """
old young tall small big quiet loud happy sad clever foolish brave shy kind cruel rich poor
proud lazy busy hungry tired famous strange angry polite
"""
_ADVERBS = """
often rarely today slowly quickly loudly quietly happily sadly always never sometimes again
alone outside everywhere here there
"""

SINGULAR, PLURAL = "singular", "plural"
# Of 100 nouns inside 0, 1, 2, 3 relative clauses, the number with a relative clause of their own.
_CLAUSES = (50, 45, 30, 0)


class Symbol(NamedTuple):
    """A nonterminal of the grammar."""

    kind: str  # such as "NP"; parts of speech are nonterminals too
    number: str = ""  # "singular", "plural", or "" for symbols without number
    depth: int = 0  # number of relative clauses around it


Rule: TypeAlias = tuple[int, tuple[Symbol | str, ...]]
"""The weight and the right-hand side of a rule."""
START = Symbol("S")


@cache
def rules(symbol: Symbol) -> tuple[Rule, ...]:
    """Returns the rules of a symbol; weights of one symbol may have any sum."""
    kind, number, depth = symbol
    if kind == "S":
        return tuple((1, (Symbol("NP", n), Symbol("VP", n))) for n in (SINGULAR, PLURAL))
    if kind == "NP":
        return _noun_phrases(number, depth)
    if kind == "RC":
        objects = [(Symbol("NP", n, depth), Symbol("Vt", n)) for n in (SINGULAR, PLURAL)]
        return (
            (2, ("who", Symbol("VP", number, depth))),
            *((1, ("who", *parts)) for parts in objects),
        )
    if kind == "VP":
        objects = [(Symbol("Vt", number), Symbol("NP", n, depth)) for n in (SINGULAR, PLURAL)]
        intransitive = Symbol("Vi", number)
        return (
            (3, (intransitive,)),
            (2, (intransitive, Symbol("Adv"))),
            *((2, parts) for parts in objects),
        )
    return _words(kind, number)


def _noun_phrases(number: str, depth: int) -> tuple[Rule, ...]:
    determiner, noun = Symbol("Det", number), Symbol("N", number)
    clause, adjective = Symbol("RC", number, depth + 1), Symbol("Adj")
    with_clause = _CLAUSES[depth]
    choices: list[Rule] = []
    for share, phrase in ((7, (determiner, noun)), (3, (determiner, adjective, noun))):
        choices.append((share * (100 - with_clause), phrase))
        if with_clause:
            choices.append((share * with_clause, (*phrase, clause)))
    if number == SINGULAR:
        choices.append((250, (Symbol("Name"),)))
    return tuple(choices)


def _words(kind: str, number: str) -> tuple[Rule, ...]:
    """Returns the words of a part of speech, with frequencies that fall as in Zipf's law."""
    if kind == "Det":
        return ((6, ("the",)), *((2, (word,)) for word in _DETERMINERS[number]))
    return tuple((2000 // (rank + 10), (word,)) for rank, word in enumerate(_LEXICON[kind, number]))


_DETERMINERS = {SINGULAR: ("this", "every"), PLURAL: ("these", "many")}


def _forms(table: str) -> tuple[list[str], list[str]]:
    """Returns the words as written, and with the ending -s or the form after the slash."""
    pairs = [entry.split("/") if "/" in entry else [entry, entry + "s"] for entry in table.split()]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _lexicon() -> dict[tuple[str, str], list[str]]:
    lexicon = {
        ("Name", ""): _NAMES.split(),
        ("Adj", ""): _ADJECTIVES.split(),
        ("Adv", ""): _ADVERBS.split(),
    }
    lexicon["N", SINGULAR], lexicon["N", PLURAL] = _forms(_NOUNS)
    for kind, verbs in (("Vt", _TRANSITIVE), ("Vi", _INTRANSITIVE)):
        lexicon[kind, PLURAL], lexicon[kind, SINGULAR] = _forms(verbs)
    return lexicon


_LEXICON = _lexicon()


def other_verb_forms() -> dict[str, str]:
    """Returns singular verb form -> plural form, and the reverse."""
    forms = {}
    for kind in ("Vt", "Vi"):
        for singular, plural in zip(_LEXICON[kind, SINGULAR], _LEXICON[kind, PLURAL], strict=True):
            forms[singular], forms[plural] = plural, singular
    return forms


def noun_numbers() -> dict[str, str]:
    """Returns noun or name -> "singular" or "plural"."""
    plural = dict.fromkeys(_LEXICON["N", PLURAL], PLURAL)
    return plural | dict.fromkeys([*_LEXICON["N", SINGULAR], *_LEXICON["Name", ""]], SINGULAR)
