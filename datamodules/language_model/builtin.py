"""The built-in corpus: sentences drawn from a small grammar with number agreement."""

import math
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import NamedTuple

from datamodules.language_model import builtin_grammar
from datamodules.language_model.builtin_grammar import (
    START,
    Symbol,
    noun_numbers,
    other_verb_forms,
    rules,
)
from pipeline.cache import cached, sha256_of
from pipeline.errors import InputError

PROBE_SEED = 4  # a seed that no split of the corpus has
_MAX_PROBE_SENTENCES = 500_000
_LENGTHS = {"train": (1, 20_000), "valid": (2, 2_000), "test": (3, 2_000)}  # seed, sentences


class Agreement(NamedTuple):
    """A verb and the subject that it agrees with."""

    words: tuple[str, ...]  # without `<eos>`
    verb: int  # position
    subject: int  # position of its noun or name
    number: str  # of both, "singular" or "plural"
    attractors: int  # nouns of the other number between them (Linzen et al. 2016, arXiv 1611.01368)
    wrong: str  # the verb in the other number, which makes the sentence ungrammatical


class _Sentence(NamedTuple):
    words: list[str]
    subjects: dict[int, int]  # position of a verb -> position of its subject
    surprisals: list[float]  # of each applied rule, in nats


def generate_sentences(seed: int, count: int) -> Iterator[list[str]]:
    """Yields the words of sentences, without `<eos>`, identical on every machine."""
    for sentence in _generate(seed, count):
        yield sentence.words


def agreements(seed: int, count: int) -> Iterator[Agreement]:
    """Yields the verbs of the sentences of `generate_sentences` with their subjects, in order.

    A model that assigns the verb a higher probability than `wrong` has stored the subject's number.
    """
    forms, numbers = other_verb_forms(), noun_numbers()
    for sentence in _generate(seed, count):
        words = tuple(sentence.words)
        for verb, subject in sorted(sentence.subjects.items()):
            number = numbers[words[subject]]
            between = [numbers[word] for word in words[subject + 1 : verb] if word in numbers]
            attractors = sum(other != number for other in between)
            yield Agreement(words, verb, subject, number, attractors, forms[words[verb]])


def agreement_probe(starts: Sequence[int], per_range: int) -> list[Agreement]:
    """Draws `per_range` verbs from each range of distances between subject and verb.

    `starts` are the smallest distances of the ranges, ascending from 0; the last range is
    unbounded. Distances and attractors within a range are distributed as in the grammar. The random
    seed differs from those of the corpus, but short sentences may occur in both. Raises
    `InputError` if the grammar generates too few verbs of a range.
    """
    counts, found = Counter[int](), list[Agreement]()
    for one in agreements(PROBE_SEED, _MAX_PROBE_SENTENCES):
        start = max(start for start in starts if start < one.verb - one.subject)
        if counts[start] < per_range:
            counts[start] += 1
            found.append(one)
            if len(found) == per_range * len(starts):
                return found
    raise InputError(
        f"{_MAX_PROBE_SENTENCES:,} sentences of the grammar contain fewer than {per_range} verbs "
        "of some range of distances; request fewer verbs"
    )


def perplexity_floor() -> float:
    """Returns the perplexity of the grammar, the lowest that any model can reach.

    Every sentence has exactly one derivation, so this is the exact entropy of the text, not only a
    bound; `<eos>` is counted. A finite text deviates from it randomly (the test text of 2,000
    sentences by about 1 %).
    """
    entropy, length = _moments(START)
    return math.exp(entropy / (length + 1))


def builtin_folder() -> Path:
    """Returns a cached folder that holds the corpus as train.txt, valid.txt and test.txt."""
    # The source code is part of the key, so that a changed grammar is generated again.
    sources = (Path(__file__), Path(builtin_grammar.__file__))
    return cached("builtin-" + "-".join(sha256_of(path)[:16] for path in sources), _write, Path)


def _write(folder: Path) -> None:
    for split, (seed, count) in _LENGTHS.items():
        with (folder / f"{split}.txt").open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(" ".join(words) + "\n" for words in generate_sentences(seed, count))


def _generate(seed: int, count: int) -> Iterator[_Sentence]:
    random = Random(seed)  # noqa: S311 - only random() is used, which is stable across versions
    for _ in range(count):
        sentence = _Sentence([], {}, [])
        _expand(START, random, sentence, subject=-1)
        yield sentence


def _expand(symbol: Symbol, random: Random, sentence: _Sentence, subject: int) -> int:
    """Expands a symbol into words; returns the position of its noun, else `subject`.

    A verb agrees with the noun before it in the same phrase, else with the `subject` of the phrase.
    """
    bounds = _bounds(symbol)
    weight, children = rules(symbol)[bisect(bounds, int(random.random() * bounds[-1]))]
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
def _bounds(symbol: Symbol) -> list[int]:
    return list(accumulate(weight for weight, _ in rules(symbol)))


@cache
def _moments(symbol: Symbol | str) -> tuple[float, float]:
    """Returns the entropy in nats and the mean number of words; the recursion depth is finite."""
    if isinstance(symbol, str):
        return 0.0, 1.0
    total = _bounds(symbol)[-1]
    entropy = length = 0.0
    for weight, children in rules(symbol):
        below = [_moments(child) for child in children]
        entropy += weight / total * (math.log(total / weight) + sum(part[0] for part in below))
        length += weight / total * sum(part[1] for part in below)
    return entropy, length
