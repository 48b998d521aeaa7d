"""The demo page shows what `unroll predict`, `score` and `generate` compute."""

import math
import socket
import sys

import pytest
import torch

from pipeline.checkpoints.read import Trained
from pipeline.decoders import CRF
from pipeline.encoders import LSTM
from pipeline.errors import InputError
from pipeline.inference.annotation import classify_texts, tag_sentences
from pipeline.inference.demo.answers import classified, continued, tagged
from pipeline.inference.demo.page import make_app, make_page
from pipeline.inference.generate import generate_texts
from pipeline.inference.scoring import InputLine, Scorer
from pipeline.inference.serving import TextModel
from pipeline.inputs import Words
from pipeline.options import Sampling
from pipeline.text.lexicon import Labels, Lexicon
from pipeline.text.vocabulary import Vocabulary
from tasks.language_model import LanguageModel
from tasks.sentiment import SentenceClassifier
from tasks.tagging import Tagger
from tests.harness import error_of

WORDS = ["the", "minister", "criticized", "it", "."]
LEXICON = Lexicon(dict.fromkeys(WORDS, 2), {})
DATA = {"lexicon": LEXICON.to_state(), "max_tokens": 400}
TEXT = "The 😀 minister criticized it .\n\n it ."
SETTINGS = {"temperature": 0.7, "length": 6, "lines": 2, "seed": 5}


def model_of(kind):
    torch.manual_seed(4)
    inputs, encoder = [Words(size=6, init_scale=9.0)], LSTM(6, 5, bidirectional=True)
    if kind == "tagger":
        tags = ("O", "B-X", "I-X", "B-Y", "I-Y")
        model = Tagger(encoder, LEXICON, tags, inputs=inputs, decoder=CRF)
        torch.nn.init.normal_(model.decoder.linear.weight, std=9.0)
    elif kind == "classifier":
        labels = Labels(["bad", "good"], counts=[1, 1])
        model = SentenceClassifier(encoder, LEXICON, labels, inputs=inputs)
    else:
        model = LanguageModel(LSTM(6, 5), Vocabulary(["<unk>", "<eos>", *WORDS]))
    return Trained(model.eval(), DATA, {}, kind)


def test_spans_are_marked_where_the_tagger_found_them():
    trained, colors = model_of("tagger"), {}
    marked = tagged(TextModel(trained), TEXT, colors)
    expected = []
    for found in tag_sentences(trained, TEXT.split("\n")):
        tokens = [token.text for token in found.passage.tokens]
        for span, confidence in zip(found.spans, found.confidences, strict=True):
            words = "".join(tokens[span.start : span.end])
            expected.append((f"{span.label} {confidence:.2f}", words))
    entities = marked.value["entities"]
    words = ["".join(TEXT[each["start"] : each["end"]].split()) for each in entities]
    assert len(entities) > 1
    assert list(zip([each["entity"] for each in entities], words, strict=True)) == expected
    assert marked.colors == {name: colors[name.split()[0]] for name, _ in expected}
    assert len(set(colors.values())) == len(colors)


def test_a_continuation_is_that_of_generate_and_the_perplexity_that_of_score():
    trained = model_of("language model")
    text, sentence = continued(TextModel(trained), "the cat", SETTINGS)
    assert [text] == generate_texts(trained, "the cat", Sampling(num=1, **SETTINGS))
    (scored,) = Scorer(trained).score(iter([InputLine(1, "the cat")]))
    perplexity = math.exp(-sum(scored.log_probs) / 3)
    assert sentence == f"{perplexity:.2f} (tokens: 3 with the end of the line, of which 1 unknown)"
    with pytest.raises(InputError, match="the field seed is empty; enter a number"):
        continued(TextModel(trained), "the", {**SETTINGS, "seed": None})


def test_probabilities_are_those_of_predict():
    trained = model_of("classifier")
    (expected,) = classify_texts(trained, [TEXT])
    found = classified(TextModel(trained), TEXT)
    assert list(found.values()) == pytest.approx(expected.probabilities, abs=1e-4)
    assert classified(TextModel(trained), " \n") == {}


@pytest.mark.parametrize(
    ("kind", "call", "values"),
    [
        ("tagger", "tag", [TEXT]),
        ("classifier", "classify", ["it criticized it ."]),
        ("language model", "continue", ["the cat", *SETTINGS.values()]),
    ],
)
def test_the_page_shows_the_answer(kind, call, values):
    pytest.importorskip("gradio")
    from starlette.testclient import TestClient

    model = TextModel(model_of(kind))
    app = make_app(make_page(model, kind, "my `run`"), "127.0.0.1")
    browser = TestClient(app, base_url="http://127.0.0.1:7860")
    found = browser.post(f"/gradio_api/run/{call}", json={"data": values}).json()["data"]
    if kind == "tagger":
        tokens = found[0]["value"]
        assert "".join(token["token"] for token in tokens) == TEXT
        expected = tagged(model, TEXT, {})
        names = [token["class_or_confidence"] for token in tokens]
        assert [n for n in names if n] == [e["entity"] for e in expected.value["entities"]]
        assert found[0]["color_map"] == expected.colors
    elif kind == "classifier":
        shown = {each["label"]: each["confidence"] for each in found[0]["confidences"]}
        assert shown == classified(model, values[0])
    else:
        assert tuple(found) == continued(model, "the cat", SETTINGS)
        answer = browser.post("/gradio_api/run/continue", json={"data": ["the", 1, 2, 3, None]})
        assert answer.json()["error"] == "the field seed is empty; enter a number"
    config = browser.get("/config").json()
    assert config["analytics_enabled"] is False
    assert config["title"] == "Unroll: my `run`"
    assert browser.get("/", headers={"Host": "other.example"}).status_code == 400
    assert browser.get(f"/gradio_api/file={__file__}").status_code == 403


def test_the_command_needs_gradio(project, monkeypatch, capsys):
    (project / "x.ckpt").touch()
    monkeypatch.setitem(sys.modules, "gradio", None)
    error = error_of(capsys, "demo-page", "--checkpoint", "x.ckpt")
    assert error == (
        "unroll: `unroll demo-page` needs the Python package gradio, which is not installed; "
        'install the extra: pip install "unroll[demo]"\n'
    )


def test_addresses_that_cannot_be_used(project, capsys):
    pytest.importorskip("gradio")
    (project / "x.ckpt").touch()
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        error = error_of(capsys, "demo-page", "--checkpoint", "x.ckpt", "--port", port)
    assert error.startswith(f"unroll: the page cannot be served at 127.0.0.1, port {port} (Address")
    error = error_of(capsys, "demo-page", "--checkpoint", "x.ckpt", "--host", "192.0.2.1")
    assert error.startswith("unroll: the page cannot be served at 192.0.2.1, port 7860 (")
    error = error_of(capsys, "demo-page", "--checkpoint", "x.ckpt", "--port", "70000")
    assert error == "unroll: --port must be between 0 and 65535, got 70000\n"
