import re

import pytest

from datamodules.tagging.mpqa.released import LISTS, MPQA, read_documents, read_expressions
from pipeline.errors import InputError
from pipeline.text.tags import spans

ROWS = {  # document -> its only sentence; d4 is in no list and has a token with U+00A0
    "a/d0": ["He\tPRP\tO", "said\tVBD\tB", "so\tRB\tI"],
    "a/d1": ["-LRB-\t-LRB-\tO", "fine\tJJ\tB"],
    "a/d2": ["1\u00a01/2\tCD\tO"],
    "a/d3": ["No\tUH\tB", "!\t.\tB"],
    "a/d4": ["6\u00a03/8\tCD\tO", "left\tVBD\tO", "over\tRP\tI"],
}


@pytest.fixture
def folder(tmp_path):
    """Five documents; in each fold a/d0 and a/d2 are training, a/d1 validation and a/d3 test."""
    (tmp_path / "datasplit").mkdir()
    text = "".join("\n".join(rows) + "\n\n" for rows in ROWS.values())
    for name in ("dse", "ese"):
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    ids = "".join(f"{number} 0 {name}\n" for number, name in enumerate(ROWS))
    (tmp_path / "sentenceid.txt").write_text(ids)
    for name in LISTS:
        documents = "a/d3\n" if "test" in name else "a/d2\na/d0\n"
        (tmp_path / name).write_text("a/d0\na/d1\na/d2\na/d3\n" if "doclist" in name else documents)
    return tmp_path


def test_documents_are_split_by_the_lists_of_the_fold(folder):
    corpus = MPQA(str(folder), "dse", fold=3).read()
    tokens = {split: [s.tokens for s in part] for split, part in corpus.splits.items()}
    assert tokens == {
        "train": [("He", "said", "so"), ("1\u00a01/2",)],
        "valid": [("-LRB-", "fine")],
        "test": [("No", "!")],
    }
    assert corpus.splits["train"][0].tags == ("O", "B-DSE", "I-DSE")
    assert corpus.splits["train"][0].columns == (("PRP", "VBD", "RB"),)
    assert corpus.column_names == ("pos",)
    assert set(corpus.files.values()) == {folder / "dse.txt"}
    assert corpus.notes == ("fold 3 of 10: 2 train, 1 valid, 1 test and 1 unused documents",)


def test_expressions_name_the_file_and_the_type(folder):
    (folder / "dse.txt").unlink()
    source = MPQA(str(folder), "ese")
    assert source.name == f"{folder.name}-ese"
    assert source.read().splits["test"][0].tags == ("B-ESE", "B-ESE")


def test_an_inside_label_after_outside_is_kept_and_counted(folder):
    change(folder / "dse.txt", "fine\tJJ\tB", "fine\tJJ\tI")  # a/d4, with another one, is not used
    corpus = MPQA(str(folder)).read()
    assert corpus.splits["valid"][0].tags == ("O", "I-DSE")
    assert corpus.notes[1].startswith("1 I labels continue no span")


def test_windows_line_ends_and_a_missing_last_blank_line_are_read(folder):
    path = folder / "dse.txt"
    text = path.read_bytes().rstrip(b"\n").replace(b"\n", b"\r\n")
    before = MPQA(str(folder)).read()
    path.write_bytes(text)
    assert MPQA(str(folder)).read() == before


