"""`unroll score` from the command line: its output and its errors."""

import gzip
import json
import math

import pytest
import torch

from pipeline.inference.scoring import Hypothesis, InputLine, ScoreFormat, Scorer, rerank
from tests.examples import language_model
from tests.harness import command, error_of

TEXTS = ["a b zebra", "", "d <unk> d a"]


@pytest.fixture
def trained():
    return language_model()


@pytest.fixture
def checkpoint(trained, tmp_path):
    """The file of that model."""
    encoder = {"class_path": "pipeline.encoders.LSTM"}
    encoder["init_args"] = {"input_size": 3, "hidden_size": 5}
    model = {"class_path": "tasks.language_model.LanguageModel", "init_args": {"encoder": encoder}}
    data = {"class_path": "datamodules.language_model.datamodule.LanguageModelData"}
    path = tmp_path / "model.ckpt"
    torch.save(
        {
            "config": {"model": model, "data": data},
            "state_dict": trained.model.state_dict(),
            "LanguageModelData": trained.data,
        },
        path,
    )
    return path


@pytest.fixture
def expected(trained):
    return list(
        Scorer(trained).score(iter([InputLine(n, text) for n, text in enumerate(TEXTS, 1)]))
    )


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(TEXTS) + "\n")
    return path


@pytest.fixture
def score(capsys, checkpoint, source):
    def run(*flags, code=0):
        arguments = ["score", "--checkpoint", checkpoint, "--input", source, *flags]
        assert command(*arguments) == code
        return capsys.readouterr()

    return run


def test_a_line_a_sentence(score, expected):
    done = score()
    assert [line.split("\t") for line in done.out.splitlines()] == [
        [f"{s.log_prob:.6f}", str(len(s.tokens)), str(s.num_unknown), f"{s.perplexity:.4f}"]
        for s in expected
    ]
    assert "3 sentences, 10 tokens" in done.err
    assert "2 tokens are unknown" in done.err


def test_a_line_a_token(score, expected):
    rows = [line.split("\t") for line in score("--tokens", "--log10").out.splitlines()]
    assert [row[:2] + row[3:] for row in rows[:4]] == [
        ["1", "a", "known"],
        ["1", "b", "known"],
        ["1", "zebra", "unknown"],
        ["1", "<eos>", "known"],
    ]
    found = [float(row[2]) for row in rows]
    flat = [p / math.log(10) for s in expected for p in s.log_probs]
    assert found == pytest.approx(flat, abs=1e-6)


def test_json_lines(score, expected, tmp_path):
    done = score("--as=jsonl", "--tokens", "--output", tmp_path / "out")
    assert done.out == ""
    rows = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [row["text"] for row in rows] == TEXTS
    first, one = rows[0], expected[0]
    assert first["log_prob"] == pytest.approx(one.log_prob, abs=1e-6)
    assert (first["line"], first["num_tokens"], first["num_unknown"]) == (1, 4, 1)
    assert first["perplexity"] == pytest.approx(one.perplexity, abs=1e-6)
    assert [t["is_unknown"] for t in first["tokens"]] == [False, False, True, False]
    assert [t["log_prob"] for t in first["tokens"]] == pytest.approx(one.log_probs, abs=1e-6)
    assert "log10_prob" in json.loads(score("--as=jsonl", "--log10").out.splitlines()[0])


def test_a_probability_of_0_is_valid_json(expected):
    none = expected[0]._replace(log_probs=[-math.inf] * 4)
    row = json.loads(next(ScoreFormat("jsonl").lines(none)), parse_constant=pytest.fail)
    assert (row["log_prob"], row["perplexity"]) == (None, None)
    assert next(ScoreFormat("tsv").lines(none)) == "-inf\t4\t1\tinf"


def test_nbest_lists_are_ordered_by_the_sum(score, source, expected):
    """The order is retyped: score + weight * log p, ties as they came."""
    first, empty, second = (one.log_prob for one in expected)
    source.write_text(
        f"7 ||| {TEXTS[0]} ||| LM= -1 ||| 5\n"
        f"7 ||| {TEXTS[2]} ||| LM= -2 ||| -5 ||| 0-0\n"
        f"7 ||| {TEXTS[0]} ||| LM= -3 ||| 5\n"
        "8 ||| \n"
    )
    lines = {
        "first": f"7 ||| {TEXTS[0]} ||| LM= -1 Unroll0= {first:.6f} ||| {5 + 0.5 * first:.6f}",
        "again": f"7 ||| {TEXTS[0]} ||| LM= -3 Unroll0= {first:.6f} ||| {5 + 0.5 * first:.6f}",
        "second": f"7 ||| {TEXTS[2]} ||| LM= -2 Unroll0= {second:.6f} |||"
        f" {-5 + 0.5 * second:.6f} ||| 0-0",
    }
    last = f"8 |||  ||| Unroll0= {empty:.6f} ||| {0.5 * empty:.6f}"
    order = ["first", "again", "second"]
    if 5 + 0.5 * first < -5 + 0.5 * second:
        order = ["second", "first", "again"]
    found = score("--nbest", "--weight=0.5").out.splitlines()
    assert found == [*(lines[name] for name in order), last]
    best = score("--nbest", "--weight=0.5", "--best").out.splitlines()
    assert best == [lines[order[0]], last]


