import hashlib
import math

import pytest

from datamodules.language_model import builtin, builtin_grammar
from datamodules.language_model.builtin import (
    agreements,
    builtin_folder,
    generate_sentences,
    perplexity_floor,
)


def categories():
    """Returns word -> (category, number)."""
    table = {"who": ("who", None)}
    for kind in ("N", "Vt", "Vi"):
        for number in (builtin_grammar.SINGULAR, builtin_grammar.PLURAL):
            for word in builtin_grammar._LEXICON[kind, number]:
                assert word not in table, f"{word} is two forms"
                table[word] = (kind, number)
    for kind in ("Name", "Adj", "Adv"):
        for word in builtin_grammar._LEXICON[kind, ""]:
            assert word not in table, f"{word} is two words"
            table[word] = (kind, builtin_grammar.SINGULAR if kind == "Name" else None)
    singular, plural = ("this", "every"), ("these", "many")
    table |= dict.fromkeys(singular, ("Det", builtin_grammar.SINGULAR))
    table |= dict.fromkeys(plural, ("Det", builtin_grammar.PLURAL))
    return table | {"the": ("Det", None)}


TABLE = categories()


def agree(first, second):
    return first is None or second is None or first == second


def noun_phrases(words, start):
    """Yields (end, number) of each noun phrase that starts at `start`, by brute force."""
    kinds = [TABLE[word] for word in words]
    if start < len(words) and kinds[start][0] == "Name":
        yield start + 1, builtin_grammar.SINGULAR
    if start < len(words) and kinds[start][0] == "Det":
        noun = start + 1 + (start + 1 < len(words) and kinds[start + 1][0] == "Adj")
        if noun < len(words) and kinds[noun][0] == "N" and agree(kinds[start][1], kinds[noun][1]):
            number = kinds[noun][1]
            yield noun + 1, number
            if noun + 1 < len(words) and words[noun + 1] == "who":
                for end in verb_phrases(words, noun + 2, number):
                    yield end, number
                for middle, inner in noun_phrases(words, noun + 2):
                    if middle < len(words) and kinds[middle] == ("Vt", inner):
                        yield middle + 1, number


def verb_phrases(words, start, number):
    kinds = [TABLE[word] for word in words]
    if start < len(words) and kinds[start] == ("Vi", number):
        yield start + 1
        if start + 1 < len(words) and kinds[start + 1][0] == "Adv":
            yield start + 2
    if start < len(words) and kinds[start] == ("Vt", number):
        for end, _ in noun_phrases(words, start + 1):
            yield end


def derivations(sentence):
    """Counts the derivations of a sentence."""
    words = sentence.split()
    return sum(
        end == len(words)
        for middle, number in noun_phrases(words, 0)
        for end in verb_phrases(words, middle, number)
    )


def test_the_recogniser_knows_elmans_sentences():
    assert derivations("the boys who the girl sees chase the dogs") == 1
    assert derivations("the boys who the girl sees chases the dogs") == 0
    assert derivations("the boys who the girl see chase the dogs") == 0
    assert derivations("Mary sleeps") == 1
    assert derivations("these boy sleeps") == 0


def test_every_sentence_has_one_derivation():
    for words in generate_sentences(seed=5, count=1000):
        assert derivations(" ".join(words)) == 1, words


def test_a_verb_in_the_other_number_is_wrong():
    checked = 0
    for item in agreements(seed=6, count=500):
        words = list(item.words)
        assert TABLE[words[item.subject]][1] == TABLE[words[item.verb]][1] == item.number
        words[item.verb] = item.wrong
        assert derivations(" ".join(words)) == 0, words
        checked += 1
    verbs = sum(
        TABLE[word][0] in ("Vt", "Vi") for words in generate_sentences(6, 500) for word in words
    )
    assert checked == verbs


def test_attractors_by_hand(monkeypatch):
    words = ("the", "boys", "who", "the", "girl", "sees", "chase", "the", "dogs")
    sentence = builtin._Sentence(list(words), {5: 4, 6: 1}, [])
    monkeypatch.setattr(builtin, "_generate", lambda seed, count: iter([sentence]))
    sees, chase = agreements(0, 1)
    assert sees == (words, 5, 4, "singular", 0, "see")
    assert chase == (words, 6, 1, "plural", 1, "chases")


def test_memory_is_needed():
    items = list(agreements(seed=7, count=2000))
    assert sum(item.verb - item.subject >= 4 for item in items) > 500
    assert sum(item.attractors >= 1 for item in items) > 300
    assert max(item.verb - item.subject for item in items) >= 12


def test_the_floor_is_the_mean_surprisal():
    sentences = list(builtin._generate(seed=8, count=4000))
    tokens = sum(len(sentence.words) + 1 for sentence in sentences)
    nll = [sum(sentence.surprisals) for sentence in sentences]
    assert sum(nll) / tokens == pytest.approx(math.log(perplexity_floor()), rel=0.01)


def test_the_floor_of_a_grammar_by_hand(monkeypatch):
    # half of the sentences are one word of two, half are two words: 1 + 1 and 1 bits
    one, two = builtin.Symbol("one"), builtin.Symbol("two")
    rules = {
        builtin.START: ((1, (one,)), (1, (two,))),
        one: ((3, ("a",)), (3, ("b",))),
        two: ((5, ("c", "d")),),
    }
    monkeypatch.setattr(builtin, "rules", rules.get)
    monkeypatch.setattr(builtin, "_bounds", builtin._bounds.__wrapped__)
    monkeypatch.setattr(builtin, "_moments", builtin._moments.__wrapped__)
    assert perplexity_floor() == pytest.approx(2 ** (1.5 / 2.5))


def test_the_corpus_never_changes():
    folder = builtin_folder()
    digests = {
        split: hashlib.sha256((folder / f"{split}.txt").read_bytes()).hexdigest()[:16]
        for split in ("train", "valid", "test")
    }
    assert digests == {
        "train": "51c99269ab6ebc09",
        "valid": "e7088878ad9d99c0",
        "test": "03814016761f8e27",
    }
    texts = {s: (folder / f"{s}.txt").read_text().split("\n")[:-1] for s in digests}
    assert [len(lines) for lines in texts.values()] == [20_000, 2_000, 2_000]
    words = {split: {w for line in lines for w in line.split()} for split, lines in texts.items()}
    assert words["train"] == set(TABLE)
    assert words["valid"] | words["test"] <= words["train"]


def test_sentences_are_the_seeds():
    assert list(generate_sentences(1, 50)) == list(generate_sentences(1, 50))
    assert list(generate_sentences(1, 50)) != list(generate_sentences(2, 50))
    assert list(generate_sentences(1, 50)) == list(generate_sentences(1, 90))[:50]
