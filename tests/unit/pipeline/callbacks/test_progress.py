"""The progress bar: the score of the last validation, read once."""

import torch
from lightning.pytorch import LightningModule

from pipeline.callbacks import Bar
from tests.examples import quiet_trainer


def test_a_score_is_read_once(monkeypatch):
    bar, trainer, model = Bar("val/perplexity"), quiet_trainer(), LightningModule()
    assert bar.get_metrics(trainer, model) == {}
    reads = []
    read = torch.Tensor.__float__
    monkeypatch.setattr(torch.Tensor, "__float__", lambda self: reads.append(1) or read(self))
    for number, score in enumerate((12.34567, 9.5), start=1):
        trainer.callback_metrics["val/perplexity"] = torch.tensor(score)
        for _ in range(3):
            assert bar.get_metrics(trainer, model) == {"val/perplexity": f"{score:.5g}"}
        assert len(reads) == number
