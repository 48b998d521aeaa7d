import subprocess
import sys

from pipeline.text.units import join, tokenise
from pipeline.text.vocabulary import EOS


def test_words_are_split_at_white_space():
    assert tokenise(" no it \t was\r\n", "word") == ["no", "it", "was"]
    assert tokenise("\ufeff a\u00a0b\n", "word") == ["\ufeff", "a", "b"]
    assert tokenise(" \n", "word") == []


def test_characters_keep_the_spaces_inside():
    assert tokenise(" <unk> a  b \n", "character") == list("<unk> a  b")
    assert tokenise(" \n", "character") == []


def test_join_undoes_tokenise():
    for unit in ("word", "character"):
        text = "the boys who\n\nsee a dog\n"
        tokens = [t for line in text.splitlines() for t in [*tokenise(line, unit), EOS]]
        assert join(tokens, unit) == text
        assert join(tokens[:-1], unit) == text[:-1]


def test_text_imports_no_torch():
    code = "import sys, pipeline.text.units; print({'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
