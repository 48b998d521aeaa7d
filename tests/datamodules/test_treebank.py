import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.treebank import tokenise


@pytest.mark.parametrize(
    ("sentence", "tokens"),
    [
        ("They can't, won't go.", "They ca n't , wo n't go ."),
        ('He said: "It\'s mine."', "He said : `` It 's mine . ''"),
        ("a 'new' US plan (9/11) [sic]", r"a ` new ' US plan -LRB- 9\/11 -RRB- -LSB- sic -RSB-"),
        ("the people's will -- I cannot *bold*", r"the people 's will -- I can not \* bold \*"),
        ('"Yes", Mr. Bush said...', "`` Yes '' , Mr. Bush said ..."),
        ("  spaced\n\tout\u00a0text ", "spaced out text"),
        ("", ""),
    ],
)  # fmt: skip
def test_words_are_cut_and_escaped_as_in_the_treebank(sentence, tokens):
    assert [token.text for token in tokenise(sentence)] == tokens.split()


@given(st.text(alphabet="ab Z9.,'\"`()[]/*-?!$&:\n\u00a0\u00e9\u201c\U0001f600", max_size=40))
def test_tokens_cover_all_but_white_space(sentence):
    tokens = tokenise(sentence)
    assert "".join(sentence[t.start : t.end] for t in tokens) == "".join(sentence.split())
    assert all(sentence[t.start : t.end].split() == [sentence[t.start : t.end]] for t in tokens)
    assert not any(character.isspace() for token in tokens for character in token.text)


def test_few_words_of_the_release_would_be_cut_further(real_data):
    """The Stanford parser cut the release; a word of it should stay one word here."""
    lines = (real_data / "mpqa" / "dse.txt").read_text(encoding="utf-8").split("\n")
    words = [line.split("\t")[0] for line in lines if line]
    cut = {word for word in set(words) if not _stays_whole(word)}
    assert sum(word in cut for word in words) == 52


def _stays_whole(word):
    escaped = word.startswith("-") and word.endswith("B-") and len(word) == 5
    if escaped or word in ("``", "''", "`", "n't") or word.startswith("'"):
        return True
    plain = word.replace(r"\/", "/").replace(r"\*", "*")
    return len(tokenise(f"a {plain} a")) == 3
