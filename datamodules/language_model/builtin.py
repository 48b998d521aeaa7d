"""The built-in corpus: sentences of a small grammar, in the manner of Elman (1991).

Elman, "Distributed representations, simple recurrent networks, and grammatical structure", Machine
Learning 7. A verb agrees in number with its subject, and relative clauses stand between the two:
"the boys who the girl sees chase dogs". A model that remembers the subject's number over them
predicts the verb better, so long memory is rewarded, and `agreements` measures it. The grammar is
known, so the best perplexity that any model can have is known too.

    S  -> NP[n] VP[n]                     n is singular or plural
    NP -> Name | Det (Adj) N (RC)         names are singular
    RC -> who VP[n] | who NP[m] Vt[m]     n is the number of the noun that the clause describes
    VP -> Vi[n] (Adv) | Vt[n] NP
"""

import math
from bisect import bisect
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import NamedTuple

from datamodules.files.cache import cached, sha256_of

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
_LENGTHS = {"train": (1, 20_000), "valid": (2, 2_000), "test": (3, 2_000)}  # seed, sentences
_CLAUSES = (50, 45, 30, 0)  # of 100 nouns in 0, 1, 2, 3 clauses, those with a clause of their own


class _Symbol(NamedTuple):
    kind: str
    number: str = ""
    depth: int = 0


_Choice = tuple[int, tuple[_Symbol | str, ...]]  # weight, what is written
_START = _Symbol("S")


class Agreement(NamedTuple):
    """A verb and the subject that it agrees with.

    Attributes:
        words: the sentence, without `<eos>`.
        verb: the verb's position.
        subject: the position of the subject's noun or name.
        number: "singular" or "plural".
        attractors: nouns of the other number between the two (Linzen et al. 2016,
            arXiv:1611.01368).
        wrong: the verb in the other number, which makes the sentence ungrammatical.
    """

    words: tuple[str, ...]
    verb: int
    subject: int
    number: str
    attractors: int
    wrong: str


class _Sentence(NamedTuple):
    words: list[str]
    subjects: dict[int, int]  # verb -> subject, positions
    surprisals: list[float]  # of the choices made, in nats


def generate_sentences(seed: int, count: int) -> Iterator[list[str]]:
    """Writes sentences, the same on every machine and version of Python.

    Args:
        seed: of the choices.
        count: sentences to write.

    Yields:
        The words of a sentence, without `<eos>`.
    """
    for sentence in _generate(seed, count):
        yield sentence.words


def agreements(seed: int, count: int) -> Iterator[Agreement]:
    """Gives each verb of the sentences of `generate_sentences` with its subject.

    A model that prefers the verb to `wrong`, after the words before it, has kept the subject's
    number in mind.

    Args:
        seed: of the choices.
        count: sentences to write.

    Yields:
        The verbs, in order of their subjects' sentences and of their positions.
    """
    forms, numbers = _other_verb_forms(), _numbers()
    for sentence in _generate(seed, count):
        words = tuple(sentence.words)
        for verb, subject in sorted(sentence.subjects.items()):
            number = numbers[words[subject]]
            between = [numbers[word] for word in words[subject + 1 : verb] if word in numbers]
            attractors = sum(other != number for other in between)
            yield Agreement(words, verb, subject, number, attractors, forms[words[verb]])


def perplexity_floor() -> float:
    """Gives the perplexity of the grammar itself, the lowest that any model can have.

    Every sentence has exactly one derivation, so this is the entropy of the text, not only a bound;
    `<eos>` is counted. A finite text differs from it by chance (the test text of 2,000 sentences by
    about 1 %).
    """
    entropy, length = _moments(_START)
    return math.exp(entropy / (length + 1))


def builtin_folder() -> Path:
    """Gives a folder of the cache with the corpus as train.txt, valid.txt and test.txt."""
    grammar = sha256_of(Path(__file__))[:32]  # a changed grammar is another entry
    return cached(f"builtin-{grammar}", _write)


def _write(folder: Path) -> None:
    for split, (seed, count) in _LENGTHS.items():
        with (folder / f"{split}.txt").open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(" ".join(words) + "\n" for words in generate_sentences(seed, count))


def _generate(seed: int, count: int) -> Iterator[_Sentence]:
    random = Random(seed)  # noqa: S311 - not for secrets; random() alone is used, which never changes
    for _ in range(count):
        sentence = _Sentence([], {}, [])
        _expand(_START, random, sentence, subject=-1)
        yield sentence


