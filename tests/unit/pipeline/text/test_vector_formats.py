import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.text.vector_formats import read_vectors
from pipeline.text.vectors import load_vectors

BROKEN = b"the 0.1 0.2 0.3\nof 0.4 0.5 0.6\nin 0.7 0.8 0.9\na 1.0 1.1 1.2\n"


def naive_text(path, size, has_header):
    """Every vector of a text file, by the definition of the format."""
    found = {}
    lines = path.read_bytes().decode("utf-8", errors="replace").split("\n")[has_header:]
    for line in lines:
        if line.strip():
            columns = line.rstrip(" \r").split(" ")
            word = " ".join(columns[:-size])
            found.setdefault(word, np.array([float(c) for c in columns[-size:]], np.float32))
    return found


def naive_binary(path):
    """Every vector of a binary file, as the loop of word2vec's `distance.c`."""
    data = path.read_bytes()
    count, size = (int(number) for number in data[: data.index(b"\n")].split())
    place, found = data.index(b"\n") + 1, {}
    for _ in range(count):
        word = b""
        while data[place : place + 1] != b" ":
            word += data[place : place + 1].replace(b"\n", b"")
            place += 1
        vector = struct.unpack(f"<{size}f", data[place + 1 : place + 1 + 4 * size])
        found.setdefault(word.decode("utf-8", errors="replace"), np.array(vector, np.float32))
        place += 1 + 4 * size
    return found


def as_text(table, has_header=False, ending="\n"):
    size = len(table[0][1])
    header = f"{len(table)} {size}{ending}" if has_header else ""
    lines = [" ".join([word, *(repr(float(v)) for v in row)]) + ending for word, row in table]
    return (header + "".join(lines)).encode()


def as_binary(table, ending=b"\n"):
    rows = [word.encode() + b" " + np.array(row, "<f4").tobytes() + ending for word, row in table]
    return b"%d %d\n" % (len(table), len(table[0][1])) + b"".join(rows)


def write(folder, data, name="vectors"):
    path = folder / name
    path.write_bytes(data)
    return path


def refused(folder, data, words=("the", "in"), size=None):
    path = write(folder, data)
    with pytest.raises(InputError) as caught:
        load_vectors(path, words, size)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    return said


# A word of a text file: any but a line end, no space at its ends (whoever trims lines loses it)
# and no piece after a space that looks like a number.
PIECES = st.text(st.characters(exclude_characters=" \n\r", exclude_categories=["Cs"]), min_size=1)
LATER_PIECES = PIECES.map(lambda piece: "x" + piece)
SINGLE = PIECES.filter(lambda word: not word.startswith("\ufeff"))
WORDS = st.builds(lambda first, rest: " ".join([first, *rest]), SINGLE, st.lists(LATER_PIECES))
VALUES = st.floats(width=32, allow_nan=False, allow_infinity=False)


def tables(words):
    return st.integers(2, 5).flatmap(
        lambda size: st.lists(
            st.tuples(words, st.lists(VALUES, min_size=size, max_size=size)), min_size=1, max_size=8
        )
    )


def same(found, expected):
    assert found.keys() == expected.keys()
    for word, row in found.items():
        assert row.dtype == np.float32
        np.testing.assert_array_equal(row, expected[word])


@given(
    tables(WORDS), st.booleans(), st.sampled_from(["\n", " \n", "\r\n"]), st.booleans(), st.data()
)
def test_text_is_read_as_a_naive_reader_does(
    tmp_path_factory, table, has_header, ending, is_gzip, data
):
    plain = write(tmp_path_factory.mktemp("v"), as_text(table, has_header, ending))
    every = naive_text(plain, len(table[0][1]), has_header)
    wanted = data.draw(st.sets(st.sampled_from([word for word, _ in table])))
    if is_gzip:
        plain.write_bytes(gzip.compress(plain.read_bytes()))
    same(read_vectors(plain, wanted | {"not there"}), {word: every[word] for word in wanted})


