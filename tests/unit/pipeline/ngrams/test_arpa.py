"""ARPA files: scores of KenLM, round trips, and errors in damaged files."""

import gzip
import math

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.ngrams import AddDelta, Katz, KneserNey, count, read_arpa, write_arpa
from pipeline.text.vocabulary import Vocabulary
from tests.unit.pipeline.ngrams.test_estimates import EOS, SENTENCES, SIZE, UNSEEN, stream

WORDS = Vocabulary(["a", "b", "<eos>", "c", "é", "<unk>", " "])


def test_kenlm_answers(real_data):
    folder = real_data / "oracles" / "kenlm"
    model, vocabulary = read_arpa(folder / "test.arpa")
    lines = (folder / "expected_scores.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    words = [word.partition("(")[0].replace("</s>", "<eos>") for _, word, _, _ in rows]
    scored = model.log_probs(np.array(vocabulary.encode(words))) / math.log(10)
    assert len(rows) == 10
    np.testing.assert_allclose(scored, [float(row[3]) for row in rows], rtol=3e-6)


@pytest.mark.parametrize("name", ["toy0", "toy1"])
def test_kenlm_models_are_distributions(real_data, name):
    model, vocabulary = read_arpa(real_data / "oracles" / "kenlm" / f"{name}.arpa")
    size = len(vocabulary)
    contexts = np.array([[-1, -1], *([a, b] for a in range(-1, size) for b in range(size))])
    np.testing.assert_allclose(model.distribution(contexts).sum(1), 1, atol=1e-7)


def test_without_unk_it_has_no_probability(real_data):
    model, vocabulary = read_arpa(real_data / "oracles" / "kenlm" / "test_nounk.arpa")
    assert model.log_probs(np.array([vocabulary.unk_id]))[0] == -math.inf


@pytest.mark.parametrize("name", ["model.arpa", "model.arpa.gz"])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_there_and_back(tmp_path, name, order):
    counts = count(stream(SENTENCES), EOS, SIZE, order)
    for smoothing in (KneserNey(min_counts=[1, 1, 2][:order]), Katz(), AddDelta(0.1)):
        model = smoothing.estimate(counts).model
        write_arpa(tmp_path / name, model, WORDS)
        again, vocabulary = read_arpa(tmp_path / name, WORDS)
        assert vocabulary == WORDS
        for sentences in (SENTENCES, UNSEEN):
            np.testing.assert_allclose(
                again.log_probs(stream(sentences)), model.log_probs(stream(sentences)), rtol=1e-8
            )
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_is_written(tmp_path):
    counts = count(np.array([0, 1, EOS]), EOS, SIZE, 2)
    write_arpa(tmp_path / "a.arpa", AddDelta(1.0).estimate(counts).model, WORDS)
    lines = (tmp_path / "a.arpa").read_text(encoding="utf-8").split("\n")
    assert lines[:3] == ["\\data\\", "ngram 1=8", "ngram 2=3"]
    assert lines[4] == "\\1-grams:"
    words = [line.split("\t")[1] for line in lines[5:13]]
    assert words == ["a", "b", "</s>", "c", "é", "<unk>", "<space>", "<s>"]
    assert lines[12].startswith("-99\t<s>\t")
    # (1 + 1) / (1 + 7) after <s>, a and b
    assert lines[15:18] == [f"{math.log10(2 / 8):.10g}\t{t}" for t in ("a b", "b </s>", "<s> a")]
    assert lines[18:] == ["", "\\end\\", ""]


GOOD = """\
words before the data are no part of it

\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-1\t<unk>
-99\t<s>\t-0.5
-0.5\ta\t-0.25
-0.75\t</s>

\\2-grams:
-0.1\t<s> a
-0.2\ta </s>

\\end\\
"""


def test_the_beginning_of_a_sentence_is_never_predicted(tmp_path):
    """Files have arbitrary probabilities for `<s>`; it is written with log10 0."""
    assert "-99\t<s>" in GOOD
    (tmp_path / "a.arpa").write_text(GOOD.replace("-99\t<s>", "-0.75\t<s>"))
    model, vocabulary = read_arpa(tmp_path / "a.arpa")
    assert model.probs[0][len(vocabulary)] == 0
    write_arpa(tmp_path / "b.arpa", model, vocabulary)
    lines = (tmp_path / "b.arpa").read_text().splitlines()
    (line,) = [line for line in lines if line.split("\t")[1:2] == ["<s>"]]
    assert float(line.split("\t")[0]) == -99


def test_a_missing_weight_is_one(tmp_path):
    (tmp_path / "a.arpa").write_text(GOOD.replace("\ta\t-0.25", " a ").replace("\t", "  "))
    model, vocabulary = read_arpa(tmp_path / "a.arpa")
    ids = np.array(vocabulary.encode(["a", "a", "<eos>", "<eos>", "<unk>"]))
    expected = [-0.1, -0.5, -0.2, -0.5 - 0.75, -0.5 - 1]
    np.testing.assert_allclose(model.log_probs(ids) / math.log(10), expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("ngram 2=2", "ngram 2=3", "line 17 of .* ends the 2-grams after 2; .* declares 3"),
        ("ngram 2=2", "ngram 2=1", r"line 15 of .* must be '\\end\\': there are more n-grams than"),
        (
            "ngram 1=4",
            "ngram 1=3",
            r"line 11 of .* must be '\\2-grams:': there are more n-grams than",
        ),
        ("ngram 2=2\n", "", r"line 12 of .* must be '\\end\\'"),
        ("ngram 2=2", "ngram 3=2", "line 5 of .* must be 'ngram 2='"),
        ("ngram 1=4", "ngram 1=x", "line 4 of .* must be 'ngram 1='"),
        ("\\2-grams:", "\\3-grams:", r"line 13 of .* must be '\\2-grams:'"),
        ("\\data\\", "data", r"is not an ARPA file: it has no line \\data\\"),
        ("\n\\end\\\n", "", "line 16 of .* is missing: the file ends"),
        ("-0.1\t<s> a", "-0.1\t<s>", "line 14 of .* has 2 fields; expected a probability, 2 words"),
        ("-0.1\t<s> a", "-0.1\t<s> a -1 2", "line 14 of .* has 5 fields"),
        ("-0.2\ta", "zero\ta", "line 15 of .* has 'zero'; expected .* probability, at most 0"),
        ("-0.2\ta", "0.2\ta", "line 15 of .* has '0.2'; expected .* probability, at most 0"),
        ("-0.2\ta", "nan\ta", "line 15 of .* has 'nan'; expected"),
        ("-0.25", "inf", "line 10 of .* has 'inf'; expected .* weight"),
        ("-0.25", "-0.25x", "line 10 of .* has '-0.25x'; expected .* weight"),
        ("\ta </s>", "\tb </s>", "line 15 of .* has the word 'b', .* not among the 1-grams"),
        ("\ta </s>", "\t<s> a", "line 15 of .* repeats an n-gram"),
        ("-0.5\ta", "-0.5\t<s>", "has the word 'a', .* not among the 1-grams"),
        ("-0.75\t</s>", "-0.75\tb", "no </s> among its 1-grams"),
        ("-0.75\t</s>", "-0.75\ta", "no </s> among its 1-grams"),
    ],
)
def test_a_damaged_file_is_told_with_its_line(tmp_path, old, new, expected):
    assert GOOD.count(old) == 1
    (tmp_path / "bad.arpa").write_text(GOOD.replace(old, new))
    with pytest.raises(InputError, match=expected):
        read_arpa(tmp_path / "bad.arpa")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["<eos>", "<unk>", "a", "b"], "lacks the word 'b'"),
        (["<eos>", "<unk>", "b"], "has the word 'a'"),
    ],
)
def test_other_words_than_the_corpus(tmp_path, words, expected):
    (tmp_path / "a.arpa").write_text(GOOD)
    with pytest.raises(InputError, match=expected):
        read_arpa(tmp_path / "a.arpa", Vocabulary(words))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"ARPA file .* does not exist"):
        read_arpa(tmp_path / "none.arpa")
    (tmp_path / "cut.arpa.gz").write_bytes(gzip.compress(GOOD.encode())[:-40])
    with pytest.raises(InputError, match=r"compressed file .* is damaged"):
        read_arpa(tmp_path / "cut.arpa.gz")


@pytest.mark.parametrize("word", ["<s>", "</s>", "<space>", "two words"])
def test_words_that_cannot_be_written(tmp_path, word):
    words = Vocabulary(["a", "b", "<eos>", word, "é", "<unk>", " "])
    model = AddDelta().estimate(count(stream(SENTENCES), EOS, SIZE, 2)).model
    with pytest.raises(InputError):
        write_arpa(tmp_path / "a.arpa", model, words)
    assert not list(tmp_path.iterdir())
