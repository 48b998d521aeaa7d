"""Trains a bidirectional LSTM-CRF tagger with a plain Lightning Trainer, and tags new sentences.

    python examples/train_tagger.py

The built-in corpus contains sentences with opinion expressions: direct subjective expressions (DSE)
such as "criticized", and expressive subjective elements (ESE).
"""

from functools import partial

import torch
from lightning.pytorch import Trainer, seed_everything

from datamodules.tagging.builtin import BuiltinOpinions
from datamodules.tagging.datamodule import TaggingData
from pipeline.checkpoints.read import Trained
from pipeline.decoders import CRF
from pipeline.encoders import LSTM
from pipeline.inference.annotation import tag_sentences
from pipeline.inputs import Words
from tasks.tagging import Tagger


def main(max_epochs: int = 4) -> None:
    """Trains, tests, and tags two sentences."""
    seed_everything(1)
    data = TaggingData(BuiltinOpinions(), batch_size=32)
    model = Tagger(
        LSTM(input_size=50, hidden_size=40, num_layers=2, bidirectional=True, dropout=0.2),
        data.lexicon,
        data.tags,
        inputs=[Words(size=50, unknown_chance=0.02)],
        decoder=CRF,
        dropout=0.2,
        optimizer=partial(torch.optim.Adam, lr=0.005),
    )
    trainer = Trainer(
        max_epochs=max_epochs,
        gradient_clip_val=1.0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
    )
    trainer.fit(model, data)
    (scores,) = trainer.test(model, data, verbose=False)
    print(f"test F1 {scores['test/f1']:.4f}")

    trained = Trained(model.eval(), data.state_dict(), {})
    sentences = ["The minister sharply criticized the plan .", "They said nothing ."]
    for tagged in tag_sentences(trained, sentences):
        print(" ".join(map("/".join, zip(tagged.passage.text.split(), tagged.tags, strict=True))))


if __name__ == "__main__":
    main()
