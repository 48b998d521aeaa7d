"""`unroll test --on`: data that training knows nothing of."""

import json
import math
import shutil

import pytest
from seqeval.metrics import f1_score

from pipeline.errors import InputError
from pipeline.run.other_data import parse_other_data
from tests.configs import part, small_classifier, small_tagger, write_config
from tests.harness import command, error_of, fit, only_run, scores


def run_of(capsys, *arguments):
    capsys.readouterr()
    assert command(*arguments) == 0
    return capsys.readouterr()


def shortened(found, name):
    """The scores of one data set, as if it were the test split."""
    start = f"test/{name}/"
    return {"test/" + k.removeprefix(start): v for k, v in found.items() if k.startswith(start)}


def test_a_tagger_on_other_files(project, opinions, monkeypatch, capsys):
    config = write_config(project, small_tagger(opinions))
    run = fit(project / "here", monkeypatch, "--config", config)
    tested = scores(run_of(capsys, "test", "--run", run).out)
    predicted = run_of(capsys, "predict", "--run", run).out
    blocks = (opinions / "test.txt").read_text().strip().split("\n\n")
    (project / "some.txt").write_text("\n\n".join(blocks[::-2]) + "\n")
    strange = "\tNN\tB-ORG\n".join(("the", "minister", "")) + "\n" + "\n\n".join(blocks)
    (project / "strange.txt").write_text(strange + "\n")
    moved = opinions.rename(project / "moved")  # the corpus of training is not needed
    on = [project / "some.txt", f"all={moved}", f"odd={project / 'strange.txt'}"]
    found = run_of(capsys, "test", "--run", run, *(f"--on={path}" for path in on))

    everything = scores(found.out)
    assert shortened(everything, "all") == tested
    rows = [[line.split("\t") for line in b.splitlines()] for b in predicted.split("\n\n") if b]
    gold, tags = ([[row[i] for row in block] for block in rows[::-2]] for i in (2, 3))
    assert everything["test/some/f1"] == pytest.approx(f1_score(gold, tags), abs=1e-9)
    spans = sum(tag[0] == "B" for block in rows for row in block for tag in row[2:3])
    assert f"note: odd: 2 of {spans + 2:,} spans have types that never occur" in found.err
    recall = tested["test/recall"] * spans / (spans + 2)
    assert everything["test/odd/recall"] == pytest.approx(recall, rel=1e-6)
    assert "some: 31 sentences" in found.err
    kept = only_run(project / "here").data
    assert {k: v for k, v in kept.metrics.items() if k.count("/") == 2} == pytest.approx(everything)
    assert kept.tags["unroll.on.all"].startswith(f"{moved / 'test.txt'} (SHA-256 ")

    text = (moved / "test.txt").read_text()
    (project / "bare.txt").write_text("the\tDT\nman\tNN\n")
    assert "'DT' does not belong to" in error_of(
        capsys, "test", "--run", run, f"--on={project / 'bare.txt'}"
    )
    (project / "labels.txt").write_text(text.replace("\tO\n", "\tOUT\n"))
    error = error_of(capsys, "test", "--run", run, f"--on={project / 'labels.txt'}")
    assert "'OUT' does not belong to any scheme" in error
    assert "no file or folder" in error_of(capsys, "test", "--run", run, "--on=nowhere.txt")
    error = error_of(capsys, "test", "--run", run, f"--on={moved}", "--dynamic=1")
    assert "--dynamic cannot be combined with --on" in error
    assert "--vectors needs --on" in error_of(capsys, "test", "--run", run, "--vectors=v.txt")


def test_a_classifier_on_other_tables(project, monkeypatch, capsys):
    (project / "all.jsonl").write_text(
        "".join(
            json.dumps({"body": f"{w} film {i}", "stars": s}) + "\n"
            for i in range(12)
            for w, s in (("good", 5), ("dull", 1))
        )
    )
    source = part(
        "Table", train=str(project / "all.jsonl"), text="body", label="stars", fraction=0.2
    )
    config = small_classifier(**{"data.init_args.source": source})
    run = fit(project / "here", monkeypatch, "--config", write_config(project, config))
    rows = [("good film", 5.0), ("dull film", "1"), ("so so", 3), ("a good one", 5)]
    lines = (json.dumps({"body": text, "stars": label}) + "\n" for text, label in rows)
    (project / "more.jsonl").write_text("".join(lines))
    (project / "all.jsonl").unlink()
    found = run_of(capsys, "test", "--run", run, f"--on={project / 'more.jsonl'}")
    (project / "texts.txt").write_text("".join(f"{text}\n" for text, _ in rows))
    read = ("predict", "--run", run, "--input", project / "texts.txt", "--as", "jsonl")
    guessed = [json.loads(line)["label"] for line in run_of(capsys, *read).out.splitlines()]
    right = sum(label == str(int(gold)) for label, (_, gold) in zip(guessed, rows, strict=True))
    assert scores(found.out)["test/more/accuracy"] == pytest.approx(right / 4)
    assert "1 of 4 texts have labels that never occur in training" in found.err
    assert ": 3\n" in found.err
    error = error_of(capsys, "test", "--run", run, f"--on={project / 'texts.txt'}")
    assert "has no column 'body'" in error