def change(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("dse.txt", "said\tVBD\tB", "said VBD B", r"line 2 of \S+dse.txt has 1 columns"),
        ("dse.txt", "said\tVBD\tB", "said\tB", r"line 2 of \S+dse.txt has 2 columns"),
        ("dse.txt", "said\tVBD", "\tVBD", r"line 2 of \S+dse.txt has 3 columns \('\\tVBD"),
        ("dse.txt", "fine\tJJ\tB", "fine\tJJ\tB-DSE", r"line 6 of \S+dse.txt is 'B-DSE'; B, I"),
        ("sentenceid.txt", "4 0 a/d4\n", "", r"sentenceid.txt has 4 lines, but \S+ has 5 sent"),
        ("sentenceid.txt", "1 0 a/d1", "1 a/d1", r"line 2 of \S+sentenceid.txt is '1 a/d1'"),
        ("datasplit/filelist_train0", "a/d0", "a/d9", r"line 2 of \S+train0 names \S+ \S+ a/d9"),
        ("datasplit/filelist_test0", "a/d3", "a/d9", r"line 1 of \S+test0 names \S+ \S+ a/d9"),
        ("datasplit/doclist.mpqaOriginalSubset", "a/d1", "b", r"line 2 of \S+Subset names"),
        ("datasplit/filelist_train0", "a/d0", "a/d3", r"a/d3 is in \S+train0 and in \S+test0"),
        ("datasplit/filelist_test0", "a/d3", "a/d3\na/d1", r"name all documents of \S+Subset"),
        ("datasplit/filelist_test0", "a/d3", "", r"filelist_test0 names no document"),
        ("datasplit/filelist_train0", "a/d0", "a/d4", r"a/d4 is in \S+train0 .* not in \S+Subset"),
    ],
)  # fmt: skip
def test_broken_files_are_refused(folder, file, old, new, message):
    change(folder / file, old, new)
    with pytest.raises(InputError, match=message):
        MPQA(str(folder)).read()


@pytest.mark.parametrize("file", ["dse.txt", "sentenceid.txt", "datasplit/filelist_train0"])
def test_a_missing_file_is_named(folder, file):
    (folder / file).unlink()
    with pytest.raises(InputError, match=re.escape(f"no file {folder / file};")):
        MPQA(str(folder)).read()


def test_an_empty_file_and_another_encoding_are_refused(folder):
    (folder / "dse.txt").write_text("\n\n")
    with pytest.raises(InputError, match="contains no sentence"):
        MPQA(str(folder)).read()
    (folder / "dse.txt").write_bytes(b"caf\xe9\tNN\tO\n")
    with pytest.raises(InputError, match="is not UTF-8"):
        MPQA(str(folder)).read()


@pytest.mark.parametrize("fold", [-1, 10])
def test_a_fold_outside_is_refused(fold):
    with pytest.raises(InputError, match=f"fold is {fold}; MPQA has the folds 0 to 9"):
        MPQA(fold=fold)


def counts(sentences):
    tokens = sum(len(sentence.tokens) for sentence in sentences)
    return len(sentences), tokens, sum(len(spans(sentence.tags)) for sentence in sentences)


@pytest.mark.parametrize(
    ("expressions", "everything", "subset", "dev", "folded", "train", "test"),
    [  # spans
        ("dse", 11_171, 9_966, 2_775, 7_191, 6_553, 638),
        ("ese", 13_412, 12_211, 3_598, 8_613, 7_820, 793),
    ],
)
def test_published_counts(
    real_data, expressions, everything, subset, dev, folded, train, test
):  # the table of the data's README
    folder = real_data / "mpqa"
    path = folder / f"{expressions}.txt"
    sentences = read_expressions(path, "X")
    documents = read_documents(folder / "sentenceid.txt", path, len(sentences))
    assert counts(sentences) == (14_492, 364_570, everything)
    assert len(set(documents)) == 668
    assert sum("\u00a0" in token for s in sentences for token in s.tokens) == 5

    def of(names):
        return counts([s for s, d in zip(sentences, documents, strict=True) if d in names])

    listed = {name: set((folder / name).read_text().split()) for name in LISTS}
    tested = [names for name, names in listed.items() if "test" in name]
    assert of(listed[LISTS[0]]) == (11_111, 298_581, subset)
    assert of(set().union(*tested)) == (8_241, 219_887, folded)
    splits = MPQA(str(folder), expressions, fold=0).read().splits
    assert counts(splits["train"]) == (7_507, 199_961, train)
    assert counts(splits["valid"]) == (2_870, 78_694, dev)
    assert counts(splits["test"]) == (734, 19_926, test)


@pytest.mark.slow
def test_the_ten_folds_share_a_development_set_and_test_all_else_once(real_data):
    corpora = [MPQA(str(real_data / "mpqa"), "dse", fold) for fold in range(MPQA.num_folds)]
    splits = [corpus.read().splits for corpus in corpora]
    assert all(each["valid"] == splits[0]["valid"] for each in splits)
    assert sum(len(each["test"]) for each in splits) == 8_241
    assert {len(each["train"]) + len(each["test"]) for each in splits} == {8_241}