def test_weight_0_leaves_the_scores_as_they_are():
    def hypothesis(score):
        return Hypothesis("0", InputLine(1, f"h{score}"), "", score)

    rows = [(hypothesis(1.0), -math.inf), (hypothesis(3.0), -5.0), (hypothesis(2.0), -1.0)]
    found = [line.split(" ||| ")[1] for line in rerank(rows, 0.0, only_best=False)]
    assert found == ["h3.0", "h2.0", "h1.0"]
    assert next(rerank(rows, 1.0, only_best=True)).split(" ||| ")[1] == "h2.0"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--input=none.txt"], "--input none.txt: there is no such file"),
        (["--input=."], "--input . is a folder; expected a text file"),
        (["--output=none/out"], "--output none/out: there is no folder none; create it first"),
        (["--nbest", "--weight=nan"], "--weight must be a finite number, got nan"),
        (["--weight=1"], "--weight applies to n-best lists and needs --nbest; leave it out"),
        (["--best"], "--best applies to n-best lists and needs --nbest"),
        (["--nbest", "--stream"], "--stream cannot be combined with --nbest"),
        (["--nbest", "--as=tsv"], "--as cannot be combined with --nbest"),
        (["--nbest"], "has no list ID; expected ID and words"),
        (["--as=xml"], "xml"),
        (["--data.unit=word"], "unknown argument --data.unit=word of `unroll score`"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_mistakes(score, project, flags, expected):
    done = score(*flags, code=2)
    assert done.err.count("\n") == 1
    assert expected in done.err
    assert done.out == ""


def test_models_that_there_are_not(capsys, project, tmp_path):
    for flags, expected in (
        ([], "which model? give --run RUN or --checkpoint FILE"),
        (["--run", "none"], "no runs yet"),
        (["--checkpoint", "none"], "there is no checkpoint file none"),
    ):
        assert expected in error_of(capsys, "score", *flags)


def test_a_torn_text_leaves_no_output(score, source, tmp_path):
    source.write_bytes(b"a b\n" * 5000 + b"\xff\n")
    score("--output", tmp_path / "out", code=2)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


ARPA = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1.5 <UNK>
-99 <s> -0.4
-1.0 </s> -0.5
-0.6 one -0.2
-0.8 two -0.3

\\2-grams:
-0.3 <s> one
-0.4 one two
-0.1 </s> <s>

\\end\\
"""


def test_an_arpa_file_brings_its_vocabulary(tmp_path, capsys):
    """`one two </s>` and `seven </s>` by hand; `seven` is unknown."""
    (tmp_path / "digits.lm").write_bytes(gzip.compress(ARPA.encode()))
    (tmp_path / "text").write_text("one two\nseven\n")
    flags = ("--arpa", tmp_path / "digits.lm", "--input", tmp_path / "text", "--log10")
    for more in ([], ["--stream"]):
        assert command("score", *flags, *more) == 0
        done = capsys.readouterr()
        rows = [line.split("\t") for line in done.out.splitlines()]
        first, second = -0.3 - 0.4 - 0.3 - 1.0, -0.4 - 1.5 - 1.0
        assert [float(row[0]) for row in rows] == pytest.approx([first, second], abs=1e-6)
        assert [row[1:3] for row in rows] == [["3", "0"], ["2", "1"]]
        whole, known = 10 ** -((first + second) / 5), 10 ** -((first - 1.0) / 4)
        assert f"perplexity including unknown words {whole:.4f}" in done.err
        assert f"perplexity excluding unknown words {known:.4f}" in done.err
        assert "note: the training text has no <unk>" not in done.err


def test_an_arpa_file_of_characters(tmp_path, capsys):
    (tmp_path / "a.lm").write_text(ARPA.replace("two", "<space>").replace("one", "a"))
    (tmp_path / "text").write_text("a a\n")
    assert command("score", "--arpa", tmp_path / "a.lm", "--input", tmp_path / "text") == 0
    assert capsys.readouterr().out.split("\t")[1:3] == ["4", "0"]


def test_sources_of_a_model(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.lm").write_text(ARPA)
    (tmp_path / "text").write_text("one\n")
    for flags, expected in (
        ((), "which model?"),
        (("--arpa=a.lm", "--run=x"), "--run: not allowed with argument --arpa"),
        (("--arpa=b.lm",), "ARPA file b.lm does not exist"),
        (("--arpa=text",), "text is not an ARPA file: it has no line \\data\\"),
        (("--checkpoint=a.lm",), "a.lm is an ARPA file; give it with --arpa a.lm"),
    ):
        assert expected in error_of(capsys, "score", "--input=text", *flags)
