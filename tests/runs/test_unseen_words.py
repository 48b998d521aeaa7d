"""Words that training has not seen are read by their pretrained vectors."""

import numpy as np
import pytest

from tests.configs import part, small_tagger, write_config
from tests.harness import command, error_of, fit

NEW = "w17 w18 w3 said w19"


def write_columns(path, sentences):
    path.write_text("\n".join("".join(f"{w}\tDT\tB-X\n" for w in s.split()) for s in sentences))


@pytest.fixture
def corpus(project):
    """A folder of column files, and vectors for its words and for others."""
    rng = np.random.default_rng(1)
    folder = project / "corpora" / "tagged"
    folder.mkdir(parents=True)
    for split in ("train", "valid"):
        rows = (rng.integers(0, 12, 5) for _ in range(30))
        text = ("".join(f"w{i}\tDT\t{'B-X' if i % 3 else 'O'}\n" for i in row) for row in rows)
        (folder / f"{split}.txt").write_text("\n".join(text))
    vectors = ("".join(f" {x:.4f}" for x in rng.normal(size=12)) for _ in range(20))
    lines = (f"w{i}{row}\n" for i, row in enumerate(vectors))
    (project / "vectors.txt").write_text("".join(lines))
    return folder


def trained(project, corpus, monkeypatch, name, test):
    write_columns(corpus / "test.txt", test)
    words = part("pipeline.inputs.Words", size=12, tuned=False)
    column = part("pipeline.inputs.Capitalisation", size=4)
    changes = {"model.init_args.inputs": [words, column]}
    config = small_tagger(corpus, **changes)
    config["data"]["init_args"]["vectors"] = str(project / "vectors.txt")
    path = write_config(project, config, f"{name}.yaml")
    return fit(project / name, monkeypatch, "--config", path)


def tags_of(capsys, *arguments):
    capsys.readouterr()
    assert command("predict", *arguments) == 0
    return capsys.readouterr()


def test_predict_reads_a_sentence_as_the_test_split_does(project, corpus, monkeypatch, capsys):
    (project / "new.txt").write_text(NEW + "\n")
    run = trained(project, corpus, monkeypatch, "with", [NEW, "w1 w2"])
    expected = [line.split("\t")[-1] for line in tags_of(capsys, "--run", run).out.splitlines()[:5]]
    run = trained(project, corpus, monkeypatch, "without", ["w1 w2"])
    read = ("--run", run, "--input", project / "new.txt", "--format", "tokens", "--as", "conll")
    found = tags_of(capsys, *read)
    assert [line.split("\t")[-1] for line in found.out.splitlines()[:5]] == expected
    assert "80.0% do not occur in the training text (60.0% have a vector in vectors" in found.err
    assert "20.0% are read as the unknown word" in found.err

    (project / "vectors.txt").rename(project / "moved.txt")
    lost = tags_of(capsys, *read)
    assert "vectors.txt, are neither at" in lost.err
    assert "80.0% are read as the unknown word" in lost.err
    moved = tags_of(capsys, *read, "--vectors", project / "moved.txt")
    assert moved.out == found.out

    (project / "moved.txt").write_text((project / "moved.txt").read_text().replace("0.1", "0.2"))
    assert "is not the file of word vectors" in error_of(
        capsys, "predict", *read, "--vectors", project / "moved.txt"
    )
    assert "there is no such file" in error_of(
        capsys, "predict", *read, "--vectors", project / "nowhere"
    )
    assert "--vectors needs --input" in error_of(
        capsys, "predict", "--run", run, "--vectors", project / "moved.txt"
    )


def test_a_model_without_pretrained_vectors_looks_nothing_up(
    project, opinions, monkeypatch, capsys
):
    config = small_tagger(opinions)
    config["model"]["init_args"]["inputs"] = [part("pipeline.inputs.Words", size=16)]
    run = fit(project / "here", monkeypatch, "--config", write_config(project, config))
    (project / "new.txt").write_text(NEW + "\n")
    read = ("--run", run, "--input", project / "new.txt")
    error = error_of(capsys, "predict", *read, "--vectors", project / "new.txt")
    assert "reads no pretrained word vectors" in error
    found = tags_of(capsys, *read)
    assert "80.0% are read as the unknown word" in found.err
    assert "have a vector" not in found.err
