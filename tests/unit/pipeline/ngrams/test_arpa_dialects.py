"""ARPA files as the CMU toolkit, Sphinx, SRILM, IRSTLM and Kaldi write them."""

import bz2
import gzip
import lzma
import math
import random
import re

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.ngrams import read_arpa, write_arpa
from pipeline.ngrams.arpa_lines import is_arpa
from pipeline.text.vocabulary import Vocabulary
from tests.examples import refuses

WORDS = ["<s>", "</s>", "<unk>", "a", "b", "c"]


def entries(seed: int) -> dict[tuple[str, ...], tuple[float, float]]:
    """N-grams of up to four words, with any contexts: logarithms of probability and weight."""
    rng = random.Random(seed)
    found = {(word,): (-rng.uniform(0.1, 3), rng.uniform(-1, 0)) for word in WORDS}
    for order in (2, 3, 4):
        for _ in range(12):
            words = tuple(rng.choices(WORDS, k=order))
            found[words] = (-rng.uniform(0.1, 3), rng.uniform(-1, 0) if order < 4 else 0)
    return found


def written(found, blanks: str = "\n") -> str:
    orders = sorted({len(words) for words in found})
    lines = ["\\data\\"]
    lines += [f"ngram {n}={sum(len(words) == n for words in found)}" for n in orders]
    for order in orders:
        lines.append(f"{blanks}\\{order}-grams:")
        for words, (prob, weight) in found.items():
            if len(words) == order:
                lines.append(f"{prob}\t{' '.join(words)}" + f"\t{weight}" * (order < orders[-1]))
    return "\n".join([*lines, f"{blanks}\\end\\"])


def by_hand(found, words: list[str]) -> list[float]:
    """Logarithms to base 10 of the tokens of a sentence, by the recursion of the format."""

    def log_prob(context, word):
        if (*context, word) in found:
            return found[*context, word][0]
        if not context:
            return -math.inf
        return found.get(context, (0, 0))[1] + log_prob(context[1:], word)

    longest = max(len(words) for words in found) - 1
    past = ("<s>",)
    scored = []
    for word in [*words, "</s>"]:
        scored.append(log_prob(past[-longest:] if longest else (), word))
        past = (*past, word)
    return scored


def scores(path, sentences: list[list[str]]) -> list[float]:
    model, vocabulary = read_arpa(path)
    ids = vocabulary.encode([word for words in sentences for word in [*words, "<eos>"]])
    return (model.log_probs(np.array(ids)) / math.log(10)).tolist()


def sentences(seed: int) -> list[list[str]]:
    rng = random.Random(seed)
    return [rng.choices(["a", "b", "c", "<unk>"], k=rng.randint(0, 7)) for _ in range(60)]


@pytest.mark.parametrize("seed", range(8))
def test_any_ngrams_score_by_the_recursion(tmp_path, capsys, seed):
    """Impossible n-grams are harmless, and contexts that are not listed change no score."""
    found, texts = entries(seed), sentences(seed)
    expected = [score for words in texts for score in by_hand(found, words)]
    for name, blanks in (("blank", "\n"), ("dense", ""), ("sparse", "\n \n\t\n")):
        (tmp_path / name).write_text(written(found, blanks))
        assert scores(tmp_path / name, texts) == pytest.approx(expected, rel=1e-12)
    notes = capsys.readouterr().err
    impossible = [w for w in found if "<s>" in w[1:] or "</s>" in w[:-1]]
    assert f"skipped {len(impossible)} n-grams that no text has" in notes
    possible = found.keys() - set(impossible)
    contexts = {words[:length] for words in possible for length in range(2, len(words))}
    assert f" {len(contexts - possible)} contexts of longer n-grams are not listed" in notes
    model, vocabulary = read_arpa(tmp_path / "dense")
    write_arpa(tmp_path / "again", model, vocabulary)
    assert scores(tmp_path / "again", texts) == pytest.approx(expected, rel=1e-8)


SPHINX = """\
#############################################################################
## This file was produced by the CMU-Cambridge toolkit
#############################################################################
This is an OPEN-vocabulary model (type 1)
  (OOVs were mapped to UNK, which is treated as any other vocabulary word)

\\data\\
ngram 1=6
ngram 2=5
ngram 3=2

\\1-grams:
-1.6805 <UNK>\t0.0000
-99.999 <s>\t-0.4149
-1.0792 </s>\t-0.0301
-0.6021 one\t-0.1761
-0.7782 two\t-0.2553
-0.9031 oh\t-0.3010

\\2-grams:
-0.3010 <s> one -0.1249
-99.0177 </s> <s> 0.0000
-0.4771 one two 0.0000
-0.0044 oh </s>
-0.6990 two oh -0.1000

\\3-grams:
-0.1000 <s> one two
-0.2000 </s> <s> one

\\end\\
"""


