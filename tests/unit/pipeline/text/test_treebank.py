import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text import treebank
from pipeline.text.treebank import _places, _tokenizer, split_sentences, tokenize


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
    assert [token.text for token in tokenize(sentence)] == tokens.split()


@given(st.text(alphabet="ab Z9.,'\"`()[]/*-?!$&:\n\u00a0\u00e9\u201c\U0001f600", max_size=40))
def test_tokens_cover_all_but_white_space(sentence):
    tokens = tokenize(sentence)
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
    return len(tokenize(f"a {plain} a")) == 3


def test_pieces_are_cut_as_the_whole_sentence_is(real_data):
    """Cutting at white space first, which is fast, gives what NLTK gives for whole sentences."""
    folder = real_data / "mpqa/standoff_sample/docs"
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*/*")]
    sentences = [text[start:end] for text in texts for start, end in split_sentences(text)]
    assert len(sentences) > 150
    for sentence in sentences:
        whole = [(start, end) for _, start, end in _places(_tokenizer.tokenize(sentence), sentence)]
        assert [(token.start, token.end) for token in tokenize(sentence)] == whole, sentence


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("He left. She stayed.", ["He left.", "She stayed."]),
        ("Mr. Smith met Dr. Jones. They spoke!", ["Mr. Smith met Dr. Jones.", "They spoke!"]),
        ("The U.S. envoy left at 5 p.m. today.", ["The U.S. envoy left at 5 p.m. today."]),
        ("  Is it?\n\nYes.  ", ["Is it?", "Yes."]),
        ("no end", ["no end"]),
        ("", []),
    ],
)
def test_sentences(text, sentences):
    assert [text[start:end] for start, end in split_sentences(text)] == sentences


@given(st.from_regex(treebank._PLAIN, fullmatch=True), st.booleans())
def test_plain_pieces_are_cut_as_by_nltk(piece, is_last):
    text = piece if is_last else f"{piece} x"
    expected = list(_places(_tokenizer.tokenize(text), text))
    cut = treebank._cut(piece, is_last)
    assert [tuple(token) for token in cut] == [
        (treebank._escape(token, text, start), start, end)
        for token, start, end in (expected if is_last else expected[:-1])
    ]
