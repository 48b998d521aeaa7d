"""Trains an LSTM language model with a plain Lightning Trainer, and samples sentences from it.

    python examples/train_language_model.py

The built-in corpus is written by a small grammar with subject-verb agreement over distance. The
perplexity of the grammar itself is 20.25, so no model can be much better.
"""

from functools import partial

import torch
from lightning.pytorch import Trainer, seed_everything

from datamodules.language_model.datamodule import LanguageModelData
from pipeline.checkpoints.read import Trained
from pipeline.encoders import LSTM
from pipeline.inference.generate import generate_texts
from pipeline.inference.scoring import InputLine, Scorer
from pipeline.options import Sampling
from tasks.language_model import LanguageModel


def main(max_epochs: int = 2) -> None:
    """Trains, tests, scores two sentences, and samples."""
    seed_everything(1)
    data = LanguageModelData("builtin", batch_size=20, bptt=35)
    model = LanguageModel(
        LSTM(input_size=64, hidden_size=128),
        data.vocabulary,
        dropout=0.2,
        optimizer=partial(torch.optim.Adam, lr=0.003),
    )
    trainer = Trainer(
        max_epochs=max_epochs,
        gradient_clip_val=5.0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
    )
    trainer.fit(model, data)
    (scores,) = trainer.test(model, data, verbose=False)
    print(f"test perplexity {scores['test/perplexity']:.2f}")

    trained = Trained(model.eval(), data.state_dict(), {})
    lines = [InputLine(1, "the boys laugh"), InputLine(2, "laugh the boys")]
    for scored in Scorer(trained).score(iter(lines)):
        print(f"{scored.log_prob:8.2f}  {scored.line.text}")
    for text in generate_texts(trained, "the boys", Sampling(num=3, length=20)):
        print(text)


if __name__ == "__main__":
    main()
