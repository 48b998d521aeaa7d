"""Errors with taggers: one sentence on standard error, exit code 2, no run is opened."""

import pytest

from tests.harness import REPOSITORY
from tests.runs.errors.test_language_model import rejected

CONFIG = REPOSITORY / "configs/tagging/builtin-bilstm-crf.yaml"


@pytest.fixture
def vectors(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("".join(f"{word} 0.1 0.2 0.3\n" for word in ("the", "a", "minister")))
    return path


def test_more_folds_than_sentences(capsys, project):
    text = rejected(capsys, "crossvalidate", "--config", CONFIG, "--folds=100000")
    assert "--folds 100000: builtin has 3,500 training and validation rows, fewer" in text
    assert not (project / "mlflow.db").exists()


def mistaken(capsys, project, *flags):
    text = rejected(capsys, "train", "--config", CONFIG, *flags)
    assert not (project / "mlflow.db").exists()
    assert "Namespace" not in text
    return text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "valid.txt contains no sentence; one token per line"),
        ("a\tDT\tO\nb\tO\n", "valid.txt has 2 columns separated by TAB, but line 1 has 3"),
        ("a\tDT\tO\nb\tDT\tX-DSE\n", "'X-DSE' does not belong to any scheme"),
        ("a\tDT\tO\nb\xff\tDT\tO\n", "valid.txt is not UTF-8: byte 8 (in line 2)"),
    ],
    ids=["empty", "ragged", "scheme", "not-utf-8"],
)
def test_files(capsys, project, opinions, content, expected):
    (opinions / "valid.txt").write_bytes(content.encode("latin-1"))
    flags = ["--data.source=Columns", f"--data.source.corpus={opinions}"]
    assert expected in mistaken(capsys, project, *flags)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--model.encoder.input_size=49"], "set --model.encoder.input_size=50"),
        (["--data.vectors=none.txt"], "none.txt"),
        (["--data.vectors=vectors.txt"], "has size 50, but the vectors of vectors.txt have size 3"),
        (["--data.source=Columns", "--data.source.corpus=none"], "none"),
        (["--data.source.num_sentences=0"], "num_sentences"),
        (["--data=LanguageModelData"], "LanguageModelData has no lexicon or tags, which Tagger"),
        (["--model.decoder=CRF", "--model.decoder.miss_cost=-1"], "miss_cost"),
        (["--model.inputs=[{class_path: Wrds}]"], "did you mean"),
        (["--model.dropout=1.5"], "dropout"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else None,
)
@pytest.mark.usefixtures("vectors")
def test_flags(capsys, project, flags, expected):
    assert expected in mistaken(capsys, project, *flags)