@given(tables(SINGLE), st.sampled_from([b"", b"\n"]), st.booleans(), st.data())
def test_binary_is_read_as_a_naive_reader_does(tmp_path_factory, table, ending, is_gzip, data):
    # Longer than the first lines of text need, so that bytes cannot be taken for numbers.
    table = [*table, ("\u0130nce", [0.5] * len(table[0][1]))]
    path = write(tmp_path_factory.mktemp("v"), as_binary(table, ending))
    every = naive_binary(path)
    wanted = data.draw(st.sets(st.sampled_from([word for word, _ in table])))
    if is_gzip:
        path.write_bytes(gzip.compress(path.read_bytes()))
    same(read_vectors(path, wanted), {word: every[word] for word in wanted})


@pytest.mark.parametrize("write_as", [as_text, as_binary])
def test_files_of_many_blocks_are_read_whole(tmp_path, write_as):
    values = np.random.default_rng(0).normal(size=(9000, 60)).astype(np.float32)
    table = [(f"w{index}", row) for index, row in enumerate(values)]
    found = read_vectors(write(tmp_path, write_as(table)), [word for word, _ in table])
    np.testing.assert_array_equal(np.stack([found[word] for word, _ in table]), values)


@pytest.mark.parametrize("name", ["a.txt", "a.vec", "a.bin", "a.gz", "a"])
@pytest.mark.parametrize("write_as", [as_text, as_binary, lambda t: gzip.compress(as_binary(t))])
def test_the_name_tells_nothing(tmp_path, write_as, name):
    path = write(tmp_path, write_as([("the", [1.5, -2.5]), ("of", [0.1, 0.2])]), name)
    loaded = load_vectors(path, ["of", "the"])
    assert loaded.vectors.name == name
    assert loaded.vectors.words == ("of", "the")
    expected = np.array([[0.1, 0.2], [1.5, -2.5]], np.float32)
    np.testing.assert_array_equal(loaded.vectors.values, expected)


def test_the_words_of_glove_840b_with_spaces(tmp_path):
    lines = b". . . 1.5 2.5\nat name@domain.com 3.5 4.5\n. 5.5 6.5\nat 7.5 8.5\n2000 9.5 0.5\n"
    words = [".", "at", ". . .", "2000", "at name@domain.com"]
    loaded = load_vectors(write(tmp_path, lines), words)
    assert loaded.vectors.values[:, 0].tolist() == [5.5, 7.5, 1.5, 9.5, 3.5]


def test_odd_spaces_are_part_of_a_word(tmp_path):
    words = ["a\u00a0b", "a", "\u2028", "\u0085x", "c\td", "\u3000"]
    path = write(tmp_path, as_text([(word, [i, 0.5]) for i, word in enumerate(words)]))
    loaded = load_vectors(path, words)
    assert loaded.vectors.words == tuple(words)
    assert loaded.vectors.values[:, 0].tolist() == [0, 1, 2, 3, 4, 5]


def test_words_that_are_not_utf8_do_no_harm(tmp_path):
    path = write(tmp_path, b"\xff\xfe 0.1 0.2\nthe 0.5 0.25\nna\xefve 1.5 2.5\n")
    loaded = load_vectors(path, ["the", "na\ufffdve"])
    assert loaded.vectors.words == ("the",)


def test_an_editors_mark_is_not_part_of_the_first_word(tmp_path):
    for header in (b"", b"2 2\n"):
        path = write(tmp_path, b"\xef\xbb\xbf" + header + b"the 0.5 0.25\nof 1.5 2.5\n")
        assert load_vectors(path, ["the", "of"]).vectors.values[0].tolist() == [0.5, 0.25]


def test_the_first_of_two_vectors_wins(tmp_path):
    table = [("the", [1.0, 2.0]), ("of", [3.0, 4.0]), ("the", [5.0, 6.0])]
    for data in (as_text(table), as_binary(table)):
        assert read_vectors(write(tmp_path, data), ["the"])["the"].tolist() == [1.0, 2.0]


def test_blank_lines_and_a_last_line_without_an_end_are_fine(tmp_path):
    path = write(tmp_path, b"3 2\nthe 0.5 0.25\n\nof 1.5 2.5\nin 1 2")
    assert len(load_vectors(path, ["the", "of", "in"]).matches) == 3


