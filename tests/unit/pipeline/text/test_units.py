import subprocess
import sys

import pytest

from pipeline.text.units import is_marked, join_tokens, split_line
from pipeline.text.vocabulary import EOS


def test_words_are_split_at_white_space():
    assert split_line(" no it \t was\r\n", "word") == ["no", "it", "was"]
    assert split_line("\ufeff a\u00a0b\n", "word") == ["\ufeff", "a\u00a0b"]
    assert split_line(" \n", "word") == []


@pytest.mark.parametrize("kept", list("\v\f\x1c\x1d\x1e\x1f\x85\u00a0\u2028\u2029\u202f\u3000"))
def test_words_are_split_where_kenlm_does(kept):
    """Its characters are NUL, TAB, CR, LF and space (lm/builder/corpus_count.cc)."""
    assert split_line(f" 10{kept}000\ta\rb {kept}\r\n", "word") == [f"10{kept}000", "a", "b", kept]
    assert split_line(f" 10{kept}\t \r\n", "character") == ["1", "0", kept]


@pytest.mark.parametrize(
    ("line", "words", "characters"),
    [
        ("<s> a b </s>\n", ["a", "b"], " a b"),
        (" \t<s>\ta\r\n", ["a"], "\ta"),
        ("a </s>  \r\n", ["a"], "a"),
        ("<s> </s>", [], ""),
        ("<s>", [], ""),
        ("</s>", [], ""),
        ("<s>a a</s> x<s>", ["<s>a", "a</s>", "x<s>"], "<s>a a</s> x<s>"),
    ],
)
def test_marks_around_a_sentence_are_left_out(line, words, characters):
    assert split_line(line, "word") == words
    assert "".join(split_line(line, "character")) == characters.strip()
    assert is_marked(line) == (len(words) < len(line.split()))


@pytest.mark.parametrize(
    "line", ["a <s> b", "a </s> b", "<s> a </s> <s> b </s>", "</s> <s>", "<s> <s> a", "a </s> </s>"]
)
def test_marks_inside_are_refused(line):
    with pytest.raises(
        ValueError, match=r"^has </?s> inside of a sentence; expected it only around"
    ):
        split_line(line, "word")
    split_line(line, "character")


def test_nul_is_no_text():
    for unit in ("word", "character"):
        with pytest.raises(ValueError, match=r"^contains a NUL character, so it is not plain text"):
            split_line("a\0b", unit)


def test_characters_keep_the_spaces_inside():
    assert split_line(" <unk> a  b \n", "character") == list("<unk> a  b")
    assert split_line(" \n", "character") == []


def test_join_undoes_tokenise():
    for unit in ("word", "character"):
        text = "the boys who\n\nsee a dog\n"
        tokens = [t for line in text.splitlines() for t in [*split_line(line, unit), EOS]]
        assert join_tokens(tokens, unit) == text
        assert join_tokens(tokens[:-1], unit) == text[:-1]


def test_text_imports_no_torch():
    code = "import sys, pipeline.text.units; print({'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout == "set()\n"
