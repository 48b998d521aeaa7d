from collections import Counter

import pytest

from datamodules.tagging.mpqa.original import convert
from datamodules.tagging.mpqa.released import LISTS, MPQA
from pipeline.errors import InputError

TEXT = "\tHe said (so) he hates caf\u00e9s. Good!\n\n  They can't. "
SENTENCES = ["He said (so) he hates caf\u00e9s.", "Good!", "They can't."]
TOKENS = "He said -LRB- so -RRB- he hates caf\u00e9s . Good ! They ca n't ."  # by hand


def place(text, part, encoding="utf-8"):
    """Returns the byte offsets of a part of a text."""
    data = text.encode(encoding)
    start = data.index(part.encode(encoding))
    return start, start + len(part.encode(encoding))


@pytest.fixture
def distribution(tmp_path):
    """Adds a document to a distribution and returns its folder."""
    folder = tmp_path / "database"

    def add(
        name="p/one", dse=(), ese=(), text=TEXT, sentences=None, encoding="utf-8", version="2.0",
        lines="",
    ):  # fmt: skip
        annotated = folder / "man_anns" / name
        annotated.mkdir(parents=True)
        (folder / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "docs" / name).write_bytes(text.encode(encoding))
        if sentences is None:
            sentences = [place(text, sentence, encoding) for sentence in SENTENCES]
        (annotated / f"gatesentences.mpqa.{version}").write_text(
            "".join(f"{i}\t{a},{b}\tstring\tGATE_sentence\n" for i, (a, b) in enumerate(sentences))
        )
        spans = [("direct-subjective", span) for span in dse]
        spans += [("expressive-subjectivity", span) for span in ese]
        spans = [
            (kind, span if isinstance(span, tuple) else place(text, span, encoding))
            for kind, span in spans
        ]
        (annotated / f"gateman.mpqa.lre.{version}").write_text(
            "# a comment\n"
            + "".join(f"7\t{a},{b}\tstring\tGATE_{kind}\t\n" for kind, (a, b) in spans)
            + lines,
            encoding="utf-8",
        )
        return folder

    return add


def labels(destination, name="dse"):
    """Returns the converted tokens with a label other than O."""
    rows = [
        line.split("\t") for line in (destination / f"{name}.txt").read_text("utf-8").split("\n")
    ]
    assert all(row[1] == "_" for row in rows if len(row) > 1)
    return [(row[0], row[2]) for row in rows if len(row) > 1 and row[2] != "O"]


def test_the_sample_converts_to_the_expected_files(real_data, tmp_path):
    """All columns agree except parts of speech, which the distribution does not contain."""
    sample = real_data / "mpqa" / "standoff_sample"
    report = convert(sample, tmp_path, sample / "doclist.sample")
    for name in ("dse.txt", "ese.txt"):
        expected = (sample / f"expected_{name}").read_text("utf-8").split("\n")
        without_pos = [
            "\t".join([row.split("\t")[0], "_", row.split("\t")[2]]) if row else row
            for row in expected
        ]
        assert (tmp_path / name).read_text("utf-8").split("\n") == without_pos
    ids = (sample / "expected_sentenceid.txt").read_bytes()
    assert (tmp_path / "sentenceid.txt").read_bytes() == ids
    assert (report.documents, report.sentences, report.tokens) == (6, 171, 4_472)
    assert report.spans == {
        "dse": {"kept": 130, "cut": 0, "widened": 0, "overlaps another span": 1},  # annotated twice
        "ese": {"kept": 372, "cut": 0, "widened": 0},
    }


@pytest.mark.parametrize("version", ["1.2", "2.0"])
def test_tokens_labels_and_sentences_are_written_as_released(distribution, tmp_path, version):
    folder = distribution(dse=["said"], ese=["hates caf\u00e9s", "Good", "can't"], version=version)
    out = tmp_path / "out"
    convert(folder, out)
    rows = [line.split("\t")[0] for line in (out / "dse.txt").read_text("utf-8").split("\n")]
    assert " ".join(rows).split() == TOKENS.split()
    assert [i for i, row in enumerate(rows) if not row] == [9, 12, 17, 18]  # after each sentence
    assert labels(out) == [("said", "B")]
    assert labels(out, "ese") == [
        ("hates", "B"), ("caf\u00e9s", "I"), ("Good", "B"), ("ca", "B"), ("n't", "I"),
    ]  # fmt: skip
    assert (out / "sentenceid.txt").read_text() == "0 0 p/one\n0 1 p/one\n0 2 p/one\n"


def test_documents_come_in_the_order_of_the_list_and_each_once(distribution, tmp_path):
    for name in ("p/b", "p/a", "q/c"):
        folder = distribution(name, dse=["said"])
    listed = tmp_path / "list"
    listed.write_text("q/c\np/a\n\nq/c\n")
    convert(folder, tmp_path / "listed", listed)
    convert(folder, tmp_path / "all")
    for out, names in (("listed", ["q/c", "p/a"]), ("all", ["p/a", "p/b", "q/c"])):
        ids = (tmp_path / out / "sentenceid.txt").read_text().split("\n")
        assert ids[:-1] == [f"{i} {j} {name}" for i, name in enumerate(names) for j in range(3)]


