import subprocess
import sys

import numpy as np
import pytest

import datamodules.language_model.corpus
from datamodules.files.lines import read_lines
from datamodules.files.paths import find_files
from datamodules.language_model.corpus import TextSettings, open_corpus
from pipeline.errors import InputError
from pipeline.text.vocabulary import EOS, UNK
from tests.examples import refuses


def read(folder, **settings):
    return open_corpus(find_files(folder), TextSettings(**settings))


def words(corpus, split):
    return corpus.vocabulary.decode(corpus.ids[split].tolist())


def test_lines_and_tokens_by_hand(write_corpus):
    folder = write_corpus(" b a b \n\nc\x0cd \u2028 \ufeff", "a\r\nx b\n", "<unk> y\n\n")
    corpus = read(folder)
    assert corpus.vocabulary.words == [EOS, "b", "a", "c\x0cd", "\u2028", "\ufeff", UNK]
    assert words(corpus, "train") == ["b", "a", "b", EOS, EOS, "c\x0cd", "\u2028", "\ufeff", EOS]
    assert words(corpus, "valid") == ["a", EOS, UNK, "b", EOS]
    assert words(corpus, "test") == [UNK, UNK, EOS, EOS]
    assert [(s.lines, s.tokens, s.unknown) for s in corpus.statistics.values()] == [
        (3, 9, 0),
        (2, 5, 1),
        (2, 4, 2),
    ]
    assert corpus.statistics["test"].profile == {"lines": 2, "tokens": 4, "unknown": 2}
    assert corpus.statistics["valid"].path == folder / "valid.txt"


@pytest.mark.parametrize("unit", ["word", "character"])
def test_marks_around_sentences_change_nothing(write_corpus, unit):
    plain = read(write_corpus("a b\n\nc a\n", "a\n", "b\n"), unit=unit)
    marked = write_corpus("<s> a b </s>\n<s> </s>\n<s> c a\n", "a </s>\n", "b\n", name="marked")
    corpus = read(marked, unit=unit)
    assert corpus.vocabulary == plain.vocabulary
    for split, ids in plain.ids.items():
        np.testing.assert_array_equal(corpus.ids[split], ids)
    assert [s.marked for s in read(marked, unit=unit).statistics.values()] == [3, 1, 0]


def test_what_is_not_a_line_of_text_is_told(write_corpus):
    folder = write_corpus(valid="a\n<s> a </s> <s> b </s>\n")
    with pytest.raises(InputError, match=r"^line 2 of .*valid.txt has <s> inside of a sentence; "):
        read(folder)
    folder = write_corpus(test="a\nb\0c\n")
    with pytest.raises(
        InputError, match=r"^line 2 of .*test.txt contains a NUL character, so it is"
    ):
        read(folder)
    folder = write_corpus("a b\rc d\r" * 99_999)  # longer than a line can be
    with pytest.raises(
        InputError, match=r"train.txt has line ends of old Macintosh files \(CR alone"
    ):
        read(folder)
    corpus = read(write_corpus("a\rb c\r\nd\r\r\n", "a b\r", "a\n"))
    assert words(corpus, "train") == ["a", "b", "c", EOS, "d", EOS]
    assert [s.with_returns for s in corpus.statistics.values()] == [1, 0, 0]


def test_characters(write_corpus):
    corpus = read(write_corpus(" ab a \n\n", "b<unk>\n", "ä\n"), unit="character")
    assert corpus.vocabulary.words == ["a", EOS, "b", " ", UNK]
    assert words(corpus, "train") == ["a", "b", " ", "a", EOS, EOS]
    assert words(corpus, "valid") == ["b", *[UNK] * 5, EOS]
    assert words(corpus, "test") == [UNK, EOS]


def test_the_vocabulary_is_of_the_training_text_alone(write_corpus):
    folder = write_corpus("a a b b c\n", "d d d d\n", "e\n")
    assert read(folder).vocabulary.words == ["a", "b", "c", EOS, UNK]
    assert read(folder, min_count=2).vocabulary.words == ["a", "b", EOS, UNK]
    assert read(folder, max_vocab_size=4).vocabulary.words == ["a", "b", EOS, UNK]


def test_long_texts_are_written_in_chunks(write_corpus, monkeypatch):
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice(list("abcdefg"), rng.integers(0, 9))) for _ in range(300)]
    folder = write_corpus("\n".join(lines), "a\n", "g x g x\n" * 5)
    monkeypatch.setattr(datamodules.language_model.corpus, "_CHUNK", 16)
    corpus = read(folder)
    assert words(corpus, "train") == [w for line in lines for w in [*line.split(), EOS]]
    assert corpus.statistics["test"].unknown == 10


def test_the_cache_is_keyed_by_contents_and_settings(write_corpus, cache):
    folder = write_corpus()
    first = read(folder)
    assert len(list(cache.iterdir())) == 1
    copy = write_corpus(name="copy")
    again = read(copy)
    assert len(list(cache.iterdir())) == 1
    assert again.statistics["train"].path == copy / "train.txt"
    assert isinstance(first.ids["train"], np.memmap)
    assert first.ids["train"].dtype == np.int32
    read(folder, min_count=1, unit="character")
    assert len(list(cache.iterdir())) == 2
    write_corpus(test="b\n")
    assert words(read(folder), "test") == ["b", EOS]
    assert len(list(cache.iterdir())) == 3


def test_a_torn_cache_is_not_trusted(write_corpus, cache):
    folder = write_corpus()
    before = words(read(folder), "train")
    (entry,) = cache.iterdir()
    ids = np.load(entry / "train.npy")
    ids[0] = ids[1]
    np.save(entry / "train.npy", ids)
    assert words(read(folder), "train") == before


