"""Mistakes in a table of reviews: one sentence on stderr and exit code 2."""

import pytest

from tests.configs import part, small_classifier, write_config
from tests.harness import command
from tests.runs.errors.test_language_model import rejected

GOOD = "review,stars\n" + "".join(f"text number {i},{i % 2}\n" for i in range(100))
FLAGS = ("--data.source.text=review", "--data.source.label=stars")


def fit(project, content, *flags):
    (project / "mine.csv").write_text(content, encoding="utf-8")
    config = small_classifier()
    source = part("datamodules.sentiment.table.Table", train=str(project / "mine.csv"))
    config["data"]["init_args"]["source"] = source
    return "fit", "--config", write_config(project, config), *flags


@pytest.mark.parametrize(
    ("content", "flags", "message"),
    [
        (GOOD, (), "mine.csv has no column 'text', only 'review', 'stars'"),
        (GOOD, FLAGS[:1], "mine.csv has no column 'label', only 'review', 'stars'"),
        (GOOD, (*FLAGS, "--data.source.fraction=0"), "mine has no valid split; add a file for it"),
        (GOOD.replace(",1\n", ",0\n"), FLAGS, "all training texts of mine have the label 0; two"),
        (GOOD.replace("number 7", "number\0 7"), FLAGS, "line 9 of"),
        (GOOD.replace("number 7", "7 " * 5_000_000), FLAGS, "line 9 of"),
        (
            GOOD.replace("number 7,1", "number 7,"),
            FLAGS,
            "mine.csv has no stars; add a label, or skip",
        ),
        ("review,stars\n ,1\n,0\n", FLAGS, "contains no text in the column 'review'"),
        ("review,stars\na,0\nb,1\n", FLAGS, "too few"),
        (GOOD, (*FLAGS, "--data.sampling=all", "--data.phrases=2"), "has no labelled phrases"),
        (GOOD, (*FLAGS, "--data.num_train=5000"), "num_train is 5,000, but there are 81"),
        (GOOD, (*FLAGS, "--model.encoder.input_size=0"), "input_size must be at least 1, got 0"),
        (GOOD, (*FLAGS, "--model.pooling=Maxx"), "Max"),
        (GOOD, (*FLAGS, "--model.encoder_from=none"), "none"),
    ],
)
def test_it_is_said_in_one_sentence(capsys, project, content, flags, message):
    assert message in rejected(capsys, *fit(project, content, *flags))


def test_what_is_odd_is_reported(capsys, project):
    content = GOOD.replace("\n", "\r\n", 40) + "a\u0085b,1\n ,1\n" + "twice said,1\n" * 40
    assert command(*fit(project, content, *FLAGS, "--trainer.max_epochs=1")) == 0
    said = capsys.readouterr().err
    assert "1 rows of mine.csv without text were skipped" in said
    assert "texts of test also occur in train" in said
    assert "no test file: 14 training texts, stratified" in said