def test_another_size_is_refused(tmp_path):
    said = refused(tmp_path, BROKEN, size=100)
    assert "have 3 numbers, expected 100" in said
    load_vectors(write(tmp_path, BROKEN), ["the"], size=3)


@pytest.mark.parametrize("header", [b"", b"4 3\n"])
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"of 0.4 0.5 0.6", b"of 0.4 0.5", "has 2 numbers, expected 3"),
        (b"of 0.4 0.5 0.6", b"of", "has 0 numbers, expected 3"),
        (b"of 0.4 0.5 0.6", b"of 0.399 0.4 0.5 0.6", "more than 3 numbers"),
        (b"of 0.4 0.5 0.6", b"of -3.99e-05 0.4 0.5 0.6", "more than 3 numbers"),
        (b"of 0.4 0.5 0.6", b"of 0.412 0.523 0.656if 0.6 0.7 0.8", "more than 3 numbers"),
        (b"in 0.7 0.8 0.9", b"in 0.7 zero 0.9", "'zero' is not a number"),
        (b"in 0.7 0.8 0.9", b"in 0.7  0.9", "'' is not a number"),
        (b"in 0.7 0.8 0.9", b"in 0.7 \xff 0.9", "is not a number"),
        (b"in 0.7 0.8 0.9", b"in new 0.8 0.9", "'new' is not a number"),
        (b"a 1.0 1.1 1.2\n", b"a 1.0 1.1", "has 2 numbers, expected 3"),
    ],
)
def test_a_broken_line_is_named(tmp_path, header, old, new, said):
    assert old in BROKEN
    line = BROKEN[: BROKEN.index(old)].count(b"\n") + 1 + bool(header)
    found = refused(tmp_path, header + BROKEN.replace(old, new))
    assert said in found
    assert f"line {line} of" in found


def test_a_broken_number_of_a_word_that_is_not_wanted_is_not_seen(tmp_path):
    load_vectors(write(tmp_path, BROKEN.replace(b"0.4", b"zero")), ["the"])


def test_a_header_that_promises_another_number_of_lines_is_refused(tmp_path):
    for count in (3, 5):
        said = refused(tmp_path, b"%d 3\n" % count + BROKEN)
        assert f"declares {count} vectors in line 1 but has 4" in said


def test_binary_files_of_another_length_are_refused(tmp_path):
    table = [("the", [0.1, 0.2, 0.3]), ("of", [0.4, 0.5, 0.6])]
    whole = as_binary(table, b"")
    for end in range(len(b"2 3\nthe 012301230123"), len(whole)):
        assert "ends within vector 2" in refused(tmp_path, whole[:end])
    assert "has more data than the 2 binary float32 vectors" in refused(tmp_path, whole + b"in")
    doubles = whole[:4] + b"".join(w.encode() + b" " + np.array(v).tobytes() for w, v in table)
    assert "binary float32 vectors" in refused(tmp_path, doubles)


def test_damaged_gzip_is_refused(tmp_path):
    packed = gzip.compress(BROKEN * 10)
    assert "is damaged" in refused(tmp_path, packed[:-12])
    flipped = bytearray(packed)
    flipped[-6] ^= 1
    assert "is damaged" in refused(tmp_path, bytes(flipped))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"3 100\n", "has none"),
        (b"0 100\nthe 0.1\n", "has none"),
        (b"The cat sat on the mat .\nIt slept .\n", "has no known format"),
        (b"the\t0.1\t0.2\nof\t0.3\t0.4\n", "has no known format"),
        (b"EU NNP B-ORG\nrejects VBZ O\n", "has no known format"),
        (b'{"the": [0.1, 0.2]}\n', "has no known format"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "has no known format"),
        (b"PK\x03\x04" + bytes(99), "is a zip archive; unzip it"),
        (b"\xba\x16\x4f\x2f" + bytes(99), "is a fastText model; use its .vec"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, data, said):
    assert said in refused(tmp_path, data)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match="cannot read"):
            load_vectors(path, ["the"])
