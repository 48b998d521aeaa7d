from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datamodules.batching.sentences import Sentence
from datamodules.files.paths import SPLITS
from datamodules.tagging.columns import Columns
from pipeline.errors import InputError
from pipeline.text.tags import spans
from tests.examples import refuses

TRAIN = "EU NNP I-ORG\nrejects VBZ O\n\nPeter NNP I-PER\nBlackburn NNP I-PER\nEU NNP I-ORG\n"
TEST = "Blackburn NNP I-PER\n"


@pytest.fixture
def write(tmp_path):
    """Writes files into a folder: split -> text."""

    def files(train=TRAIN, test=TEST, valid=TEST):
        folder = tmp_path / "mine"
        folder.mkdir(exist_ok=True)
        for split, text in {"train": train, "valid": valid, "test": test}.items():
            if text is not None:
                data = text if isinstance(text, bytes) else text.encode()
                (folder / f"{split}.txt").write_bytes(data)
        return str(folder)

    return files


def test_sentences_by_hand(write):
    source = Columns(write(), features={"pos": 1, "again": -2})
    corpus = source.read()
    assert source.name == "mine"
    pos = ("NNP", "NNP", "NNP")
    assert corpus.splits == {
        "train": [
            Sentence(("EU", "rejects"), ("B-ORG", "O"), (("NNP", "VBZ"), ("NNP", "VBZ"))),
            Sentence(("Peter", "Blackburn", "EU"), ("B-PER", "I-PER", "B-ORG"), (pos, pos)),
        ],
        "valid": [Sentence(("Blackburn",), ("B-PER",), (("NNP",), ("NNP",)))],
        "test": [Sentence(("Blackburn",), ("B-PER",), (("NNP",), ("NNP",)))],
    }
    assert {split: path.name for split, path in corpus.files.items()} == {
        split: f"{split}.txt" for split in ("train", "valid", "test")
    }
    assert (corpus.column_names, corpus.scheme, corpus.notes) == (("pos", "again"), "IOB1", ())


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.removesuffix("\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n\n", "\n \n\t\n\r\n\n"),
        lambda text: "\n\n" + text + "\n\n \n",
        lambda text: text.replace(" ", "\t"),
    ],
    ids=["crlf", "no end", "bom", "blank lines", "blank ends", "tabs"],
)
def test_the_same_sentences_otherwise_written(write, change):
    plain = Columns(write()).read().splits
    assert Columns(write(train=change(TRAIN))).read().splits == plain


def test_white_space_that_separates_nothing_is_part_of_a_token(write):
    text = "1\u00a01/2\tCD\tB-x\nA\u2028\u0085\tNN\tO\na b\tNN\tO\n\u00a0\tNN\tI-x\n"
    tokens = ("1\u00a01/2", "A\u2028\u0085", "a b", "\u00a0")
    corpus = Columns(write(text, text, text)).read()
    assert [s.tokens for s in corpus.splits["train"]] == [tokens]
    text = text.replace("a b", "a\vb").replace("\t", " ")
    assert Columns(write(text)).read().splits["train"][0].tokens[2] == "a\vb"
    one_column = "a b\tB-x\n"  # read with a space, the TAB is part of the tag
    with pytest.raises(InputError, match=r"tag 'b\\tB-x' does not belong to any scheme"):
        Columns(write(one_column, one_column, one_column), separator="space").read()


TOKEN = st.text(st.characters(exclude_characters=" \t\r\n", codec="utf-8"), min_size=1).filter(
    lambda token: not token.startswith(("-DOCSTART-", "\ufeff"))
)
SENTENCES = st.lists(
    st.lists(st.tuples(TOKEN, TOKEN, st.sampled_from(["O", "B-x", "I-x", "B-y"])), min_size=1),
    min_size=1,
)


