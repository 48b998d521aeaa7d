"""The one interface of everything that turns states into a distribution over a vocabulary."""

import abc

from torch import Tensor, nn

from pipeline.text.vocabulary import Vocabulary


class OutputLayer(nn.Module, abc.ABC):
    """A distribution over a vocabulary given a state.

    A task asks for one of three things: `loss` to train, `log_probs` to evaluate,
    `log_distribution` to generate. The last two are exact and agree in every output layer; `loss`
    may be an approximation whose gradient trains the same distribution.

    Args:
        input_size: features of a state.
        vocabulary: the token types, in the order of their ids.

    Raises:
        ValueError: `input_size` is below 1.

    Attributes:
        input_size: features of a state.
        vocab_size: number of token types.
    """

    def __init__(self, input_size: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        if input_size < 1:
            raise ValueError(f"input_size of an output layer must be at least 1, got {input_size}")
        self.input_size = input_size
        self.vocab_size = len(vocabulary)

    @abc.abstractmethod
    def loss(self, states: Tensor, targets: Tensor) -> Tensor:
        """Sums the negative log-likelihood of the targets, to be trained on.

        Args:
            states: [* input].
            targets: ids [*]; those equal to `IGNORE_INDEX` count nothing.

        Returns:
            A sum in nats, [], float32 (float64 in a float64 model).

        Raises:
            ValueError: the shapes do not fit each other or this layer.
        """

    @abc.abstractmethod
    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """Scores targets exactly, whatever autocast says.

        Args:
            states: [* input].
            targets: ids [*].

        Returns:
            The natural logarithm of each target's probability [*], float32 (float64 in a float64
            model); 0 where the target is `IGNORE_INDEX`.

        Raises:
            ValueError: the shapes do not fit each other or this layer.
        """

    @abc.abstractmethod
    def log_distribution(self, states: Tensor) -> Tensor:
        """Gives the logarithm of the probability of each token, whatever autocast says.

        Args:
            states: [* input].

        Returns:
            Normalised, [* vocab], float32 (float64 in a float64 model).

        Raises:
            ValueError: the states are not of `input_size`.
        """

    @abc.abstractmethod
    def tie(self, embedding: nn.Embedding) -> None:
        """Shares the weight of the embedding (Press & Wolf 2017, arXiv 1608.05859).

        Args:
            embedding: of this vocabulary, with vectors of `input_size`.

        Raises:
            ValueError: the sizes are not equal.
        """


def check_shapes(layer: OutputLayer, states: Tensor, targets: Tensor | None = None) -> None:
    """Checks what an output layer is given.

    Raises:
        ValueError: the shapes do not fit each other or the layer.
    """
    if states.shape[-1] != layer.input_size:
        raise ValueError(
            f"the output layer reads states of {layer.input_size} features, got {states.shape[-1]}"
        )
    if targets is not None and states.shape[:-1] != targets.shape:
        raise ValueError(
            f"states {list(states.shape)} need targets {list(states.shape[:-1])}, "
            f"got {list(targets.shape)}"
        )
