"""Defines a new encoder, checks it, and trains a language model with it.

    python examples/custom_encoder.py

`unroll train` accepts it without registration: --model.encoder=examples.custom_encoder.Smoothing
"""

from functools import partial

import torch
from lightning.pytorch import Trainer, seed_everything
from torch import Tensor, nn

from datamodules.language_model.datamodule import LanguageModelData
from pipeline.encoders import Carry, Encoded, Encoder
from pipeline.encoders.testing import assert_laws
from tasks.language_model import LanguageModel


class Smoothing(Encoder):
    """Moving averages with learned decay rates: h[t] = a * h[t-1] + (1 - a) * x[t]."""

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.input_size = self.output_size = input_size
        self.is_causal = True
        self.decay = nn.Parameter(torch.linspace(-3.0, 3.0, input_size))

    def forward(
        self, inputs: Tensor, lengths: Tensor | None = None, carry: Carry | None = None
    ) -> Encoded:
        """See `Encoder`; padding is on the right, so it cannot reach states before it."""
        (hidden,) = carry or self.initial_carry(len(inputs))
        decay = torch.sigmoid(self.decay)
        states = [hidden := decay * hidden + (1 - decay) * step for step in inputs.unbind(dim=1)]
        return Encoded(torch.stack(states, dim=1), (hidden,))

    def initial_carry(self, batch_size: int) -> Carry:
        """See `Encoder`."""
        return (self.decay.new_zeros(batch_size, self.output_size),)


def main(max_epochs: int = 2) -> None:
    """Checks the encoder, then trains and tests the language model."""
    assert_laws(lambda: Smoothing(input_size=3))
    seed_everything(1)
    data = LanguageModelData("builtin", batch_size=20, bptt=35)
    adam = partial(torch.optim.Adam, lr=0.01)
    model = LanguageModel(Smoothing(64), data.vocabulary, optimizer=adam)
    trainer = Trainer(
        max_epochs=max_epochs, accelerator="cpu", logger=False, enable_checkpointing=False
    )
    trainer.fit(model, data)
    (scores,) = trainer.test(model, data, verbose=False)
    print(f"test perplexity {scores['test/perplexity']:.2f}")


if __name__ == "__main__":
    main()