@pytest.mark.parametrize(
    ("spans", "expected", "counts"),
    [
        ([(5, 5), (0, 0)], [], {"empty": 2}),
        ([(5, 4000), (900, 901), (8, 5)], [], {"outside the document": 3}),
        ([(0, 1), "\n\n  "], [], {"no token of a sentence": 2}),
        (["sa"], [("said", "B")], {"widened": 1}),
        ([") he"], [("-RRB-", "B"), ("he", "I")], {}),
        (["s. Good"], [("caf\u00e9s", "B"), (".", "I")], {"cut": 1, "widened": 1}),
        (["\n\n  They"], [("They", "B")], {}),
        (["!\n\n  They"], [("!", "B")], {"cut": 1}),
        (["hates", "he hates"], [("he", "B"), ("hates", "I")], {"overlaps another span": 1}),
        (["so", "so)", "so"], [("so", "B"), ("-RRB-", "I")], {"overlaps another span": 2}),
        (["He said", "said (so"], [("He", "B"), ("said", "I")], {"overlaps another span": 1}),
        (["said", "(so)"], [("said", "B"), ("-LRB-", "B"), ("so", "I"), ("-RRB-", "I")], {}),
    ],
)  # fmt: skip
def test_what_becomes_of_a_span(distribution, tmp_path, spans, expected, counts):
    report = convert(distribution(dse=spans, ese=["Good"]), tmp_path / "out")
    assert labels(tmp_path / "out") == expected
    kept = sum(label == "B" for _, label in expected)
    assert report.spans["dse"] == Counter(kept=kept) + Counter(counts)


def test_annotations_of_other_types_and_odd_attributes_do_no_harm(distribution, tmp_path):
    start, end = place(TEXT, "hates")
    lines = (
        f"1\t0,40\tstring\tGATE_agent\t id=\"w\"\n"
        f"2\t{start},{end}\tstring\tGATE_direct-subjective\n"
        f"3\t{start + 6},{end + 6}\tstring\tGATE_direct-subjective\t source=\"w, x\" note=\"\" \r\n"
        "\n"
        "no annotation\n"
    )  # fmt: skip
    report = convert(distribution(ese=["Good"], lines=lines), tmp_path / "out")
    assert labels(tmp_path / "out") == [("hates", "B"), ("caf\u00e9s", "B")]
    note = "p/one: 1 malformed lines of gateman.mpqa.lre.2.0 were skipped (the first is line 7)"
    assert note in report.notes


def test_text_that_is_not_utf8_is_read_as_latin1(distribution, tmp_path):
    report = convert(distribution(dse=["caf\u00e9s"], encoding="latin-1"), tmp_path / "out")
    assert labels(tmp_path / "out") == [("caf\u00e9s", "B")]
    assert "p/one: the text is not UTF-8 and was read as Latin-1" in report.notes


def test_a_sentence_may_cut_a_character(distribution, tmp_path):
    start, end = place(TEXT, "\u00e9s.")
    convert(distribution(dse=["s."], sentences=[(start + 1, end)]), tmp_path / "out")
    assert labels(tmp_path / "out") == [("\ufffds", "B"), (".", "I")]


def test_unsound_sentences_are_skipped_and_noted(distribution, tmp_path):
    good = place(TEXT, SENTENCES[0])
    sentences = [(9, 9), (good[1] - 3, good[1] + 4), (20, 5000), good, (1, 2)]
    report = convert(distribution(dse=["said"], sentences=sentences), tmp_path / "out")
    assert report.sentences == 1
    assert any(note.startswith("p/one: skipped 4 of 5 sentences that") for note in report.notes)


def test_a_document_without_sentences_is_noted(distribution, tmp_path):
    distribution("p/one", dse=["said"])
    report = convert(distribution("p/two", dse=["said"], sentences=[]), tmp_path / "out")
    assert "p/two: no valid sentence" in report.notes
    assert report.spans["dse"]["no token of a sentence"] == 1


