"""Column files are tagged with the columns of training, and keep their gold tags."""

import io
import json
import warnings

import pytest
import torch
from seqeval.metrics import f1_score

from datamodules.batching.buckets import BatchShare
from datamodules.batching.encode import EncodedSentences
from datamodules.tagging.columns import Columns
from datamodules.tagging.datamodule import TaggingData
from pipeline.checkpoints.read import Trained
from pipeline.encoders import LSTM
from pipeline.errors import InputError
from pipeline.inference.annotation import TagRequest, annotate
from pipeline.inference.annotation.column_input import ColumnInput
from pipeline.inputs import Column, Words
from tasks.tagging import Tagger

UD = (
    "# sent_id = 1\n"
    "1-2\tIt's\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "1\tIt\tit\tPRON\tPRP\t_\t2\tdep\t_\t_\n"
    "2\t's\tbe\tAUX\tVBZ\t_\t0\troot\t_\t_\n"
    "3\t3\t3\tNUM\tCD\t_\t0\troot\t_\t_\n\n"
)
CONLL = "EU NNP I-NP I-ORG\nrejects VBZ I-VP O\nParis NNP I-NP I-LOC\n\nPeter NNP I-NP I-PER\n\n"


def trained(folder, text, suffix=".txt", **columns):
    """A tagger with random weights, so that its tags differ with its input."""
    folder.mkdir()
    for split in ("train", "valid", "test"):
        (folder / f"{split}{suffix}").write_text(text)
    data = TaggingData(Columns(str(folder), **columns))
    torch.manual_seed(2)
    features = data.corpus.column_names
    parts = [Words(size=6, init_scale=2.0), *(Column(name, size=3) for name in features)]
    encoder = LSTM(6 + 3 * len(features), 5, bidirectional=True)
    model = Tagger(encoder, data.lexicon, data.tags, inputs=parts).eval()
    torch.nn.init.normal_(model.decoder.linear.weight, std=3)
    encoded = EncodedSentences(data.sentences("test"), data.lexicon, data.tags)
    rows = range(len(encoded.lengths))
    predicted = model.predict(encoded.batch(BatchShare(rows, len(rows), 1), 1))
    state = json.loads(json.dumps({**data.state_dict()}))  # plain data
    return Trained(model, state, {}), data, [one.tags for one in predicted]


def tag(tagger, path, style="conll", encoding="utf-8"):
    file = io.StringIO()
    annotate(tagger, TagRequest([str(path)], "columns", style, encoding), file)
    return [[line.split("\t") for line in block.splitlines()]
            for block in file.getvalue().strip("\n").split("\n\n")]  # fmt: skip


def test_a_model_of_conllu_reads_its_forms(tmp_path, capsys):
    tagger, _, predicted = trained(tmp_path / "ud", UD * 3, ".conllu", tag="upos", scheme="none")
    path = tmp_path / "ud" / "test.conllu"
    found = tag(tagger, path)
    assert [[row[0] for row in block] for block in found] == [["It", "'s", "3"]] * 3
    assert [[row[1] for row in block] for block in found] == [["PRON", "AUX", "NUM"]] * 3
    assert [[row[2] for row in block] for block in found] == predicted
    said = capsys.readouterr().err
    assert "3 ranges (1-2) of CoNLL-U were skipped" in said
    assert "3 comment lines were skipped" in said
    file = io.StringIO()
    annotate(tagger, TagRequest([str(path)], "columns", "jsonl"), file)
    for line in file.getvalue().splitlines():
        for span in json.loads(line)["spans"]:
            assert (UD * 3)[span["start"] : span["end"]] == span["text"]


@pytest.mark.parametrize("columns", [{"features": {"chunk": 2}}, {"features": {"chunk": -2}}])
def test_features_are_read_from_their_columns(tmp_path, columns):
    tagger, data, predicted = trained(tmp_path / "conll", CONLL * 3, **columns)
    found = tag(tagger, tmp_path / "conll" / "test.txt")
    gold = [list(s.tags) for s in data.sentences("test")]
    assert [[row[0:2] for row in block] for block in found] == [
        [["EU", "I-NP"], ["rejects", "I-VP"], ["Paris", "I-NP"]], [["Peter", "I-NP"]]
    ] * 3  # fmt: skip
    assert [[row[2] for row in block] for block in found] == gold
    assert gold[0] == ["B-ORG", "O", "B-LOC"]  # conlleval scores them with the predicted tags
    assert [[row[3] for row in block] for block in found] == predicted
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        score = f1_score(*[[[r[i] for r in block] for block in found] for i in (2, 3)])
        assert score == f1_score(gold, predicted)


def test_files_without_tags_and_with_other_tags(tmp_path):
    tagger, _, predicted = trained(tmp_path / "conll", CONLL * 3, features={"chunk": 2})
    path = tmp_path / "new.txt"
    path.write_text("EU NNP I-NP\nrejects VBZ I-VP\nParis NNP I-NP\n")
    assert [row[1:] for row in tag(tagger, path)[0]] == [
        [chunk, tag] for chunk, tag in zip(("I-NP", "I-VP", "I-NP"), predicted[0], strict=True)
    ]
    path.write_text("EU NNP I-NP _\nrejects VBZ I-VP _\n")
    assert [row[2] for row in tag(tagger, path)[0]] == ["_", "_"]
    path.write_text("EU NNP I-NP org\n")
    with pytest.raises(InputError, match=r"line 1 of .*new.txt: tag 'org' .*without the column of"):
        tag(tagger, path)
    assert len(tag(tagger, path, "jsonl")) == 1
    path.write_text("EU NNP\n")
    with pytest.raises(InputError, match="has 2 columns, so chunk=2 is not a column"):
        tag(tagger, path)


def test_gold_tags_of_a_column_whose_name_has_capitals(tmp_path):
    path = tmp_path / "a.conllu"
    path.write_text(UD)
    for name in ("upos", "UPOS"):
        data = {"lexicon": {"columns": {}}, "layout": {"tag": name, "scheme": "labels"}}
        [passage] = ColumnInput(data, has_features=False, has_tags=True).passages(
            str(path), "utf-8"
        )
        assert passage.gold == ("PRON", "AUX", "NUM")


def test_a_layout_that_lacks_a_feature():
    data = {"lexicon": {"columns": {"pos": ["NN"]}}, "layout": {"features": {}}}
    with pytest.raises(InputError, match=r"layout.features is .*expected a column for 'pos'"):
        ColumnInput(data, has_features=True)