@given(SENTENCES, st.sampled_from("\t "), st.sampled_from(["\n", "\r\n"]), st.integers(1, 3))
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_written_is_read(write, sentences, separator, end, blanks):
    sentences = [[("a", "b", "B-x")], *sentences]
    text = (end * (blanks + 1)).join(
        end.join(separator.join(row) for row in sentence) for sentence in sentences
    )
    corpus = Columns(write(train=text), features={"pos": 1}, scheme="IOB2").read()
    assert corpus.splits["train"] == [
        Sentence(words, tags, (pos,))
        for words, pos, tags in (zip(*s, strict=True) for s in sentences)
    ]


def test_documents_are_left_out_and_counted(write):
    marked = "-DOCSTART- -X- O O\n\n" + TRAIN.replace("\n\n", "\n-DOCSTART-\n")
    corpus = Columns(write(train=marked)).read()
    assert corpus.splits == Columns(write()).read().splits
    assert corpus.notes == ("2 -DOCSTART- lines were skipped",)


def test_long_and_single_sentences(write):
    text = "word NN O\n" * 4_999 + "word NN B-x\n"
    corpus = Columns(write(text, text, text)).read()
    assert [len(s.tokens) for s in corpus.splits["train"]] == [5_000]


@pytest.mark.parametrize(
    ("tags", "scheme", "bio"),
    [
        ("B-x B-x I-x", "IOB2", "B-x B-x I-x"),
        ("B_x-y I_x-y O", "IOB2", "B-x-y I-x-y O"),
        ("B-x E-x S-x", "BIOES", "B-x I-x B-x"),
        ("B-x L-x U-x", "BIOES", "B-x I-x B-x"),
        ("B I O", "BIO without types", "B-DSE I-DSE O"),
        ("I B O", "IOB1", "B-DSE B-DSE O"),
    ],
)
def test_schemes(write, tags, scheme, bio):
    text = "".join(f"w {tag}\n" for tag in tags.split())
    for given_scheme in ("auto", scheme):
        source = Columns(write(text, text, text), scheme=given_scheme, default_type="DSE")
        corpus = source.read()
        assert corpus.scheme == scheme
        assert {s.tags for part in corpus.splits.values() for s in part} == {tuple(bio.split())}


def test_malformed_tags_are_kept_and_counted(write):
    text = "a B-x\nb I-x\n\nc B-y\nd I-x\n\ne I-x\n\nf B-x\n\ng B-x\n"
    corpus = Columns(write(text, "a B-x\n", "a I-x\n")).read()
    assert corpus.scheme == "IOB2"
    assert [s.tags for s in corpus.splits["train"][1:3]] == [("B-y", "I-x"), ("I-x",)]
    assert corpus.notes == (
        "2 I tags in train continue no span: each begins a span, which strict scores ignore",
        "1 I tags in valid continue no span: each begins a span, which strict scores ignore",
    )


def test_types_that_training_lacks_are_named(write):
    corpus = Columns(write("a B-x\n", "a B-z\nb B-x\nc B-y\n", "a O\n")).read()
    assert corpus.notes == (
        "valid has no span: its F1 is 0 for every prediction",
        "test has types that never occur in training, so no model can predict them: y, z",
    )
    assert corpus.splits["test"][0].tags == ("B-z", "B-x", "B-y")


def test_labels_stay_as_they_are(write):
    train = "the DT\ndog NN\n\nboys NNS\n"
    corpus = Columns(write(train, "the DT\n", "a B-x\n"), scheme="none").read()
    assert corpus.scheme == "labels"
    assert [s.tags for s in corpus.splits["train"]] == [("DT", "NN"), ("NNS",)]
    assert corpus.notes == (
        "valid has labels that never occur in training, so no model can predict them: B-x",
    )
    folder = write("a B-x\n", "a B-x\n", "a B-x\n")
    with refuses(
        f"{folder}/train.txt contains BIO tags, but scheme is none, which reads labels; omit"
        " --data.source.scheme"
    ):
        Columns(folder, scheme="none").read()


