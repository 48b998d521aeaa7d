"""ARPA files and n-gram tables from someone else: one sentence, in bounded time and memory."""

import bz2
import gzip
import lzma

import numpy as np
import pytest
import torch

from pipeline.errors import InputError
from pipeline.heads.ngram import NgramHead
from pipeline.ngrams import KneserNey, count, read_arpa
from pipeline.text import compressed
from pipeline.text.vector_formats import read_vectors
from pipeline.text.vocabulary import Vocabulary

HEAD = "\\data\\\nngram 1=3\n\n\\1-grams:\n-0.5\t</s>\n-0.5\ta\n"
BOMBS = {
    "one line": "a" * 1_200_000,
    "blank lines": "\n" * 1_200_000,
    "a number of n-grams": f"\\data\\\nngram 1={'9' * 15}\n\n\\1-grams:\n" + "-1\ta\n" * 200_000,
    "a line of an n-gram": HEAD + "-0.5\t" + "b" * 1_200_000,
    "spaces": HEAD + "-0.5" + " " * 1_200_000 + "b",
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(compressed, "_ALWAYS", 1 << 19)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("kind", BOMBS)
def test_files_that_unpack_to_far_more(tmp_path, kind, pack):
    path = tmp_path / "bomb.arpa.gz"
    path.write_bytes(pack(BOMBS[kind].encode()))
    with pytest.raises(InputError, match=r"200 times its size|1,000,000 bytes") as found:
        read_arpa(path)
    assert len(str(found.value)) < 400


WRONG = {
    "ngram 1=" + "9" * 15: "ends the 1-grams after 2",
    "ngram 1=" + "9" * 18: "must be 'ngram 1='",
    "ngram 1=-1": "must be 'ngram 1='",
    "ngram 99=1": "must be 'ngram 1='",
}


@pytest.mark.parametrize("line", WRONG)
def test_numbers_of_ngrams(tmp_path, line):
    path = tmp_path / "a.arpa"
    path.write_text(HEAD.replace("ngram 1=3", line) + "\n\\end\\\n", encoding="utf-8")
    with pytest.raises(InputError, match=WRONG[line]):
        read_arpa(path)


@pytest.mark.parametrize("number", ["nan", "inf", "0.1", "1e400", "-nan", "0x1", "--1", "9" * 5000])
def test_probabilities(tmp_path, number):
    path = tmp_path / "a.arpa"
    path.write_text(HEAD.replace("-0.5\ta", f"{number}\ta"), encoding="utf-8")
    with pytest.raises(InputError, match=r"line 6 of .* expected the logarithm to base 10"):
        read_arpa(path)


def test_vectors_that_unpack_to_far_more(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_bytes(gzip.compress(b"a 0.5 0.25\n" + b"b 0.5 0.25\n" * 120_000, 9))
    with pytest.raises(InputError, match="unpacks to more than 200 times its size"):
        read_vectors(path, {"a"})


def change(name, value):
    def changed(tables):
        tables[name] = value(tables[name])

    return changed


TABLES = {
    "short": change("probs.0", lambda t: t[:-1]),
    "missing": lambda tables: tables.pop("backoffs.1"),
    "matrix": change("probs.1", lambda t: t.unsqueeze(1)),
    "scalar": change("probs.0", lambda t: t[0]),
    "other type": change("keys.0", lambda t: t.int()),
    "half": change("probs.1", lambda t: t.half()),
    "unsorted": change("keys.1", lambda t: t.flip(0)),
    "negative": change("keys.0", lambda t: t - 10**6),
    "too large": change("keys.0", lambda t: t + 10**15),
    "nan": change("probs.1", lambda t: t * torch.nan),
    "above 1": change("probs.1", lambda t: t + 1),
    "below 0": change("backoffs.0", lambda t: t - 9),
    "infinite": change("probs.2", lambda t: t / 0),
    "many orders": lambda tables: tables.update(
        {f"probs.{i}": tables["probs.2"] for i in range(50)}
    ),
}


@pytest.mark.parametrize("way", TABLES)
def test_tables_in_a_checkpoint(way):
    vocabulary = Vocabulary(["<eos>", "<unk>", "a", "b", "c"])
    ids = np.random.default_rng(1).integers(0, 5, size=300)
    head = NgramHead(vocabulary)
    head.model = KneserNey().estimate(count(ids, 0, 5, 3)).model
    tables = {key: table for key, table in head.state_dict().items() if key != "_nothing"}
    NgramHead(vocabulary).load_state_dict({**tables, "_nothing": torch.zeros(())})
    TABLES[way](tables)
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        NgramHead(vocabulary).load_state_dict({**tables, "_nothing": torch.zeros(())})
