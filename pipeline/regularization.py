"""What models of text are regularised with, beside its encoder's own options."""

import torch
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX, Texts
from pipeline.encoders.base import check_dropout
from pipeline.encoders.wrappers.dropout import VariationalDropout


class Dropouts(nn.Module):
    """The dropouts around the encoder of a language model; in evaluation nothing is dropped.

    What is kept is scaled by 1 / (1 - chance). (Between the encoder's layers and in its recurrence
    it is the encoder's: `dropout`, `variational` and `weight_dropout`.)

    Args:
        words: chance of a whole row of the embedding to be 0, for all places of a token type in a
            window alike (Gal and Ghahramani 2016, arXiv 1512.05287, section 4.2; `dropoute` of
            Merity et al. 2018, arXiv 1708.02182).
        inputs: chance of a zero in what the encoder reads (`dropouti`).
        outputs: chance of a zero in what the output layer reads (`dropout`).
        locked: one mask of `inputs` and of `outputs` for all steps of a row in a window; else each
            step has its own.

    Raises:
        ValueError: a chance is not in [0, 1).
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
        """Looks tokens up, with words and then numbers dropped.

        Args:
            embedding: the table.
            tokens: ids [batch time].

        Returns:
            What the encoder reads, [batch time feature].
        """
        vectors = embedding(tokens)
        if self.training and self.words:
            kept = torch.rand(embedding.num_embeddings, device=tokens.device) >= self.words
            scales = kept.to(vectors.dtype) / (1 - self.words)
            vectors = vectors * scales[tokens].unsqueeze(-1)
        dropped: Tensor = self.inputs(vectors)
        return dropped


class ActivationPenalty:
    r"""Activation and temporal activation regularisation (Merity et al. 2018, section 4.6).

    .. math::
        \alpha \, \mathrm{mean}\big((m \circ h_t)^2\big)
        + \beta \, \mathrm{mean}\big((h_t - h_{t-1})^2\big)

    The paper writes norms and its code means of squares over steps, rows and features, which is
    what the published alpha and beta belong to. h are the states of the encoder's last layer, m is
    the dropout on them; a pair of steps lies within a window.

    Args:
        alpha: weight of the dropped states' squares (AR).
        beta: weight of the squared steps of the states before dropout (TAR).

    Raises:
        ValueError: a weight is negative.
    """

    def __init__(self, alpha: float = 2.0, beta: float = 1.0) -> None:
        for name, weight in (("alpha", alpha), ("beta", beta)):
            if not weight >= 0:
                raise ValueError(f"{name} of ActivationPenalty must be 0 or more, got {weight}")
        self.alpha, self.beta = alpha, beta

    def __call__(
        self, dropped: Tensor, states: Tensor, targets: Tensor, targets_per_rank: float
    ) -> Tensor:
        """Returns what is to be added to a loss, of which ranks take the mean.

        Steps without a target count nothing. The pairs of steps of all ranks are counted as
        (time - 1) / time of the targets: exact in each window that no column ends in, which is all
        but the last of an epoch.

        Args:
            dropped: states after dropout [batch time feature].
            states: before it, of that shape.
            targets: [batch time], `IGNORE_INDEX` where a column has ended.
            targets_per_rank: as in `Window`.

        Returns:
            The penalty, [], float32 at least.
        """
        time, size = states.shape[1:]
        real = (targets != IGNORE_INDEX).unsqueeze(-1)
        dtype = torch.promote_types(states.dtype, torch.float32)
        dropped, states = dropped.to(dtype), states.to(dtype)
        total = self.alpha * (dropped * real).square().sum() / (targets_per_rank * size)
        if time > 1:
            steps = (states[:, 1:] - states[:, :-1]) * real[:, 1:]
            pairs = targets_per_rank * (time - 1) / time
            total = total + self.beta * steps.square().sum() / (pairs * size)
        return total


def leave_out_words(texts: Texts, chance: float) -> Texts:
    """Leaves words out of texts; what is left moves to the left.

    Iyyer et al. (2015, "Deep Unordered Composition Rivals Syntactic Methods for Text
    Classification", section 3.1); a text of which nothing would be left is kept whole.

    Args:
        texts: the batch.
        chance: of each word.
    """
    steps = torch.arange(texts.words.shape[1], device=texts.words.device)
    is_real = steps < texts.lengths.to(texts.words.device).unsqueeze(1)
    kept = (torch.rand(texts.words.shape, device=texts.words.device) >= chance) & is_real
    kept = kept | (is_real & ~kept.any(dim=1, keepdim=True))
    order = (~kept).to(torch.uint8).argsort(dim=1, stable=True)
    words = texts.words.gather(1, order)
    columns = texts.columns.gather(1, order.unsqueeze(-1).expand_as(texts.columns))
    return texts._replace(
        words=words, columns=columns, lengths=kept.sum(dim=1).to(texts.lengths.device)
    )