def _expand(symbol: _Symbol, random: Random, sentence: _Sentence, subject: int) -> int:
    """Writes a symbol; returns the position of its noun where it has one.

    The verbs of a phrase agree with the noun before them in the same phrase, else with the phrase's
    own `subject`.
    """
    choices, bounds = _choices(symbol), _bounds(symbol)
    weight, children = choices[bisect(bounds, int(random.random() * bounds[-1]))]
    sentence.surprisals.append(math.log(bounds[-1] / weight))
    for child in children:
        if isinstance(child, str):
            sentence.words.append(child)
        else:
            head = _expand(child, random, sentence, subject)
            subject = head if child.kind in ("NP", "N", "Name") else subject
    position = len(sentence.words) - 1
    if symbol.kind in ("Vi", "Vt"):
        sentence.subjects[position] = subject
    return position if symbol.kind in ("N", "Name") else subject


@cache
def _bounds(symbol: _Symbol) -> list[int]:
    return list(accumulate(weight for weight, _ in _choices(symbol)))


@cache
def _moments(symbol: _Symbol | str) -> tuple[float, float]:
    """Gives the entropy in nats and the mean number of words; as clauses end, recursion does."""
    if isinstance(symbol, str):
        return 0.0, 1.0
    total = _bounds(symbol)[-1]
    entropy = length = 0.0
    for weight, children in _choices(symbol):
        below = [_moments(child) for child in children]
        entropy += weight / total * (math.log(total / weight) + sum(part[0] for part in below))
        length += weight / total * sum(part[1] for part in below)
    return entropy, length


@cache
def _choices(symbol: _Symbol) -> tuple[_Choice, ...]:
    """Gives the right-hand sides of a symbol with their weights, out of any total."""
    kind, number, depth = symbol
    if kind == "S":
        return tuple((1, (_Symbol("NP", n), _Symbol("VP", n))) for n in (SINGULAR, PLURAL))
    if kind == "NP":
        return _noun_phrases(number, depth)
    if kind == "RC":
        objects = [(_Symbol("NP", n, depth), _Symbol("Vt", n)) for n in (SINGULAR, PLURAL)]
        return (
            (2, ("who", _Symbol("VP", number, depth))),
            *((1, ("who", *parts)) for parts in objects),
        )
    if kind == "VP":
        objects = [(_Symbol("Vt", number), _Symbol("NP", n, depth)) for n in (SINGULAR, PLURAL)]
        intransitive = _Symbol("Vi", number)
        return (
            (3, (intransitive,)),
            (2, (intransitive, _Symbol("Adv"))),
            *((2, parts) for parts in objects),
        )
    return _words(kind, number)


def _noun_phrases(number: str, depth: int) -> tuple[_Choice, ...]:
    determiner, noun = _Symbol("Det", number), _Symbol("N", number)
    clause, adjective = _Symbol("RC", number, depth + 1), _Symbol("Adj")
    with_clause = _CLAUSES[depth]
    choices: list[_Choice] = []
    for share, phrase in ((7, (determiner, noun)), (3, (determiner, adjective, noun))):
        choices.append((share * (100 - with_clause), phrase))
        if with_clause:
            choices.append((share * with_clause, (*phrase, clause)))
    if number == SINGULAR:
        choices.append((250, (_Symbol("Name"),)))
    return tuple(choices)


def _words(kind: str, number: str) -> tuple[_Choice, ...]:
    """Gives the words of a kind, the first ones more frequent, as in Zipf's law."""
    if kind == "Det":
        return ((6, ("the",)), *((2, (word,)) for word in _DETERMINERS[number]))
    return tuple((2000 // (rank + 10), (word,)) for rank, word in enumerate(_LEXICON[kind, number]))


_DETERMINERS = {SINGULAR: ("this", "every"), PLURAL: ("these", "many")}


def _forms(table: str) -> tuple[list[str], list[str]]:
    """Gives the words as written and with the ending -s, or as told after a slash."""
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


def _other_verb_forms() -> dict[str, str]:
    forms = {}
    for kind in ("Vt", "Vi"):
        for singular, plural in zip(_LEXICON[kind, SINGULAR], _LEXICON[kind, PLURAL], strict=True):
            forms[singular], forms[plural] = plural, singular
    return forms


def _numbers() -> dict[str, str]:
    plural = dict.fromkeys(_LEXICON["N", PLURAL], PLURAL)
    return plural | dict.fromkeys([*_LEXICON["N", SINGULAR], *_LEXICON["Name", ""]], SINGULAR)
