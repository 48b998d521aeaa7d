"""A trained tagger on text: what is written, in which order, and what it does not depend on."""

import io
import json
import math
import os
import random
import select
import sys
import threading

import pytest
import torch

from pipeline.checkpoints.read import Trained
from pipeline.decoders import CRF
from pipeline.encoders import LSTM
from pipeline.errors import InputError
from pipeline.inference.annotation import TagRequest, annotate, tag, tag_sentences
from pipeline.inputs import Column, Words
from pipeline.process import cpu_multiplies_bfloat16
from pipeline.text.lexicon import Lexicon
from tasks.tagging import Tagger

WORDS = ["the", "minister", "sharply", "criticized", "it", "-LRB-", "-RRB-", ".", "said", "good"]


def model(with_column):
    torch.manual_seed(1)
    lexicon = Lexicon(dict.fromkeys(WORDS, 2), {"pos": ("DT", "NN")})
    parts = [Words(size=8, init_scale=2.0)] + ([Column("pos", size=2)] if with_column else [])
    encoder = LSTM(sum(part.output_size for part in parts), 6, bidirectional=True)
    built = Tagger(encoder, lexicon, ("O", "B-X", "I-X"), inputs=parts, decoder=CRF).eval()
    torch.nn.init.normal_(built.decoder.linear.weight, std=3)
    built.calibration.copy_(torch.tensor([0.5, -0.2]))
    return built, lexicon


@pytest.fixture(params=[False, True], ids=["words", "column"])
def tagger(request):
    built, lexicon = model(request.param)
    return Trained(built, {"lexicon": lexicon.to_state()}, {})


def run(trained, tmp_path, text, form="sentences", style="jsonl", bfloat16=False):
    path = tmp_path / "text"
    path.write_text(text, encoding="utf-8")
    file = io.StringIO()
    annotate(trained, TagRequest([str(path)], form, style, bfloat16=bfloat16), file)
    return file.getvalue()


def column_lines(sentences):
    return "\n".join("".join(f"{w}\tDT\n" for w in s.split()) for s in sentences)


SENTENCES = ["the minister sharply criticized it .", "said", "it said (good) . " * 9, "new words !"]


def test_order_and_places_and_confidence(tagger, tmp_path):
    has_column = len(tagger.model.inputs) > 1
    many = SENTENCES * 30
    text = column_lines(many) if has_column else "\n".join(many)
    form = "columns" if has_column else "sentences"
    rows = [json.loads(line) for line in run(tagger, tmp_path, text, form).splitlines()]
    assert len(rows) == len(many)
    assert any(row["spans"] for row in rows)
    for row, again in zip(rows, rows[4:], strict=False):  # neighbours do not matter
        assert [(s["label"], s["text"]) for s in row["spans"]] == [
            (s["label"], s["text"]) for s in again["spans"]
        ]
        assert [s["confidence"] for s in row["spans"]] == pytest.approx(
            [s["confidence"] for s in again["spans"]], abs=2e-4
        )
    for row in rows if not has_column else []:
        assert text[row["start"] : row["end"]] == row["text"]
        for span in row["spans"]:
            assert text[span["start"] : span["end"]] == span["text"]
            assert 0 < span["confidence"] < 1


def test_confidence_is_the_calibrated_probability(tmp_path):
    built, lexicon = model(with_column=False)
    tagger = Trained(built, {"lexicon": lexicon.to_state()}, {})
    (row,) = [json.loads(line) for line in run(tagger, tmp_path, SENTENCES[0]).splitlines()]
    words = SENTENCES[0].split()
    from datamodules.batching.buckets import BatchShare
    from datamodules.batching.encode import EncodedSentences
    from datamodules.batching.sentences import Sentence

    encoded = EncodedSentences(
        [Sentence(tuple(words), ("O",) * 6, (("DT",) * 6,))], lexicon, ("O",)
    )
    (predicted,) = built.predict(encoded.batch(BatchShare([0], 1, 1), 1))
    logits = [lp - math.log1p(-math.exp(lp)) for lp in predicted.log_probs]
    expected = [1 / (1 + math.exp(-(0.5 * logit - 0.2))) for logit in logits]
    assert [s["confidence"] for s in row["spans"]] == pytest.approx(expected, abs=1e-4)


