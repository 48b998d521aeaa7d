"""Regularization of models of text outside the encoder: dropout, penalties, word dropout."""

import torch
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX, Texts
from pipeline.encoders.base import check_dropout
from pipeline.encoders.wrappers.dropout import VariationalDropout
from pipeline.transfers import real_steps, to_device


class Dropouts(nn.Module):
    """Dropout before and after the encoder of a language model.

    In training, kept values are scaled by 1 / (1 - probability). In evaluation nothing is dropped.
    The encoder has its own options for dropout between its layers and in its recurrence: `dropout`,
    `variational` and `weight_dropout`.

    Args:
        words: Probability of dropping a word, which sets its embedding to 0 at all positions of a
            batch (Gal and Ghahramani 2016, arXiv 1512.05287, section 4.2; `dropoute` of Merity et
            al. 2018, arXiv 1708.02182).
        inputs: Dropout probability of the encoder's inputs (`dropouti` of Merity et al.).
        outputs: Dropout probability of the output layer's inputs (`dropout` of Merity et al.).
        locked: Whether all steps of a row in a batch share one mask for `inputs` and `outputs`.

    Raises:
        ValueError: If a probability is not in [0, 1).

    Example:
        >>> dropouts = Dropouts(words=0.5, inputs=0.4).eval()
        >>> embedding, tokens = nn.Embedding(10, 4), torch.tensor([[1, 2]])
        >>> torch.equal(dropouts.embed(embedding, tokens), embedding(tokens))
        True
    """

    def __init__(
        self, words: float = 0.0, inputs: float = 0.0, outputs: float = 0.0, locked: bool = True
    ) -> None:
        super().__init__()
        for name, chance in (("words", words), ("inputs", inputs), ("outputs", outputs)):
            check_dropout(chance, f"{name} of Dropouts")
        self.words = words
        kind = VariationalDropout if locked else nn.Dropout
        self.inputs, self.outputs = kind(inputs), kind(outputs)

    def embed(self, embedding: nn.Embedding, tokens: Tensor) -> Tensor:
        """Returns embeddings [batch time feature] of tokens [batch time], with dropout."""
        vectors = embedding(tokens)
        if self.training and self.words:
            kept = torch.rand(embedding.num_embeddings, device=tokens.device) >= self.words
            scales = kept.to(vectors.dtype) / (1 - self.words)
            vectors = vectors * scales[tokens].unsqueeze(-1)
        dropped: Tensor = self.inputs(vectors)
        return dropped


class ActivationPenalty:
    r"""Activation and temporal activation regularization (Merity et al. 2018, section 4.6).

    .. math::
        \alpha \, \mathrm{mean}\big((m \circ h_t)^2\big)
        + \beta \, \mathrm{mean}\big((h_t - h_{t-1})^2\big)

    h are the states of the encoder's last layer and m is their dropout mask. Differences are taken
    within a batch. The paper uses norms. Its code uses means of squares over steps, rows and
    features; the published values of alpha and beta are for the code.

    Args:
        alpha: Weight of the mean square of the states after dropout (AR).
        beta: Weight of the mean square of differences between states before dropout (TAR).

    Raises:
        ValueError: If a weight is negative.

    Example:
        >>> states, targets = torch.tensor([[[1.0], [3.0]]]), torch.tensor([[5, 7]])
        >>> ActivationPenalty(alpha=2.0, beta=1.0)(states, states, targets, targets_per_rank=2)
        tensor(14.)
    """

    def __init__(self, alpha: float = 2.0, beta: float = 1.0) -> None:
        for name, weight in (("alpha", alpha), ("beta", beta)):
            if not weight >= 0:
                raise ValueError(f"{name} of ActivationPenalty must be at least 0, got {weight}")
        self.alpha, self.beta = alpha, beta

    def __call__(
        self, dropped: Tensor, states: Tensor, targets: Tensor, targets_per_rank: float
    ) -> Tensor:
        """Returns the penalty [], at least in float32, for a loss that is averaged over ranks.

        Steps without a target are ignored. The number of pairs of steps is computed as
        (time - 1) / time of the number of targets. This is exact unless a column ends within the
        batch, as in the last batch of an epoch. States after (`dropped`) and before dropout are
        [batch time feature]; targets are [batch time], `IGNORE_INDEX` after the end of a column,
        on the host or on the device of the states.
        `targets_per_rank` is the mean number of targets of a rank, from `StreamWindow`.
        """
        time, size = states.shape[1:]
        real = to_device(targets != IGNORE_INDEX, states.device).unsqueeze(-1)
        dtype = torch.promote_types(states.dtype, torch.float32)
        dropped, states = dropped.to(dtype), states.to(dtype)
        total = self.alpha * (dropped * real).square().sum() / (targets_per_rank * size)
        if time > 1:
            steps = (states[:, 1:] - states[:, :-1]) * real[:, 1:]
            pairs = targets_per_rank * (time - 1) / time
            total = total + self.beta * steps.square().sum() / (pairs * size)
        return total


def leave_out_words(texts: Texts, chance: float) -> Texts:
    """Removes each word of texts with probability `chance` and closes the gaps (word dropout).

    Iyyer et al. (2015, "Deep Unordered Composition Rivals Syntactic Methods for Text
    Classification", section 3.1). A text that would become empty is not changed. The words are
    drawn where the lengths are: on the host, which must know the new lengths.
    """
    is_real = real_steps(texts.lengths, texts.words.shape[1], texts.lengths.device)
    kept = (torch.rand(is_real.shape, device=is_real.device) >= chance) & is_real
    kept = kept | (is_real & ~kept.any(dim=1, keepdim=True))
    order = to_device((~kept).to(torch.uint8).argsort(dim=1, stable=True), texts.words.device)
    words = texts.words.gather(1, order)
    columns = texts.columns.gather(1, order.unsqueeze(-1).expand_as(texts.columns))
    return texts._replace(words=words, columns=columns, lengths=kept.sum(dim=1))
