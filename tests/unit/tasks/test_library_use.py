"""With a plain Lightning Trainer, `validate` and `test` return the scores of every task."""

import pytest
import torch

from datamodules.language_model.datamodule import LanguageModelData
from datamodules.long_memory.datamodule import LongMemoryData
from datamodules.sentiment.builtin import BuiltinReviews
from datamodules.sentiment.datamodule import SentimentData
from datamodules.tagging.builtin import BuiltinOpinions
from datamodules.tagging.datamodule import TaggingData
from pipeline.callbacks import TokenReport
from pipeline.checkpoints.read import Trained
from pipeline.encoders import GRU
from pipeline.metrics.items import ItemScores
from pipeline.ngrams import KneserNey
from pipeline.synthetic import Adding
from tasks.language_model import LanguageModel
from tasks.long_memory import LongMemory
from tasks.mixture import MixtureLanguageModel
from tasks.ngram import NgramLanguageModel
from tasks.sentiment import SentenceClassifier
from tasks.tagging import Tagger
from tests.examples import quiet_trainer


def language_model(corpus):
    data = LanguageModelData(str(corpus))
    return LanguageModel(GRU(3, 4), data.vocabulary), data


def ngram(corpus):
    data = LanguageModelData(str(corpus))
    return NgramLanguageModel(data.vocabulary, order=2, smoothing=KneserNey()), data


def mixture(corpus):
    model, data = language_model(corpus)
    member = Trained(model.eval(), {"vocabulary": data.vocabulary.words}, {}, "member")
    return MixtureLanguageModel([member], data.vocabulary), data


def tagger(corpus):
    data = TaggingData(BuiltinOpinions(num_train=20))
    return Tagger(GRU(3, 4), data.lexicon, data.tags), data


def classifier(corpus):
    data = SentimentData(BuiltinReviews(num_train=20))
    return SentenceClassifier(GRU(3, 4), data.lexicon, data.labels), data


def long_memory(corpus):
    data = LongMemoryData(Adding(5), num_batches=2, num_valid=10, num_test=10)
    return LongMemory(GRU(2, 4), data.problem), data


@pytest.mark.parametrize(
    ("make", "score"),
    [
        *((make, "perplexity") for make in (language_model, ngram, mixture)),
        (tagger, "f1"),
        (classifier, "accuracy"),
        (long_memory, "mse"),
    ],
)
def test_scores_are_returned(project, corpus, make, score):
    torch.manual_seed(1)
    model, data = make(corpus)
    trainer = quiet_trainer(max_epochs=1)
    trainer.fit(model, data)
    for stage, evaluate in (("val", trainer.validate), ("test", trainer.test)):
        (scores,) = evaluate(model, data, verbose=False)
        assert f"{stage}/{score}" in scores
        assert scores == {name: float(value) for name, value in trainer.callback_metrics.items()}


@pytest.mark.parametrize("make", [language_model, ngram, mixture])
def test_the_losses_of_blocks_give_the_perplexity(make, corpus, tmp_path):
    """Also without an MLflow run; the mixture returns its log-probabilities flattened."""
    model, data = make(corpus)
    trainer = quiet_trainer(max_epochs=1, limit_train_batches=2, callbacks=[TokenReport(tmp_path)])
    trainer.fit(model, data)
    (scores,) = trainer.test(model, data, verbose=False)
    items = ItemScores.from_json((tmp_path / "items.json").read_text())
    sums = items.values.sum(axis=1)
    assert float(items.score(sums)) == pytest.approx(scores["test/perplexity"], rel=1e-5)
    assert sums[1] == scores["test/tokens"]
