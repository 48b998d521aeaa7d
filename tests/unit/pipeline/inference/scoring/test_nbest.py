"""Lines and n-best lists: what is read, and one sentence for what cannot be."""

import bz2
import gzip
import lzma
import os

import pytest

from pipeline.errors import InputError
from pipeline.inference.scoring import Hypothesis, InputLine, read_lines, read_nbest
from tests.examples import refuses


def write(tmp_path, content, name="text"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


TEXT = "\ufeffa b\r\n\n\u2028c\x0cd\n\ufeff e"
READ = [
    InputLine(1, "a b"),
    InputLine(2, ""),
    InputLine(3, "\u2028c\x0cd"),
    InputLine(4, "\ufeff e"),
]


def test_only_a_line_feed_ends_a_line(tmp_path):
    assert list(read_lines(write(tmp_path, TEXT))) == READ


@pytest.mark.parametrize("squeeze", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_text_whatever_its_name(tmp_path, squeeze):
    assert list(read_lines(write(tmp_path, squeeze(TEXT.encode())))) == READ
    whole = squeeze(b"a b c\n" * 9999)
    with pytest.raises(InputError, match=r"is incomplete: its compressed data ends after line"):
        list(read_lines(write(tmp_path, whole[: len(whole) // 2])))


@pytest.mark.parametrize("squeeze", [bytes, gzip.compress])
def test_standard_input(monkeypatch, squeeze):
    end, start = os.pipe()
    os.write(start, squeeze(TEXT.encode()))
    os.close(start)
    with open(end, encoding="ascii") as file:
        monkeypatch.setattr("sys.stdin", file)
        assert list(read_lines("-")) == READ


def test_text_that_cannot_be_read(tmp_path):
    path = write(tmp_path, "a\nä b ".encode() + b"c\xe4 d\n")
    with refuses(
        f"{path} is not UTF-8: byte 0xe4 in line 2 cannot be decoded; convert the file, for example"
        " with `iconv -f WINDOWS-1252 -t UTF-8`"
    ):
        list(read_lines(path))
    path = write(tmp_path, "a\n".encode("utf-16"))
    with pytest.raises(InputError, match=r"byte 0xff .*iconv -f UTF-16 "):
        list(read_lines(path))
    path = write(tmp_path, "")
    with refuses(f"{path} is empty; expected one sentence per line"):
        list(read_lines(path))
    path = write(tmp_path, gzip.compress(b"a b c\n" * 9999)[:-20])
    with pytest.raises(InputError, match=r"is incomplete: its compressed data ends after line \d+"):
        list(read_lines(path))
    path = str(tmp_path / "none")
    with pytest.raises(InputError, match=r"^cannot read .*none \(No such file or directory\)"):
        list(read_lines(path))


def test_a_line_of_a_megabyte(tmp_path):
    path = write(tmp_path, b"a\n" + b"x" * 999_999 + b"\n" + b"x" * 1_000_000 + b"\n")
    found = read_lines(path)
    assert len(next(found).text + next(found).text) == 1_000_000
    message = f"line 3 of {path} has 1,000,000 bytes or more; expected one sentence per line"
    with refuses(message):
        next(found)


def test_nbest_lists(tmp_path):
    path = write(
        tmp_path,
        "0 ||| a b ||| LM= -1 d= 0 2 ||| -3.5 ||| 0-0 1-1\n0 |||  ||| ||| 1e1\none ||| c d\n",
    )
    assert list(read_nbest(path)) == [
        Hypothesis("0", InputLine(1, "a b"), "LM= -1 d= 0 2", -3.5, ("0-0 1-1",)),
        Hypothesis("0", InputLine(2, ""), "", 10.0),
        Hypothesis("one", InputLine(3, "c d"), "", 0.0),
    ]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("a b c", "has 1 fields separated by |||"),
        ("0 ||| a ||| LM= 1", "has 3 fields separated by |||"),
        ("||| a ||| LM= 1 ||| 2", "has no list ID"),
        ("0 ||| a ||| LM= 1 ||| two", "has the score 'two', which is not a number"),
        ("0 ||| a ||| LM= 1 ||| nan", "has the score 'nan', which is not a number"),
    ],
)
def test_a_malformed_line_of_an_nbest_list(tmp_path, line, what):
    path = write(tmp_path, f"0 ||| fine\n{line}\n")
    with refuses(
        f"line 2 of {path} {what}; expected ID ||| hypothesis, optionally followed by"
        " ||| features ||| score"
    ):
        list(read_nbest(path))


def test_lists_of_ids_and_words(tmp_path):
    path = write(tmp_path, " utt-1 a b\nutt-1 a\tc \r\nutt-2\nutt-3  d\n")
    assert list(read_nbest(path)) == [
        Hypothesis("utt-1", InputLine(1, "a b")),
        Hypothesis("utt-1", InputLine(2, "a\tc")),
        Hypothesis("utt-2", InputLine(3, "")),
        Hypothesis("utt-3", InputLine(4, "d")),
    ]
    for line, what in (("", "has no list ID"), ("utt-2 ||| b", "has |||")):
        path = write(tmp_path, f"utt-1 a\n{line}\n")
        with refuses(
            f"line 2 of {path} {what}; expected ID and words with spaces between them, as in the "
            "first line"
        ):
            list(read_nbest(path))


def test_old_macintosh_line_ends(tmp_path):
    for content in (b"a b\rc\r", b"a b\r" * 300_000):
        path = write(tmp_path, content)
        with refuses(
            f"{path} has line ends of old Macintosh files (CR alone); convert them, for example "
            "with `tr '\\r' '\\n'`"
        ):
            next(read_lines(path))


def test_a_long_line_in_pieces(tmp_path, monkeypatch):
    """Pieces are cut before white space, so that joined they are the line again."""
    monkeypatch.setattr("pipeline.inference.scoring.sentence_files.MAX_LINE_BYTES", 8)
    texts = ["a bb  ccc\td é   eeeee f", "", "12345 7 9", "1234567", "a       "]
    path = write(tmp_path, "\n".join(texts))
    found = list(read_lines(path, in_pieces=True))
    for number, text in enumerate(texts, 1):
        pieces = [line for line in found if line.number == number]
        assert "".join(line.text for line in pieces) == text
        assert [line.is_start for line in pieces] == [True] + [False] * (len(pieces) - 1)
        assert [line.is_end for line in pieces] == [False] * (len(pieces) - 1) + [True]
        assert len(pieces) == 1 or not any(line.text.endswith((" ", "\t")) for line in pieces[:-1])
        assert all(len(line.text.encode()) <= 8 for line in pieces)
    with pytest.raises(InputError, match=r"line 1 of .* has 8 bytes or more without white space"):
        list(read_lines(write(tmp_path, "123456789 1\n"), in_pieces=True))


def test_a_list_that_is_scattered(tmp_path):
    path = write(tmp_path, "0 ||| a\n1 ||| b\n0 ||| c\n")
    with refuses(
        f"line 3 of {path} belongs to the list 0, which ended before; expected adjacent"
        " lines for each list, so sort the file"
    ):
        list(read_nbest(path))
