"""Starts a tagger or classifier from the encoder and embedding of a language model."""

import copy
from functools import partial
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from pipeline.checkpoints.read import Trained, load_run
from pipeline.console import print_note
from pipeline.contracts import EmbeddedLanguageModel
from pipeline.encoders import Encoder
from pipeline.errors import InputError
from pipeline.inputs import Inputs, Words
from pipeline.text.vocabulary import EOS, UNK


class EncoderStart(Callback):
    """Starts training from the encoder and the embedding of a trained language model.

    Works with every task that has an `encoder` and `inputs` (`pipeline.inputs.Inputs`). The encoder
    must have the class and sizes of the language model's. Each word takes the vector of the same
    word, else of the word in lower case, else of `<unk>`; the words that only the language model
    knows are added. The checkpoint of the trained model does not need the language model again.

    Args:
        run: Run (id, beginning of an id, or name) or checkpoint file of the language model.
        frozen_epochs: Number of epochs in which the encoder and the embedding are not updated.
        rate: Factor of the optimizer's learning rate for the encoder and the embedding.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> start = EncoderStart("my-language-model", frozen_epochs=1, rate=0.1)
        >>> EncoderStart.of(start) is start, EncoderStart.of("my-language-model").rate
        (True, 1.0)
    """

    def __init__(self, run: str, frozen_epochs: int = 0, rate: float = 1.0) -> None:
        if frozen_epochs < 0:
            raise ValueError(f"frozen_epochs must be at least 0, got {frozen_epochs}")
        if rate <= 0:
            raise ValueError(f"rate of EncoderStart must be above 0, got {rate}")
        self._run, self._frozen_epochs, self.rate = run, frozen_epochs, rate
        self._source: Trained | None = None

    @classmethod
    def of(cls, start: "EncoderStart | str | None") -> "EncoderStart | None":
        """Returns the callback for the name of a run; returns anything else unchanged."""
        return cls(start) if isinstance(start, str) else start

    def read_files(self) -> None:
        """See `pipeline.contracts.ReadsFiles`: loads the language model."""
        try:
            self._source = load_run(
                self._run, EmbeddedLanguageModel, "a language model with an encoder"
            )
        except InputError as error:
            raise InputError(f"encoder_from: {error}") from error

    def check_model(self, model: LightningModule) -> None:
        """See `pipeline.contracts.ChecksModel`: the encoder and the word vectors must fit."""
        if self._source is None:
            return  # a resumed training has them
        inputs, encoder = _parts(model)
        source = cast(EmbeddedLanguageModel, self._source.model)
        self._check_encoder(source.encoder, encoder)
        part, size = _words(inputs), source.embedding.embedding_dim
        if part.output_size != size:
            raise InputError(
                f"encoder_from: the language model {self._run} has vectors of {size} numbers, but "
                f"Words has size {part.output_size}; set it to the former"
            )

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Copies the parameters; a resumed training has them in its checkpoint."""
        if stage != "fit" or trainer.ckpt_path is not None:
            return
        if self._source is None:
            self.read_files()
            self.check_model(pl_module)
        assert self._source is not None
        source = cast(EmbeddedLanguageModel, self._source.model)
        inputs, encoder = _parts(pl_module)
        encoder.load_state_dict(source.encoder.state_dict())
        print_note(f"encoder and embedding start from {self._run}: {self._embed(source, inputs)}")
        self._source = None

    def parameters_of(self, model: LightningModule) -> list[nn.Parameter]:
        """See `pipeline.contracts.ScalesRates`: the trained parameters that were copied."""
        inputs, encoder = _parts(model)
        taken = [*encoder.parameters(), *_words(inputs).parameters()]
        return [parameter for parameter in taken if parameter.requires_grad]

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Drops the gradients of frozen parameters.

        DDP has averaged them by then; not computing them would need DDP to know of each change.
        """
        if trainer.current_epoch < self._frozen_epochs:
            for parameter in self.parameters_of(pl_module):
                parameter.grad = None

    def _check_encoder(self, source: Encoder, encoder: Encoder) -> None:
        if type(source) is not type(encoder) or _shapes(source) != _shapes(encoder):
            raise InputError(
                f"encoder_from: the language model {self._run} has the encoder "
                f"{_described(source)}, which does not fit into {_described(encoder)}; set "
                "model.encoder to the former (without bidirectional), or name another run"
            )
        if not _is_same(source, encoder):
            raise InputError(
                f"encoder_from: with the same parameters, the encoder of the language model "
                f"{self._run} computes other states than {_described(encoder)}; give model.encoder "
                "the settings of the language model (nonlinearity, skip)"
            )

    def _embed(self, source: EmbeddedLanguageModel, inputs: Inputs) -> str:
        vocabulary = {word: row for row, word in enumerate(source.vocabulary.words)}
        part, weight = _words(inputs), source.embedding.weight.detach()
        find = partial(_row, vocabulary=vocabulary, weight=weight)
        num_own = part.num_words
        part.add([word for word in vocabulary if word not in (EOS, UNK)])
        num_added = part.num_words - num_own
        found = part.start(find, weight[vocabulary[UNK]]) - num_added
        inputs.reindex()
        return (
            f"{found:,} of {num_own:,} words of the training text have a vector there, and "
            f"{num_added:,} words are added"
        )


def _parts(model: LightningModule) -> tuple[Inputs, Encoder]:
    task = cast(Any, model)
    if not (isinstance(getattr(task, "inputs", None), Inputs) and hasattr(task, "encoder")):
        raise InputError(
            "EncoderStart needs a task with an encoder and input parts, such as Tagger or "
            f"SentenceClassifier, and {type(model).__name__} has none"
        )
    return task.inputs, task.encoder


def _row(word: str, vocabulary: dict[str, int], weight: Tensor) -> Tensor | None:
    place = vocabulary.get(word, vocabulary.get(word.lower()))
    return None if place is None else weight[place]


def _words(inputs: Inputs) -> Words:
    for part in inputs.parts:
        if isinstance(part, Words) and part.tuned and not part.has_given:
            return part
    raise InputError(
        "encoder_from: no input part Words is trained from random values, so nothing can take the "
        "language model's embedding; leave data.vectors out, or add such a part"
    )


def _shapes(encoder: Encoder) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in encoder.state_dict().items()}


@torch.no_grad()
def _is_same(source: Encoder, encoder: Encoder) -> bool:
    """Returns whether two encoders compute the same states from the same parameters."""
    copied = copy.deepcopy(encoder)
    copied.load_state_dict(source.state_dict())
    generator = torch.Generator().manual_seed(0)  # leaves the run's own random numbers alone
    inputs = torch.randn(2, 5, encoder.input_size, generator=generator)
    states = []
    for one in (source, copied):
        device, was_training = next(one.parameters()).device, one.training
        states.append(one.eval()(inputs.to(device)).states.cpu())
        one.train(was_training)
    return torch.allclose(states[0], states[1], rtol=1e-3, atol=1e-5)


def _described(encoder: Encoder) -> str:
    count = sum(parameter.numel() for parameter in encoder.parameters())
    kind = "causal" if encoder.is_causal else "bidirectional"
    return (
        f"{type(encoder).__name__} ({encoder.input_size} -> {encoder.output_size}, {kind}, "
        f"{count:,} parameters)"
    )