def test_the_report_tells_what_was_done(distribution, tmp_path):
    report = convert(distribution(dse=["said", (4, 4), "sa", "s. Good"]), tmp_path / "out")
    lines = str(report).split("\n")
    assert lines[1:6] == [
        "  1 documents, 3 sentences, 15 tokens",
        "  dse: 2 spans kept (1 cut at the end of a sentence, 1 extended to whole tokens)",
        "    1 skipped: empty",
        "    1 skipped: overlaps another span",
        "  ese: 0 spans kept (0 cut at the end of a sentence, 0 extended to whole tokens)",
    ]
    assert 'part-of-speech column is "_"' in lines[6]
    assert (tmp_path / "out" / "conversion.txt").read_text() == f"{report}\n"


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("docs/p/one", "no file .*docs/p/one, the text of the document p/one"),
        ("man_anns/p/one/gatesentences.mpqa.2.0", "no file .*gatesentences.mpqa.2.0"),
        ("man_anns/p/one/gateman.mpqa.lre.2.0", r"has no gateman.mpqa.lre.2.0 or .1.2"),
    ],
)
def test_a_missing_file_is_named(distribution, tmp_path, missing, message):
    folder = distribution(dse=["said"])
    (folder / missing).unlink()
    with pytest.raises(InputError, match=message):
        convert(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_layout_is_refused(distribution, tmp_path):
    with pytest.raises(InputError, match="does not contain the folders docs and man_anns"):
        convert(tmp_path, tmp_path / "out")
    folder = distribution(dse=["said"])
    annotations = folder / "man_anns/p/one/gateman.mpqa.lre.2.0"
    annotations.write_text("1\t5,9\tdirect-subjective\tintensity=low\n")  # as in version 3.0
    with pytest.raises(
        InputError, match="has no annotation of type GATE_direct-subjective or GATE_exp"
    ):
        convert(folder, tmp_path / "out")
    annotations.write_text("# comment\nsaid 5 9\nsaid 5 9\n")
    with pytest.raises(
        InputError, match=r"no line of \S+gateman.mpqa.lre.2.0 has the form `id TAB start,end TAB"
    ):
        convert(folder, tmp_path / "out")


def test_a_list_that_names_a_missing_document_is_refused(distribution, tmp_path):
    folder = distribution(dse=["said"])
    listed = tmp_path / "list"
    listed.write_text("p/one\np/two\n")
    with pytest.raises(InputError, match=r"line 2 of \S+list names the document p/two"):
        convert(folder, tmp_path / "out", listed)
    listed.write_bytes(b"p/one\np/caf\xe9\n")
    with pytest.raises(InputError, match="list is not UTF-8: byte 11"):
        convert(folder, tmp_path / "out", listed)
    with pytest.raises(
        InputError, match=r"no file \S+none; a list with one document name per line"
    ):
        convert(folder, tmp_path / "out", tmp_path / "none")


def test_a_corpus_is_not_overwritten(distribution, tmp_path):
    folder = distribution(dse=["said"])
    convert(folder, tmp_path / "out")
    with pytest.raises(InputError, match=r"out already contains a corpus \(dse.txt\)"):
        convert(folder, tmp_path / "out")


def many(distribution, count):
    for number in range(count):
        folder = distribution(f"p/{number:02}", dse=["said"], text=TEXT + str(number))
    return folder


def test_folds_are_made_of_the_subset_where_there_are_none(distribution, tmp_path):
    folder = many(distribution, 22)
    names = [f"p/{number:02}" for number in range(20)]
    (folder / "doclist.mpqaOriginalSubset").write_text("\n".join(names) + "\nq/not-here\n")
    report = convert(folder, tmp_path / "out")
    note = "15 documents were divided into 10 folds with seed 1, and 5 form the development set"
    assert note in str(report)
    out = tmp_path / "out"
    listed = {name: set((out / name).read_text().split()) for name in LISTS}
    subset = listed.pop(LISTS[0])
    tested = [listed[f"datasplit/filelist_test{fold}"] for fold in range(10)]
    folded = set().union(*tested)
    assert subset == set(names)
    assert len(folded) == sum(map(len, tested)) == 15
    for fold in range(10):
        assert listed[f"datasplit/filelist_train{fold}"] == folded - tested[fold]
        splits = MPQA(str(out), "dse", fold).read().splits
        assert [len(splits[split]) // 3 for split in ("valid", "test")] == [5, len(tested[fold])]
    convert(folder, tmp_path / "again")
    assert all(
        (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes() for name in LISTS
    )


def test_too_few_documents_for_folds_are_told(distribution, tmp_path):
    report = convert(many(distribution, 12), tmp_path / "out")
    assert "12 documents are too few for a development set and 10 folds" in str(report)
    assert not (tmp_path / "out" / "datasplit").exists()


def test_lists_beside_the_annotations_are_taken(distribution, tmp_path):
    folder = many(distribution, 4)
    (folder / "datasplit").mkdir()
    for name in LISTS:
        listed = ["p/00", "p/01", "p/02", "p/03"] if "doclist" in name else ["p/00"]
        listed = ["p/01"] if "test" in name else listed
        (folder / name).write_text("\n".join(listed))
    convert(folder, tmp_path / "out")
    assert len(MPQA(str(tmp_path / "out")).read().splits["valid"]) == 6
    (folder / LISTS[3]).write_text("p/00\np/99\n")
    with pytest.raises(InputError, match=r"filelist_train2 names the document p/99, which was not"):
        convert(folder, tmp_path / "other")
    assert not list((tmp_path / "other").iterdir())
    (folder / LISTS[3]).unlink()
    with pytest.raises(InputError, match=r"no file \S+filelist_train2; all 21 lists"):
        convert(folder, tmp_path / "other")
