"""Whatever is read, the file holds it at the very place that is told."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cli.predict import check_files
from pipeline.errors import InputError
from pipeline.inference.annotation import column_input, sentence_splitting
from pipeline.inference.annotation.column_input import ColumnInput
from pipeline.inference.annotation.sentence_splitting import read_passages, read_texts

TEXT = (
    "He said: \"It's bad.\"\r\n\n\tDr. Who  can't\u00a0go. (9/11)\nDon't!\r\n"
    "More \U0001f600 e\u0301."
)
ANY_TEXT = st.text(alphabet="ab Z.,'\"()\t\r\n\u00a0\u00e9\U0001f600\u2028", max_size=60)


def read(folder, text, form, columns=0, encoding="utf-8"):
    path = folder / "text"
    path.write_bytes(text.encode(encoding))
    if form == "columns":
        names = [f"column{number}" for number in range(columns)]
        reader = ColumnInput({"lexicon": {"columns": names}}, has_features=True)
        return list(reader.passages(str(path), encoding))
    return list(read_passages(str(path), encoding, form))


@pytest.mark.parametrize("form", ["sentences", "documents", "tokens"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_places(tmp_path, form, encoding):
    passages = read(tmp_path, TEXT, form, encoding=encoding)
    assert_places(TEXT, passages, form)
    lines = TEXT.replace("\r\n", "\n").split("\n")
    for passage in passages:
        assert passage.text.split("\n")[0].split()[0] in lines[passage.line - 1]


@settings(max_examples=80, deadline=None)
@given(ANY_TEXT, st.sampled_from(["sentences", "documents", "tokens"]))
def test_places_in_any_text(tmp_path_factory, text, form):
    assert_places(text, read(tmp_path_factory.mktemp("any"), text, form), form)


@settings(max_examples=80, deadline=None)
@given(ANY_TEXT, st.sampled_from(["sentences", "documents", "tokens"]))
def test_places_in_any_texts(tmp_path_factory, text, form):
    path = tmp_path_factory.mktemp("any") / "text"
    path.write_text("\ufeff" + text, encoding="utf-8", newline="")
    assert_places("\ufeff" + text, list(read_texts(str(path), "utf-8", form)), form)


def assert_places(text, passages, form):
    done = 0
    for passage in passages:
        assert passage.start >= done
        done = passage.start
        assert passage.tokens
        for token in passage.tokens:
            start, end = passage.start + token.start, passage.start + token.end
            assert text[start:end] == passage.text[token.start : token.end] != ""
            done = end
    words = [
        passage.text[t.start : t.end].strip("\r\n") for passage in passages for t in passage.tokens
    ]
    if form == "tokens":
        kept = text.removeprefix("\ufeff").replace("\r", "\n").replace("\n", " ")
        assert words == [word for word in kept.split(" ") if word]
    else:
        assert "".join(words) == "".join(text.removeprefix("\ufeff").split())


def test_sentences_of_documents_go_over_lines(tmp_path):
    passages = read(tmp_path, "He met Mr.\nJones. They\nspoke.\n\nNew one", "documents")
    assert [" ".join(p.text.split()) for p in passages] == [
        "He met Mr. Jones.",
        "They spoke.",
        "New one",
    ]
    assert [passage.line for passage in passages] == [1, 2, 5]


def test_columns(tmp_path):
    passages = read(tmp_path, "The\tDT\tO\nend\tNN\tO\n\n\nYes\tUH\tO", "columns", columns=1)
    assert [[t.text for t in p.tokens] for p in passages] == [["The", "end"], ["Yes"]]
    assert [passage.columns for passage in passages] == [(("DT", "NN"),), (("UH",),)]
    with pytest.raises(InputError, match=r"line 2 of .*text has 1 columns .* line 1 has 2"):
        read(tmp_path, "The DT\nend\n", "columns", columns=1)
    with pytest.raises(InputError, match=r"column 0 is empty in line 1 of .*text"):
        read(tmp_path, " Peter NNP\n", "columns", columns=1)
    with pytest.raises(InputError, match="has 1 columns, so column0=1 is not a column"):
        read(tmp_path, "Peter\n", "columns", columns=1)


def test_places_in_columns_are_those_of_the_file(tmp_path):
    text = "Peter\tNNP\r\nsleeps\tVBZ\r\n\r\nYes\tUH"
    for passage in read(tmp_path, text, "columns", columns=1):
        for index, token in enumerate(passage.tokens):
            start, end = passage.file_span(index, index + 1)
            assert text[start:end] == token.text
    (first, _) = read(tmp_path, text, "columns", columns=1)
    assert text[slice(*first.file_span(0, 2))] == "Peter\tNNP\r\nsleeps"


def test_a_mark_of_an_editor_is_no_word(tmp_path):
    for form in ("sentences", "documents", "tokens", "columns"):
        (passage,) = read(tmp_path, "\ufeffPeter", form)
        assert [token.text for token in passage.tokens] == ["Peter"]
        assert passage.file_span(0, 1) == (1, 6)


@pytest.mark.parametrize("ends", ["", " ."])
def test_a_paragraph_without_an_end_is_read_in_parts(tmp_path, monkeypatch, ends):
    monkeypatch.setattr(sentence_splitting, "_MAX_PARAGRAPH_CHARACTERS", 60)
    lines = [f"word{n} goes{ends if n % 3 == 2 else ''}" for n in range(40)]
    text = "\n".join(lines)
    assert_places(text, read(tmp_path, text, "documents"), "documents")
    if ends:
        parts = [p.text.split() for p in read(tmp_path, text, "documents")]
        monkeypatch.setattr(sentence_splitting, "_MAX_PARAGRAPH_CHARACTERS", 10**6)
        whole = read(tmp_path, text, "documents")
        assert parts == [p.text.split() for p in whole]
        assert [p.line for p in whole] == list(range(1, 41, 3))


def test_columns_are_read_as_a_corpus_is(tmp_path):
    text = "-DOCSTART- -X-\n\nHe PRP\n\u00a0 NN\nsaid VBD\n \t\n-DOCSTART- -X-\nNo UH\n"
    passages = read(tmp_path, text, "columns", columns=1)
    assert [[t.text for t in p.tokens] for p in passages] == [["He", "\u00a0", "said"], ["No"]]


def test_prose_is_no_column_file(tmp_path):
    with pytest.raises(
        InputError, match=r"line 2 of .* has 3 columns .* line 1 has 2; .*--format sentences reads"
    ):
        read(tmp_path, "Plain text\nof two lines.\n", "columns")


def test_columns_without_an_empty_line(tmp_path, monkeypatch):
    monkeypatch.setattr(column_input, "_MAX_TOKENS", 5)
    with pytest.raises(InputError, match=r"line 7 of .*begins in line 2 has more than 5 tokens"):
        read(tmp_path, "\n" + "a\n" * 9, "columns")


def test_what_cannot_be_read(tmp_path):
    path = tmp_path / "latin"
    path.write_bytes("fine\ncaf\u00e9\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin is not utf-8.*0xe9.*--encoding latin-1"):
        list(read_passages(str(path), "utf-8", "sentences"))
    assert [p.text for p in read_passages(str(path), "latin-1", "sentences")][1] == "caf\u00e9"
    with pytest.raises(InputError, match="latin is not utf-16: UTF-16 stream does not start with"):
        list(read_passages(str(path), "utf-16", "sentences"))
    with pytest.raises(InputError, match="--encoding klingon"):
        list(read_passages(str(path), "klingon", "sentences"))
    with pytest.raises(InputError, match="no such file"):
        check_files(["-", str(tmp_path / "nowhere")], "sentences")
    with pytest.raises(InputError, match="is a folder; expected a text file"):
        check_files([str(tmp_path)], "sentences")
    path.write_bytes("fine".encode("utf-16"))
    with pytest.raises(
        InputError, match="in line 1 or later; give its encoding, for example --encoding utf-1"
    ):
        list(read_passages(str(path), "utf-8", "sentences"))
    assert read(tmp_path, "", "documents") == read(tmp_path, "\n \n", "sentences") == []


def test_a_table_is_not_read_as_text(tmp_path):
    (tmp_path / "mine.csv").write_text("review,stars\n")
    with pytest.raises(InputError, match=r"mine\.csv is a table; expected plain text"):
        check_files([str(tmp_path / "mine.csv")], "sentences")
    check_files([str(tmp_path / "mine.csv")], "columns")
