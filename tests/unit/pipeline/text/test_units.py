import subprocess
import sys

from pipeline.text.units import join_tokens, split_line
from pipeline.text.vocabulary import EOS


def test_words_are_split_at_white_space():
    assert split_line(" no it \t was\r\n", "word") == ["no", "it", "was"]
    assert split_line("\ufeff a\u00a0b\n", "word") == ["\ufeff", "a", "b"]
    assert split_line(" \n", "word") == []


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