@pytest.mark.parametrize(("num_sentences", "num_valid"), [(20, 2), (26, 3), (2, 1)])
def test_the_last_training_sentences_validate(write, num_sentences, num_valid):
    train = "".join(f"w{number} B-x\n\n" for number in range(num_sentences))
    corpus = Columns(write(train, "a B-x\n", valid=None)).read()
    words = [f"w{number}" for number in range(num_sentences)]
    assert [s.tokens[0] for s in corpus.splits["train"]] == words[:-num_valid]
    assert [s.tokens[0] for s in corpus.splits["valid"]] == words[-num_valid:]
    assert list(corpus.splits) == list(corpus.files) == ["train", "valid", "test"]
    assert corpus.files["valid"] == corpus.files["train"]
    assert corpus.held_out == {
        "valid": f"no validation file: the last {num_valid} of {num_sentences} training sentences"
        " are used for validation only"
    }


def test_too_few_sentences_to_hold_out(write):
    folder = write("a B-x\n", "a B-x\n", valid=None)
    with refuses(
        f"no validation file next to {folder}/train.txt, and its 1 sentences are too few for"
        " valid_fraction=0.1; add a validation file or more sentences"
    ):
        Columns(folder).read()


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_fraction_that_is_none(split, fraction):
    with pytest.raises(InputError, match=rf"^{split}_fraction is {fraction}; a fraction of the tr"):
        Columns("mine", **{f"{split}_fraction": fraction})


def test_a_type_without_a_name():
    with refuses("default_type is empty; the name of a span type is expected"):
        Columns("mine", default_type="")


ADVICE = (
    "set the tag column with --data.source.tag and the tag scheme with --data.source.scheme (IO for"
    " types alone, none for labels such as parts of speech)"
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"train": TRAIN + "Fischler O\n"},
            "line 7 of {}/train.txt has 2 columns separated by one space, but line 1 has 3; fix the"
            " line, or set the column separator with --data.source.separator",
        ),
        (
            {"train": TRAIN + "\u00a0\n"},
            "line 7 of {}/train.txt has 1 columns separated by one space, but line 1 has 3; fix the"
            " line, or set the column separator with --data.source.separator",
        ),
        (
            {"valid": "\na\tNN\tO\n\nb\tNN B-x\n"},
            "line 4 of {}/valid.txt has 2 columns separated by TAB, but line 2 has 3; fix the line,"
            " or set the column separator with --data.source.separator",
        ),
        (
            {"test": "\nFischler O\n"},
            "line 2 of {}/test.txt has 2 columns, but {}/train.txt has 3; use the same columns in"
            " all files",
        ),
        (
            {"tag": 3},
            "line 1 of {}/train.txt has 3 columns, so tag=3 is not a column; an index from -3 to 2"
            " is expected",
        ),
        (
            {"features": {"pos": -4}},
            "line 1 of {}/train.txt has 3 columns, so pos=-4 is not a column; an index from -3 to 2"
            " is expected",
        ),
        (
            {"train": "EU NNP I-ORG\nrejects VBZ \n"},
            "column 2 is empty in line 2 of {}/train.txt; a value is expected (check for a doubled"
            " separator)",
        ),
        (
            {"train": TRAIN + "\nx NN O\ny NN X-PER\n"},
            "line 9 of {}/train.txt: tag 'X-PER' does not belong to any scheme; expected O, or"
            " one of B, I, E, S, L, U, M and W, alone or with a type as in B-PER; " + ADVICE,
        ),
        (
            {"tag": 1},
            "line 1 of {}/train.txt: tag 'NNP' does not belong to any scheme; expected O, or"
            " one of B, I, E, S, L, U, M and W, alone or with a type as in B-PER; " + ADVICE,
        ),
        (
            {"test": TEST + "x NN E-PER\n"},
            "line 2 of {}/test.txt: tag 'E-PER' does not belong to the scheme IOB1; " + ADVICE,
        ),
        (
            {"scheme": "IOB2", "train": "\na NN O\nx NN S-PER\n"},
            "line 3 of {}/train.txt: tag 'S-PER' does not belong to the scheme IOB2; " + ADVICE,
        ),
        (
            {"train": TRAIN + "x NN I\n"},
            "line 7 of {}/train.txt: the tag 'I' has no type, but other training tags have one; "
            + ADVICE,
        ),
        (
            {"train": "a NN O\n\nb NN O\n"},
            "all tags in the training sentences of {}/train.txt are O; sentences with spans are"
            " expected (check the tag column, --data.source.tag)",
        ),
        (
            {"test": ""},
            "{}/test.txt contains no sentence; one token per line and a blank line after each"
            " sentence are expected",
        ),
        (
            {"train": "\n \n-DOCSTART- -X- O\n\r\n"},
            "{}/train.txt contains no sentence; one token per line and a blank line after each"
            " sentence are expected",
        ),
        (
            {"train": TRAIN.encode() + "\nKöln NNP I-LOC\n".encode("latin-1")},
            "{}/train.txt is not UTF-8: byte 79 (in line 8) is 0xf6; set its encoding, for example"
            " --data.source.encoding=cp1252, or convert the file, for example with `iconv -f"
            " WINDOWS-1252 -t UTF-8`",
        ),
    ],
)
def test_what_is_wrong_in_a_file(write, changes, message):
    texts = {name: text for name, text in changes.items() if name in SPLITS}
    folder = write(**texts)
    with refuses(message.replace("{}", folder)):
        Columns(folder, **{k: v for k, v in changes.items() if k not in SPLITS}).read()


