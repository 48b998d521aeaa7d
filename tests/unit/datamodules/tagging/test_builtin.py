import hashlib
from collections import Counter, defaultdict

import pytest

from datamodules.tagging import builtin
from datamodules.tagging.builtin import BuiltinOpinions, generate_opinions, left_to_right_bound
from datamodules.tagging.builtin_grammar import LEXICON, Clause, clauses
from pipeline.errors import InputError
from pipeline.text.tags import count_malformed, span_tags, spans, strict_spans

CLASS_OF = {word.lower(): name for name, kind in LEXICON.items() for word in kind.words}


@pytest.fixture(scope="module")
def sample():
    return list(generate_opinions(seed=11, count=6000))


def test_each_word_is_in_one_class():
    """Classes ignore the case of words, because sentences begin with a capital letter."""
    assert len(CLASS_OF) == sum(len(kind.words) for kind in LEXICON.values())
    assert {name for clause in clauses() for name in clause.classes} | {"LINK", "."} == set(LEXICON)


def test_every_sentence_has_one_tagging():
    """All clauses of the grammar with the same word classes have the same tags.

    As a clause holds no word that links clauses, a sentence can be cut in only one way.
    """
    tags = {clause.classes: clause.tags for clause in clauses()}
    assert all(tags[clause.classes] == clause.tags for clause in clauses())
    assert sum(clause.chance for clause in clauses()) == pytest.approx(1)
    assert not any("LINK" in clause.classes for clause in clauses())


def test_a_rule_by_hand():
    chances = {clause.classes: clause.chance for clause in clauses("WHEN")}
    assert chances == {
        (): 0.4,
        ("on", "DAY"): 0.2,
        ("in", "PLACE"): 0.2,
        ("after", "the", "TALKS"): 0.1,
        ("on", "DAY", "in", "PLACE"): 0.1,
    }
    verdict = ("the", "PLAN", "was", "far", "from", "PERFECT")
    (found,) = [clause for clause in clauses("OPINION") if clause.classes == verdict]
    assert found.tags == ("O", "O", "O", "B-ESE", "I-ESE", "I-ESE")
    assert found.chance == pytest.approx(5 / 11 * 2 / 10)


def test_sentences_are_clauses_with_bio_tags(sample):
    tags_of = {clause.classes: clause.tags for clause in clauses()}
    for sentence in sample:
        (pos,) = sentence.columns
        assert len(sentence.tokens) == len(sentence.tags) == len(pos)
        assert count_malformed(sentence.tags) == 0
        assert spans(sentence.tags) == strict_spans(sentence.tags)
        assert tuple(span_tags(spans(sentence.tags), len(pos))) == sentence.tags
        assert sentence.tokens[0][0].isupper()
        assert sentence.tokens[-1] == "."
        classes = [CLASS_OF[token.lower()] for token in sentence.tokens]
        assert [LEXICON[name].pos for name in classes] == list(pos)
        for part, tags in cut(classes, sentence.tags):
            assert tags_of[part] == tags


def cut(classes, tags):
    """Splits a sentence into its clauses."""
    if "LINK" not in classes:
        return [(tuple(classes[:-1]), tuple(tags[:-1]))]
    link = classes.index("LINK")
    return [
        (tuple(classes[: link - 1]), tuple(tags[: link - 1])),
        (tuple(classes[link + 1 : -1]), tuple(tags[link + 1 : -1])),
    ]


def test_what_sentences_are_like(sample):
    lengths = [len(sentence.tokens) for sentence in sample]
    assert min(lengths) == 5
    assert max(lengths) <= 45
    assert sum(length <= 30 for length in lengths) > 0.97 * len(sample)
    assert 12 < sum(lengths) / len(sample) < 17
    found = [span for sentence in sample for span in spans(sentence.tags)]
    types = Counter(span.label for span in found)
    assert types.keys() == {"DSE", "ESE"}
    assert min(types.values()) > 0.3 * len(sample)
    assert Counter(span.end - span.start for span in found).keys() == {1, 2, 3, 4, 5}
    assert sum(set(sentence.tags) == {"O"} for sentence in sample) > 0.3 * len(sample)


