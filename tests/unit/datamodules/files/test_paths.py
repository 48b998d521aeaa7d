import pytest

from datamodules.files.paths import TAGGED, find_files, find_tagged_files, locate
from pipeline.errors import InputError
from tests.examples import refuses


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNROLL_DATA", raising=False)
    return tmp_path


def test_names_and_paths(data, monkeypatch):
    for folder in ("data/ptb", "elsewhere/ptb", "mine"):
        (data / folder).mkdir(parents=True)
    assert locate("ptb").samefile("data/ptb")
    assert locate("mine").samefile("mine")
    assert locate(str(data / "mine")).samefile("mine")
    monkeypatch.setenv("UNROLL_DATA", "elsewhere")
    assert locate("ptb").samefile("elsewhere/ptb")


def test_a_missing_corpus_names_the_command_that_gets_it(data):
    with refuses(
        "the corpus ptb is not in data/ptb; run `unroll prepare ptb`, or set UNROLL_DATA to the"
        " folder of your corpora"
    ):
        locate("ptb")
    (data / "data" / "ptb").mkdir(parents=True)
    with refuses("no train text in data/ptb; run `unroll prepare ptb`"):
        find_files(locate("ptb"))


def test_an_unknown_corpus_names_those_that_are_known(data):
    with refuses(
        "unknown corpus 'wikitxt2': neither data/wikitxt2 nor wikitxt2 is a folder; did you mean"
        " wikitext2? expected one of builtin, colors, ptb, wikitext2, or the path of a folder with"
        " train, valid and test files"
    ):
        locate("wikitxt2")


@pytest.mark.parametrize(
    "names",
    [
        ("train.txt", "valid.txt", "test.txt"),
        ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"),
        ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens"),
        ("a.b.train.de", "valid.de", "x.test.en"),
    ],
)
def test_files_are_found_by_name(tmp_path, names):
    others = ("README", "train", "training.txt", "strain.txt", "train.txt~", ".train.txt")
    for name in (*names, *others):
        (tmp_path / name).touch()
    (tmp_path / "x.train.folder").mkdir()
    found = find_files(tmp_path)
    assert [(split, path.name) for split, path in found.items()] == list(
        zip(("train", "valid", "test"), names, strict=True)
    )


def test_missing_and_ambiguous_files(tmp_path):
    for name in ("ptb.train.txt", "ptb.char.train.txt", "ptb.valid.txt"):
        (tmp_path / name).touch()
    with refuses(
        f"2 files in {tmp_path} match the names of the train text (ptb.char.train.txt,"
        " ptb.train.txt); choose one with --data.files.train=NAME"
    ):
        find_files(tmp_path)
    with refuses(
        f"no test text in {tmp_path}: expected test.* or *.test.* (such as test.txt or"
        " ptb.test.txt); rename the file, or choose it with --data.files.test=NAME"
    ):
        find_files(tmp_path, {"train": "ptb.train.txt"})
    with refuses(f"--data.files.test: no file {tmp_path}/nothing; expected the test text"):
        find_files(tmp_path, {"train": "ptb.train.txt", "test": "nothing"})
    with refuses("--data.files: unknown split 'dev'; expected one of train, valid, test"):
        find_files(tmp_path, {"dev": "ptb.valid.txt"})
    found = find_files(tmp_path, {"train": "ptb.char.train.txt", "test": "ptb.valid.txt"})
    assert [path.name for path in found.values()] == [
        "ptb.char.train.txt",
        "ptb.valid.txt",
        "ptb.valid.txt",
    ]


@pytest.mark.parametrize("name", ["validation.txt", "dev.txt", "some.valid.txt"])
def test_other_names_of_the_validation_text(tmp_path, name):
    for file in ("train.txt", name, "test.txt"):
        (tmp_path / file).write_text("a b\n")
    assert find_files(tmp_path)["valid"].name == name


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("eng.train", "eng.testa", "eng.testb"), ("eng.train", "eng.testa", "eng.testb")),
        (("train.txt", "test.txt", "README"), ("train.txt", None, "test.txt")),
        (("train", "dev", "test", "train.txt.gz"), ("train", "dev", "test")),
        (("my.train.conll", "my.valid.conll", "my.test.conll"), None),
        (
            ("train.tsv", "devel.tsv", "test.tsv", "train_dev.tsv"),
            ("train.tsv", "devel.tsv", "test.tsv"),
        ),
        (("en_ewt-ud-train.conllu", "en_ewt-ud-dev.conllu", "en_ewt-ud-test.conllu"), None),
        (
            ("e-ud-train.conllu", "e-ud-train.txt", "e-ud-test.conllu", "e-ud-test.txt"),
            ("e-ud-train.conllu", None, "e-ud-test.conllu"),
        ),
        (
            ("laptop14_train.txt", "laptop14_test.txt", "about_test.md"),
            ("laptop14_train.txt", None, "laptop14_test.txt"),
        ),
        (("train.char.bmes", "dev.char.bmes", "test.char.bmes"), None),
        (
            ("NER-de-train.tsv", "NER-de-dev.tsv", "NER-de-test.tsv", "NER-de-train.tsv.gz"),
            ("NER-de-train.tsv", "NER-de-dev.tsv", "NER-de-test.tsv"),
        ),
        (
            (
                "train-00000-of-00002.parquet",
                "train-00001-of-00002.parquet",
                "validation-00000-of-00001.parquet",
            ),
            ("train-*-of-00002.parquet", "validation-00000-of-00001.parquet", None),
        ),
    ],
)
def test_files_of_tagged_sentences(tmp_path, names, found):
    for name in names:
        (tmp_path / name).touch()
    splits = zip(("train", "valid", "test"), found or names, strict=True)
    expected = [(split, name) for split, name in splits if name]
    assert [(split, path.name) for split, path in find_tagged_files(tmp_path).items()] == expected


def test_missing_and_ambiguous_files_of_tagged_sentences(tmp_path):
    for name in ("eng.train", "esp.train", "eng.testb"):
        (tmp_path / name).touch()
    with refuses(
        f"2 files in {tmp_path} match the names of the train sentences (eng.train, esp.train);"
        " choose one with --data.source.files.train=NAME"
    ):
        find_tagged_files(tmp_path)
    with refuses(
        f"--data.source.files.train: no file {tmp_path}/nothing; expected the train sentences"
    ):
        find_tagged_files(tmp_path, {"train": "nothing"})


def test_a_missing_tagged_corpus(data):
    with pytest.raises(
        InputError, match=r"^the corpus conll2003 is not in data/conll2003; run `unroll"
    ):
        locate("conll2003", TAGGED)
    (data / "data" / "conll2003").mkdir(parents=True)
    with refuses("no train sentences in data/conll2003; run `unroll prepare conll2003`"):
        find_tagged_files(locate("conll2003"))