def test_a_file_of_the_cmu_toolkit(tmp_path, capsys):
    """`<UNK>` is the unknown word, and the sentence after `</s>` begins anew."""
    path = tmp_path / "digits.lm"
    path.write_text(SPHINX)
    found = scores(path, [["one", "two", "oh"], ["oh", "seven"]])
    known = [-0.3010, -0.1000, -0.6990, -0.1000 - 0.0044]
    known[3] = -0.0044 - 0.1000  # backs off from `two oh`
    unknown = [-0.4149 - 0.9031, -0.3010 - 1.6805, 0.0000 - 1.0792]
    assert found == pytest.approx([*known, *unknown], abs=1e-12)
    notes = capsys.readouterr().err
    assert notes == (
        f"note: {path}: <UNK> is read as <unk>\n"
        f"note: {path}: skipped 2 n-grams that no text has, because <s> only begins a sentence and "
        "</s> only ends one\n"
    )


def test_both_unknown_words(tmp_path):
    """`<UNK>` is a word like others where the file has `<unk>`, or the corpus has `<UNK>`."""
    path = tmp_path / "both.lm"
    path.write_text(SPHINX.replace("-0.9031 oh", "-0.9031 <unk>").replace(" oh", " <unk>"))
    assert {"<UNK>", "<unk>"} <= set(read_arpa(path)[1].words)
    path.write_text(SPHINX)
    words = Vocabulary(["<eos>", "<unk>", "<UNK>", "one", "two", "oh"])
    model, _ = read_arpa(path, words)
    assert model.probs[0][1] == 0 < model.probs[0][2]


@pytest.mark.parametrize("squeeze", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("name", ["model", "model.gz"])
def test_compression_is_recognized_by_content(tmp_path, squeeze, name):
    path = tmp_path / name
    path.write_bytes(squeeze(("\ufeff" + SPHINX).encode()))
    assert len(read_arpa(path)[1]) == 6 - 1
    assert is_arpa(path)
    path.write_bytes(squeeze(SPHINX.encode() * 40)[:-60])
    if squeeze is not bytes:
        with pytest.raises(InputError, match=r"model.* is damaged .*; download it again"):
            read_arpa(path)


def test_a_byte_that_is_not_utf8(tmp_path):
    path = tmp_path / "latin.arpa"
    path.write_bytes(SPHINX.replace("toolkit", "café").replace(" oh", " café").encode("latin-1"))
    with refuses(
        f"{path} is not UTF-8: byte 0xe9 in line 18 cannot be decoded; convert the file, for "
        "example with `iconv -f WINDOWS-1252 -t UTF-8`"
    ):
        read_arpa(path)
    path.write_bytes(SPHINX.encode("utf-16"))
    with pytest.raises(InputError, match="is UTF-16; convert it"):
        read_arpa(path)


@pytest.mark.parametrize("start", ["iARPA\n\n", "\niARPA\r\n", "blmt 3 100\n"])
def test_formats_of_irstlm_are_refused(tmp_path, start):
    path = tmp_path / "model.lm"
    path.write_text(start + SPHINX)
    with pytest.raises(InputError, match=re.escape(f"{path} has IRSTLM's own format, whose numb")):
        read_arpa(path)


def test_other_files_are_no_arpa_files(tmp_path):
    for content in (b"", b"a text\n", b"\x1f\x8b\x08", b"PK\x03\x04\x00\\data\\"):
        (tmp_path / "file").write_bytes(content)
        assert not is_arpa(tmp_path / "file")
    assert not is_arpa(tmp_path)
    (tmp_path / "file").write_bytes(b"x" * 1_000_001)
    with pytest.raises(InputError, match=r"line 1 of .* has 1,000,000 bytes or more"):
        read_arpa(tmp_path / "file")


def test_spaces_around_the_number_of_ngrams_and_windows_line_ends(tmp_path):
    path = tmp_path / "model.lm"
    spaced = re.sub(r"ngram (\d)=(\d)", r"ngram \1 = \2 ", SPHINX).replace("\n", "\r\n")
    path.write_text(spaced)
    plain = tmp_path / "plain.lm"
    plain.write_text(SPHINX)
    assert scores(path, [["one", "two"]]) == scores(plain, [["one", "two"]])