@pytest.mark.parametrize("kind", ["lstm", "kn5"])
def test_a_language_model_on_other_texts(project, corpus, monkeypatch, capsys, kind):
    flags = [f"--data.corpus={corpus}", "--data.batch_size=2", "--data.bptt=5"]
    if kind == "lstm":
        flags += ["--trainer.max_epochs=1"]
    run = fit(project / "here", monkeypatch, "--config", f"lm/builtin-{kind}", *flags)
    tested = scores(run_of(capsys, "test", "--run", run).out)
    (project / "new.txt").write_text("<s> the cat sleeps </s>\nthe zebra sleeps\n")
    shutil.copy(corpus / "test.txt", project / "same.txt")
    shutil.rmtree(corpus)
    on = ("--on=new.txt", f"--on={project / 'same.txt'}")
    monkeypatch.chdir(project)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project}/here/mlflow.db")
    monkeypatch.setenv("UNROLL_OUTPUTS", str(project / "here" / "outputs"))
    output = run_of(capsys, "test", "--run", run, *on)
    assert "note: new: <s> and </s> around 1 line are left out\n" in output.err
    found = scores(output.out)
    assert shortened(found, "same") == tested
    assert found["test/new/tokens"] == 8
    assert found["test/new/unk"] == 1
    out = run_of(capsys, "score", "--run", run, "--input", "new.txt", "--stream", "--tokens").out
    nll = -sum(float(line.split("\t")[2]) for line in out.splitlines())
    assert found["test/new/perplexity"] == pytest.approx(math.exp(nll / 8), rel=1e-4)
    error = error_of(capsys, "test", "--run", run, "--on=nowhere.txt")
    assert "no file or folder nowhere.txt" in error
    (project / "empty.txt").write_text("\n\n")
    assert "is empty" in error_of(capsys, "test", "--run", run, "--on=empty.txt")
    error = error_of(capsys, "test", "--run", run, "--on=new.txt", "--vectors=new.txt")
    assert "reads no pretrained word vectors" in error


def test_names_of_scores():
    paths = ["a/eng.testa", "a/test.conllu.gz", "my news.txt", "b=a/eng.testa"]
    names = [other.name for other in parse_other_data(paths)]
    assert names == ["eng.testa", "test", "my_news", "b"]
    with pytest.raises(InputError, match=r"the name 'test'.*--on test-2=b/test.txt"):
        parse_other_data(["a/test.txt", "b/test.txt"])
    with pytest.raises(InputError, match="'a b' cannot be part"):
        parse_other_data(["a b=news.txt"])


@pytest.mark.slow
def test_conll_2003_side_by_side(project, real_data, monkeypatch, capsys):
    """Scores equal seqeval's; testb has the tags that it has as the test split of a training."""
    words = part("pipeline.inputs.Words", size=300, tuned=False)
    config = small_tagger(real_data / "conll2003")
    config["trainer"]["max_epochs"] = 1
    config["data"]["init_args"] |= {"vectors": "minilm-300.bin"}
    config["data"]["init_args"]["source"] = part("Columns", corpus="conll2003")
    config["model"]["init_args"]["inputs"] = [words]
    config["model"]["init_args"]["encoder"]["init_args"] |= {"input_size": 300, "num_layers": 1}
    with_testb = write_config(project, config, "testb.yaml")
    files = {"train": "eng.train", "valid": "eng.testa", "test": "eng.testa"}
    config["data"]["init_args"]["source"]["init_args"]["files"] = files
    without = write_config(project, config, "without.yaml")

    run = fit(project / "with", monkeypatch, "--config", with_testb)
    expected = run_of(capsys, "predict", "--run", run).out
    run = fit(project / "without", monkeypatch, "--config", without)
    paths = {name: real_data / "conll2003" / f"eng.{name}" for name in ("testa", "testb")}
    on = [f"--on={name}={path}" for name, path in paths.items()]
    found = scores(run_of(capsys, "test", "--run", run, *on).out)
    for name, path in paths.items():
        sentences = [block.splitlines() for block in path.read_text().strip().split("\n\n")]
        blocks = [b for b in sentences if not b[0].startswith("-DOCSTART-")]
        (project / "tokens").write_text(
            "".join(" ".join(line.split()[0] for line in block) + "\n" for block in blocks)
        )
        read = ("predict", "--run", run, "--input", project / "tokens", "--format", "tokens")
        tagged = run_of(capsys, *read, "--as", "conll").out
        tags = [[x.split("\t")[-1] for x in b.splitlines()] for b in tagged.split("\n\n") if b]
        gold = [[line.split()[-1] for line in block] for block in blocks]
        assert found[f"test/{name}/f1"] == pytest.approx(f1_score(gold, tags), abs=5e-7)
    splits = [b for b in expected.split("\n\n") if b.strip()]
    assert tags == [[line.split("\t")[-1] for line in block.splitlines()] for block in splits]