def test_the_three_styles_say_the_same(tagger, tmp_path):
    if len(tagger.model.inputs) > 1:
        rows = run(tagger, tmp_path, column_lines(SENTENCES), "columns", "conll").split("\n\n")
        assert rows[0].splitlines()[0].split("\t")[:2] == ["the", "DT"]
        return
    text = "\n".join(SENTENCES)
    spans = [json.loads(line)["spans"] for line in run(tagger, tmp_path, text).splitlines()]
    blocks = run(tagger, tmp_path, text, style="conll").strip().split("\n\n")
    tags = [[line.split("\t")[-1] for line in block.splitlines()] for block in blocks]
    assert [sum(tag.startswith("B") for tag in row) for row in tags] == [len(s) for s in spans]
    assert [line.split("\t")[0] for line in blocks[2].splitlines()] == ["it", "said", "(", "good",
                                                                       ")", "."] * 9  # fmt: skip
    for line, sentence, found in zip(
        run(tagger, tmp_path, text, style="text").splitlines(), SENTENCES, spans, strict=True
    ):
        expected = sentence
        for span in reversed(found):
            offset = span["start"] - text.index(sentence)
            marked = f"[X {span['text']} {span['confidence']:.2f}]"
            expected = expected[:offset] + marked + expected[offset + len(span["text"]) :]
        assert [w for w in line.split() if "0." not in w] == [
            w for w in expected.split() if "0." not in w
        ]


def test_strings_are_tagged_as_a_file_is(tagger, tmp_path):
    if len(tagger.model.inputs) > 1:
        with pytest.raises(InputError, match="reads the column pos"):
            next(tag_sentences(tagger, ["the minister said"]))
        return
    rows = run(tagger, tmp_path, "\n".join(SENTENCES)).splitlines()
    for row, tagged in zip(rows, tag_sentences(tagger, [*SENTENCES, " "]), strict=True):
        assert tagged.passage.text == json.loads(row)["text"]
        assert [span.label for span in tagged.spans] == [
            span["label"] for span in json.loads(row)["spans"]
        ]
        assert tagged.confidences == pytest.approx(
            [span["confidence"] for span in json.loads(row)["spans"]], abs=1e-4
        )


def test_raw_text_for_a_model_that_reads_a_column(tagger, tmp_path):
    if len(tagger.model.inputs) > 1:
        with pytest.raises(Exception, match=r"reads the column pos.*--format columns"):
            run(tagger, tmp_path, "the minister said")


def test_long_and_empty(tagger, tmp_path):
    if len(tagger.model.inputs) == 1:
        assert run(tagger, tmp_path, "") == ""
        (row,) = run(tagger, tmp_path, "the minister " * 2500 + "\n\n").splitlines()
        assert len(json.loads(row)["text"].split()) == 5000


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
@pytest.mark.parametrize("style", ["jsonl", "conll", "text"])
def test_a_long_file_is_shared_by_processes(tmp_path, monkeypatch, style, capsys):
    built, lexicon = model(with_column=False)
    tagger = Trained(built, {"lexicon": lexicon.to_state()}, {})
    monkeypatch.setattr(tag, "_LINES", 7)
    text = "\n".join(SENTENCES * 10)
    found = []
    for number in (1, 2):
        monkeypatch.setattr(tag, "num_processes", lambda number=number: number)
        found.append((run(tagger, tmp_path, text, style=style), capsys.readouterr().err))
    assert found[0] == found[1]
    assert "40 sentences" in found[0][1]


def test_in_bfloat16_the_tags_are_almost_always_equal(tmp_path, monkeypatch):
    if not cpu_multiplies_bfloat16():
        pytest.skip("this CPU does not multiply bfloat16")
    built, lexicon = model(with_column=False)
    tagger = Trained(built, {"lexicon": lexicon.to_state()}, {})
    monkeypatch.setattr(tag, "num_processes", lambda: 1)
    generator = random.Random(1)
    text = "\n".join(" ".join(generator.choices(WORDS, k=12)) for _ in range(400))
    exact = run(tagger, tmp_path, text, style="conll").split("\n")
    rounded = run(tagger, tmp_path, text, style="conll", bfloat16=True).split("\n")
    assert sum(map(str.__eq__, exact, rounded)) >= 0.97 * len(exact)


def test_lines_of_a_pipe_are_answered_as_they_arrive(monkeypatch):
    built, lexicon = model(with_column=False)
    trained = Trained(built, {"lexicon": lexicon.to_state()}, {})
    (stdin, ask), (answers, stdout) = os.pipe(), os.pipe()
    with (
        open(stdin) as source,
        open(ask, "w", buffering=1) as asked,
        open(answers) as answered,
        open(stdout, "w") as file,
    ):
        monkeypatch.setattr(sys, "stdin", source)

        def answer():
            annotate(trained, TagRequest(["-"], output_format="jsonl"), file)
            file.flush()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        for sentence in ("the minister", "it said"):
            asked.write(sentence + "\n")
            assert select.select([answered], [], [], 60)[0], "no answer"
            assert json.loads(answered.readline())["text"] == sentence
        asked.write("good\n" * 5000)
        asked.close()
        texts = [json.loads(answered.readline())["text"] for _ in range(5000)]
        thread.join(60)
        assert not thread.is_alive()
    assert texts == ["good"] * 5000
