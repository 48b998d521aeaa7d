"""Starting a tagger or classifier from a language model: its encoder and its embedding."""

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn

from pipeline.checkpoints.locate import locate
from pipeline.checkpoints.read import Trained, load_trained
from pipeline.console import print_note
from pipeline.encoders import Encoder
from pipeline.errors import InputError
from pipeline.inputs import Inputs, Words
from pipeline.text.vocabulary import EOS, UNK


class EncoderStart:
    """Takes the encoder and the embedding of a trained language model as a start.

    The encoder must be of the same class and sizes. Of the embedding each word takes the vector of
    the same word, else of the word in lower case, else of `<unk>`; how many found one is said. The
    words that the language model knows and the training text lacks are taken along: few labels are
    where that matters most. A checkpoint of what was trained so does not need the language model
    again.

    Args:
        run: of the language model: id, beginning of an id, or name.
        frozen_epochs: so many epochs what was taken stays as it is, while the rest learns.
        rate: what was taken learns at the optimiser's rate times this.

    Raises:
        ValueError: a number is out of its range.
    """

    def __init__(self, run: str, frozen_epochs: int = 0, rate: float = 1.0) -> None:
        if frozen_epochs < 0:
            raise ValueError(f"frozen_epochs must be at least 0, got {frozen_epochs}")
        if rate <= 0:
            raise ValueError(f"rate of EncoderStart must be above 0, got {rate}")
        self._run, self._frozen_epochs, self.rate = run, frozen_epochs, rate

    @classmethod
    def of(cls, start: "EncoderStart | str | None") -> "EncoderStart | None":
        """Makes one of the name of a run; passes on anything else."""
        return cls(start) if isinstance(start, str) else start

    def load(self, inputs: Inputs, encoder: Encoder) -> None:
        """Takes them; called once, before the first update.

        Args:
            inputs: its `Words` part that is learned takes the embedding.
            encoder: takes the encoder's parameters.

        Raises:
            InputError: there is no such run, or its model does not fit.
        """
        trained = load_trained(locate(self._run, None), "LanguageModel")
        source = trained.model.encoder
        assert isinstance(source, Encoder)
        if type(source) is not type(encoder) or _shapes(source) != _shapes(encoder):
            raise InputError(
                f"encoder_from: the language model {self._run} has the encoder "
                f"{_described(source)}, which does not fit into {_described(encoder)}; set "
                "model.encoder to the former (without bidirectional), or take another run"
            )
        encoder.load_state_dict(source.state_dict())
        if not _is_same(source, encoder):
            raise InputError(
                f"encoder_from: the encoder of the language model {self._run} makes other states "
                f"of the same parameters than {_described(encoder)} does; give model.encoder the "
                "settings that it was trained with (nonlinearity, skip)"
            )
        print_note(f"encoder and embedding start from {self._run}: {self._embed(trained, inputs)}")

    def parts(self, inputs: Inputs, encoder: Encoder) -> list[nn.Parameter]:
        """Gives the learned parameters that are taken from the language model."""
        taken = [*encoder.parameters(), *_words(inputs).parameters()]
        return [parameter for parameter in taken if parameter.requires_grad]

    def hold_still(self, epoch: int, parameters: Iterable[nn.Parameter]) -> None:
        """Drops the gradients of what is frozen in this epoch, so that nothing moves it.

        DDP has averaged them by then; not to compute them would need it to be told of each change.
        """
        if epoch < self._frozen_epochs:
            for parameter in parameters:
                parameter.grad = None

    def _embed(self, trained: Trained, inputs: Inputs) -> str:
        embedding = trained.model.embedding
        assert isinstance(embedding, nn.Embedding)
        vocabulary = {word: row for row, word in enumerate(trained.data["vocabulary"])}
        part = _words(inputs)
        if part.output_size != embedding.embedding_dim:
            raise InputError(
                f"encoder_from: the language model {self._run} has vectors of "
                f"{embedding.embedding_dim} numbers, but Words has size {part.output_size}; set "
                "it to the former"
            )
        weight = embedding.weight.detach()
        find = partial(_row, vocabulary=vocabulary, weight=weight)
        num_own = part.num_words
        part.add([word for word in vocabulary if word not in (EOS, UNK)])
        num_added = part.num_words - num_own
        found = part.start(find, weight[vocabulary[UNK]]) - num_added
        inputs.reindex()
        return (
            f"{found:,} of {num_own:,} words of the training text have a vector there, and "
            f"{num_added:,} more words are taken along"
        )


def _row(word: str, vocabulary: dict[str, int], weight: Tensor) -> Tensor | None:
    place = vocabulary.get(word, vocabulary.get(word.lower()))
    return None if place is None else weight[place]


def _words(inputs: Inputs) -> Words:
    for part in inputs.parts:
        if isinstance(part, Words) and part.tuned and not part.has_given:
            return part
    raise InputError(
        "encoder_from: there is no input part Words that is learned and starts at random, to take "
        "the language model's embedding; leave data.vectors out, or give such a part"
    )


def _shapes(encoder: Encoder) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in encoder.state_dict().items()}


@torch.no_grad()
def _is_same(source: Encoder, encoder: Encoder) -> bool:
    generator = torch.Generator().manual_seed(0)  # the run's own random numbers stay as they are
    inputs = torch.randn(2, 5, encoder.input_size, generator=generator)
    states = []
    for one in (source, encoder):
        device = next(one.parameters()).device
        was_training = one.training
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