def test_every_span_that_the_right_decides():
    """Words that begin a span in some clauses and no span in others: verbs, adverbs, "far", ..."""
    begins, begins_not = defaultdict(set), defaultdict(set)
    for clause in clauses():
        for place, tag in enumerate(clause.tags):
            where = begins if tag[0] == "B" else begins_not
            where[clause.classes[: place + 1]].add(tag)
    undecided = {(left[-1], *begins[left]) for left in begins.keys() & begins_not.keys()}
    assert undecided == {
        *((name, "B-DSE") for name in ("SAY", "SEE", "GIVE", "HOW", "took", "according")),
        *((name, "B-ESE") for name in ("a", "far", "not", "VERY", "BITTER")),
    }
    # and the left decides some: "the reply to the coffee was bitter", "the coffee ... was bitter"
    said = {
        clause.classes[1]: clause.tags[-1]
        for clause in clauses()
        if clause.classes[0] == "the" and clause.classes[-2:] == ("was", "BITTER")
    }
    assert said == {"REACTION": "B-ESE", "WATER": "O"}


def test_the_bound_by_hand():
    """`x` begins a span in half of its clauses, `y` always."""
    written = [
        Clause(0.3, ("x", "p"), ("B-DSE", "I-DSE")),
        Clause(0.3, ("x", "q"), ("O", "O")),
        Clause(0.4, ("y", "p"), ("B-DSE", "O")),
    ]
    assert builtin._best_f1(written, ("DSE",)) == pytest.approx(2 * 0.7 / (1.0 + 0.7))  # both
    chances = (0.12, 0.78, 0.1)
    rarer = [one._replace(chance=p) for one, p in zip(written, chances, strict=True)]
    assert builtin._best_f1(rarer, ("DSE",)) == pytest.approx(2 * 0.1 / (0.1 + 0.22))  # y
    assert builtin._best_f1(rarer, ("ESE", "DSE")) == builtin._best_f1(rarer, ("DSE",))


def test_no_tagger_can_do_it_from_the_left(sample):
    bound = left_to_right_bound()
    assert bound["DSE"] < 60
    assert bound["ESE"] < 70
    assert bound["micro"] < 65
    # the best left-to-right tagger for exactly these sentences is hardly better
    seen, begun = Counter(), Counter()
    for sentence in sample:
        classes = [CLASS_OF[token.lower()] for token in sentence.tokens]
        for part, tags in cut(classes, sentence.tags):
            for place, tag in enumerate(tags, start=1):
                seen[part[:place]] += 1
                begun[part[:place]] += tag[0] == "B"
    num_spans, right, called, best = sum(begun.values()), 0, 0, 0.0
    for left in sorted(seen, key=lambda left: -begun[left] / seen[left]):
        right, called = right + begun[left], called + seen[left]
        best = max(best, 200 * right / (called + num_spans))
    assert (
        bound["micro"] - 2 < best < bound["micro"] + 8
    )  # a sample overstates how certain rare prefixes are


def test_the_same_sentences_everywhere():
    text = "\n".join(" ".join(s.tokens + s.tags) for s in generate_opinions(seed=1, count=200))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "493b330bb39c6459"
    assert list(generate_opinions(1, 5)) == list(generate_opinions(1, 9))[:5]
    assert list(generate_opinions(1, 5)) != list(generate_opinions(2, 5))


def test_the_corpus_is_read_as_it_is_written(cache):
    source = BuiltinOpinions(num_train=40)
    corpus = source.read()
    assert source.name == "builtin"
    assert corpus.splits["train"] == list(generate_opinions(1, 40))
    assert corpus.splits["valid"] == list(generate_opinions(2, 500))
    assert corpus.splits["test"] == list(generate_opinions(3, 500))
    assert (corpus.column_names, corpus.scheme) == (("pos",), "IOB2")
    first = corpus.splits["train"][0]
    line = corpus.files["train"].read_text(encoding="utf-8").split("\n")[0]
    assert line == f"{first.tokens[0]}\t{first.columns[0][0]}\t{first.tags[0]}"
    assert all(cache in path.parents for path in corpus.files.values())
    assert len(BuiltinOpinions(num_train=41).read().splits["train"]) == 41


def test_the_test_sentences_are_new():
    train, test = list(generate_opinions(1, 3000)), list(generate_opinions(3, 500))
    known = {token for sentence in train for token in sentence.tokens}
    tokens = [token for sentence in test for token in sentence.tokens]
    new = [token for token in tokens if token not in known]
    assert 0.002 < len(new) / len(tokens) < 0.01
    assert {CLASS_OF[token.lower()] for token in new} == {"NAME"}
    assert len({s.tokens for s in test} & {s.tokens for s in train}) < 5


def test_no_sentences_are_refused():
    with pytest.raises(InputError, match=r"^num_train is 0; 1 or more is expected$"):
        BuiltinOpinions(num_train=0)