def test_missing_files(write, tmp_path):
    folder = write(train=None)
    with refuses(
        f"no train sentences in {folder}: expected a file with train at the end of its name (such"
        " as train.txt, eng.train or en_ewt-ud-train.conllu); rename the file, or choose it with"
        " --data.source.files.train=NAME"
    ):
        Columns(folder).read()
    assert len(Columns(folder, files={"train": "valid.txt"}).read().splits["test"]) == 1
    with pytest.raises(
        InputError, match=r"^unknown corpus 'conll2030': .* did you mean conll2003\? "
    ):
        Columns("conll2030").read()


CONLL2003 = {
    "train": (14_041, 203_621, {"LOC": 7140, "MISC": 3438, "ORG": 6321, "PER": 6600}),
    "valid": (3_250, 51_362, {"LOC": 1837, "MISC": 922, "ORG": 1341, "PER": 1842}),
    "test": (3_453, 46_435, {"LOC": 1668, "MISC": 702, "ORG": 1661, "PER": 1617}),
}  # published


def test_conll2003(real_data):
    corpus = Columns("conll2003", features={"pos": 1}).read()
    assert (corpus.scheme, corpus.notes) == ("IOB1", ("1,393 -DOCSTART- lines were skipped",))
    for split, (num_sentences, num_tokens, entities) in CONLL2003.items():
        part = corpus.splits[split]
        assert len(part) == num_sentences
        assert sum(len(s.tokens) for s in part) == num_tokens
        assert Counter(span.label for s in part for span in spans(s.tags)) == entities


def test_conll2000(real_data):
    corpus = Columns("conll2000").read()
    assert corpus.scheme == "IOB2"
    assert list(corpus.held_out) == ["valid"]
    sizes = {
        split: (len(part), sum(len(s.tokens) for s in part), sum(len(spans(s.tags)) for s in part))
        for split, part in corpus.splits.items()
    }
    assert sizes["test"] == (2_012, 47_377, 23_852)
    whole = tuple(map(sum, zip(sizes["train"], sizes["valid"], strict=True)))
    assert whole == (8_936, 211_727, 106_978)
    labels = Columns("conll2000", tag=1, scheme="none").read()
    assert len({tag for s in labels.splits["train"] for tag in s.tags}) == 44