def test_a_text_that_changes_meanwhile(write_corpus, monkeypatch, cache):
    folder = write_corpus()
    build = datamodules.language_model.corpus.count_text

    def meddle(path, unit, limit):
        counted = build(path, unit, limit)
        path.write_bytes(path.read_bytes().replace(b"a", b"b"))
        return counted

    monkeypatch.setattr(datamodules.language_model.corpus, "count_text", meddle)
    with refuses(
        f"{folder / 'train.txt'} changed while it was read; start again when it is complete"
    ):
        read(folder)
    assert list(cache.iterdir()) == []


def test_text_that_is_not_utf8(write_corpus):
    folder = write_corpus(valid="a\nä b ".encode() + b"c\xe4 d\n")
    with refuses(
        f"{folder / 'valid.txt'} is not UTF-8: byte 8 (in line 2) is 0xe4; convert the file, for"
        " example with `iconv -f WINDOWS-1252 -t UTF-8`"
    ):
        read(folder)


def test_a_line_of_a_megabyte(write_corpus):
    folder = write_corpus(train=b"a b\n" + b"ab " * 333_333 + b"c")
    with refuses(
        f"line 2 of {folder / 'train.txt'} has 1,000,000 bytes or more; one sentence or paragraph"
        " per line is expected: break the line, or raise --data.max_line_bytes"
    ):
        read(folder)
    assert len(read(folder, max_line_bytes=1_000_001).ids["train"]) == 3 + 333_334 + 1


@pytest.mark.parametrize(("length", "end"), [(9, ""), (9, "\n"), (10, ""), (10, "\n"), (11, "\n")])
def test_the_limit_counts_the_bytes_of_the_line_without_its_end(tmp_path, length, end):
    path = tmp_path / "text"
    path.write_text("x" * length + end)
    if length < 10:
        assert list(read_lines(path, 10)) == ["x" * length + end]
    else:
        with pytest.raises(InputError, match=r"^line 1 of .* has 10 bytes or more; "):
            list(read_lines(path, 10))


@pytest.mark.parametrize("empty", ["", "\n", " \n\t\n"])
def test_an_empty_split(write_corpus, empty):
    for split in ("train", "valid", "test"):
        folder = write_corpus(**{split: empty}, name=split)
        with refuses(
            f"the {split} text {folder / f'{split}.txt'} is empty: expected at least one word"
        ):
            read(folder)


def test_a_vocabulary_of_one_word(write_corpus):
    for text, settings, count in (
        ("a a\na\n", {}, 1),
        ("<unk> <unk>\n", {}, 0),
        ("a a b\n", {"min_count": 2}, 1),
        ("a b c\n", {"max_vocab_size": 3}, 1),
    ):
        folder = write_corpus(train=text)
        limits = TextSettings(**settings)
        with refuses(
            f"the vocabulary of {folder / 'train.txt'} has {count} words besides <eos> and <unk>"
            f" (max_vocab_size={limits.max_vocab_size}, min_count={limits.min_count}); at least 2"
            " are needed: add text or relax the limits"
        ):
            read(folder, **settings)


def test_settings_out_of_range(write_corpus):
    folder = write_corpus()
    for name, value, least in (
        ("max_vocab_size", 1, 2),
        ("min_count", 0, 1),
        ("max_line_bytes", 0, 1),
    ):
        with refuses(f"{name} must be at least {least}, got {value}"):
            read(folder, **{name: value})


def test_a_file_that_cannot_be_read(write_corpus):
    paths = find_files(write_corpus())
    paths["valid"].unlink()
    with refuses(
        f"cannot read {paths['valid']}: No such file or directory; expected a readable file"
    ):
        open_corpus(paths, TextSettings())


MEASURE = """
import resource, sys
from pathlib import Path
from datamodules.language_model.corpus import TextSettings, open_corpus
from datamodules.files.paths import find_files
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
corpus = open_corpus(find_files(Path(sys.argv[1])), TextSettings())
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(corpus.ids["train"]), (after - before) * 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_text(write_corpus):
    line = " ".join(f"w{index % 997}" for index in range(200)) + "\n"
    folder = write_corpus(train=line * 50_000, valid=line, test=line)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    tokens, grown = map(int, done.stdout.split())
    assert tokens == 50_000 * 201
    # As Python strings 500 MB, as ids 40 MB; the limit includes resident pages of the mapped file.
    assert grown < 4 * tokens + 30e6


@pytest.mark.parametrize(
    ("name", "unit", "size", "counts"),
    [
        ("ptb", "word", 10_000, [(42_068, 929_589), (3_370, 73_760), (3_761, 82_430)]),
        ("ptb", "character", 50 + 1, [(42_068, 5_017_482), (3_370, 393_042), (3_761, 442_423)]),
        ("wikitext2", "word", 33_278, [(36_718, 2_088_628), (3_760, 217_646), (4_358, 245_569)]),
    ],
)
def test_published_counts(real_data, name, unit, size, counts):
    corpus = read(real_data / name, unit=unit)
    assert len(corpus.vocabulary) == size
    assert [(s.lines, s.tokens) for s in corpus.statistics.values()] == counts
    assert [len(ids) for ids in corpus.ids.values()] == [tokens for _, tokens in counts]
    written = UNK in corpus.vocabulary.decode(corpus.ids["train"].tolist())
    assert written == (unit == "word")  # in characters, PTB spells <unk> out


def test_a_byte_order_mark_is_no_word(tmp_path):
    """Only at the start of a file, because WikiText-2 contains U+FEFF as a token."""
    path = tmp_path / "train.txt"
    path.write_bytes(b"\xef\xbb\xbfone two\n\xef\xbb\xbf three\n")
    assert list(read_lines(path)) == ["one two\n", "\ufeff three\n"]
