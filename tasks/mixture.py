"""Mixtures of trained language models, with weights estimated on held-out text."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from pipeline.batches import IGNORE_INDEX, StreamWindow
from pipeline.checkpoints.read import Trained
from pipeline.console import print_note
from pipeline.contracts import Generator, Head
from pipeline.encoders import Carry
from pipeline.errors import InputError
from pipeline.heads.base import without_autocast
from pipeline.metrics import TextNll, TokenNll
from pipeline.metrics.score_log import log_token_scores, note_infinity
from pipeline.mixtures import (
    Cache,
    MixtureHead,
    NeuralCache,
    TranslatedModel,
    best_weights,
    card,
    members_of,
    mixed,
)
from pipeline.mixtures.caches import CacheState
from pipeline.text.vocabulary import Vocabulary
from pipeline.transfers import to_device


class MixtureLanguageModel(LightningModule):
    """A linear mixture of trained models: p(w) = sum over m of weight_m p_m(w).

    The vocabulary is that of the corpus. A member with another vocabulary, such as that of a
    background corpus, reads words that it does not have as `<unk>`, whose probability they share;
    the `<unk>` of the mixture includes the words that only the member has (`Translation`).

    Only the weights are trained, by expectation maximization on the validation text, once per
    epoch; one epoch with one training window is enough. Validation and test perplexity are exact.
    A cache (Kuhn & De Mori 1990; Grave et al. 2017) is one more member with its own weight; its
    scores are also logged, as `val/perplexity_cache` and `test/perplexity_cache`.

    Args:
        members: Trained language models. A configuration names runs, checkpoint files or ARPA
            files; from Python, pass what `pipeline.checkpoints.read.load_trained` returns.
        vocabulary: Vocabulary (the command line takes it from the corpus).
        cache: Cache of recent words, as one more member; a `NeuralCache` reads the states of the
            first member.

    Raises:
        InputError: If there is no member, a member is a mixture itself, its tokens are words and
            those of another member characters, or a neural cache is combined with a first member
            that is not a network.

    Example:
        >>> from pipeline.encoders import GRU
        >>> from tasks.language_model import LanguageModel
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "cat"])
        >>> network = LanguageModel(GRU(2, 2), vocabulary)
        >>> members = [Trained(network, {"vocabulary": vocabulary.words}, {})] * 2
        >>> MixtureLanguageModel(members, vocabulary).head.weights
        tensor([0.5000, 0.5000], dtype=torch.float64)
    """

    experiment: ClassVar[str] = "lm"
    monitor: ClassVar[str] = "val/perplexity"
    monitor_mode: ClassVar[str] = "min"
    from_data: ClassVar[dict[str, Any]] = {"vocabulary": Vocabulary.from_data}
    trained: ClassVar[tuple[str, ...]] = ("members",)

    def __init__(
        self,
        members: Sequence[Trained] | list[str],
        vocabulary: Vocabulary,
        cache: Cache | None = None,
    ) -> None:
        super().__init__()
        loaded = [_checked(member) for member in members]
        if not loaded:
            raise InputError("members: a mixture needs at least one trained model; name its run")
        if len({member.unit for member in loaded}) > 1:
            units = ", ".join(f"{member.name}: {member.unit}s" for member in loaded)
            raise InputError(f"members: the tokens of all models must be of one kind ({units})")
        self.vocabulary = vocabulary
        self.names = [member.name for member in loaded]
        self.cards = [card(member, vocabulary) for member in loaded]
        self.members = nn.ModuleList(member.model for member in loaded).requires_grad_(False)
        # DDP refuses a module without trainable parameters.
        self._nothing = nn.Parameter(torch.zeros(()))
        self.cache, self._vocab_size = cache, len(vocabulary)
        self._views = tuple(_over(vocabulary, member) for member in loaded)
        heads: list[Head] = [view.head for view in self._views]
        kinds = self._kinds(vocabulary)
        if isinstance(cache, NeuralCache) and not kinds[0][1].is_floating_point:
            raise InputError(
                f"model.cache: a NeuralCache compares the states of a network, but the first "
                f"member, {self.names[0]}, is not a network; name a network first, or use "
                "UnigramCache"
            )
        self.head = MixtureHead(heads, kinds)
        equal = torch.full((len(loaded) + 1,), 1 / (len(loaded) + 1), dtype=torch.float64)
        self.cache_weights: Tensor
        self.register_buffer("cache_weights", equal)  # the last one is the cache's
        self.automatic_optimization = False
        self.plain = TextNll(vocabulary.unk_id)
        self.cached = TokenNll(sync_on_compute=False)
        self._carry: Carry | None = None
        self._cache_state: CacheState | None = None
        self._scores: list[Tensor] = []
        self._targets: list[Tensor] = []

    def _kinds(self, vocabulary: Vocabulary) -> list[tuple[int, torch.dtype]]:
        token = torch.tensor([[vocabulary.eos_id]])
        with torch.no_grad():
            states = [member(token, None)[0] for member in self._views]
        return [(part.shape[-1], part.dtype) for part in states]

    @classmethod
    def portable(
        cls, init_args: Mapping[str, Any], checkpoint: Mapping[str, Any]
    ) -> dict[str, Any]:
        """See `pipeline.contracts.Portable`; the checkpoint contains the members."""
        return {**init_args, "members": members_of(checkpoint)}

    @property
    def encoder(self) -> nn.Module:
        """The members; runs are compared by them."""
        return self.members

    def forward(self, tokens: Tensor, carry: Carry | None = None) -> tuple[Tensor, Carry]:
        """Reads tokens with each member.

        Args:
            tokens: Token ids, int64 [batch time].
            carry: One carry per member; None at the start of a stream.

        Returns:
            Concatenated states of the members, float64 [batch time features], and their carries.
        """
        carries: Sequence[Any] = [None] * len(self.members) if carry is None else carry
        read = [member(tokens, own) for member, own in zip(self._views, carries, strict=True)]
        return self.head.join([states for states, _ in read]), tuple(rest for _, rest in read)

    def training_step(self, window: StreamWindow, batch_idx: int) -> None:
        """Does nothing, because the members are already trained."""
        cast(Any, self.optimizers()).step()  # Lightning's dummy optimizer, which counts updates

    def configure_optimizers(self) -> None:
        """See `LightningModule.configure_optimizers`; a mixture has no optimizer."""

    def train(self, mode: bool = True) -> "MixtureLanguageModel":
        """Keeps the members in evaluation mode, without dropout."""
        super().train(mode)
        self.members.eval()
        return self

    def on_validation_epoch_start(self) -> None:
        """Resets the carries, the cache and the scores."""
        self._carry = self._cache_state = None
        self._scores, self._targets = [], []
        self.plain.reset()
        self.cached.reset()

    on_test_epoch_start = on_predict_epoch_start = on_validation_epoch_start

    def validation_step(self, window: StreamWindow, batch_idx: int) -> None:
        """Stores the members' scores of the window, for the estimation of the weights."""
        self._scores.append(self._member_scores(window))
        self._targets.append(_real(window.targets))

    def test_step(self, window: StreamWindow, batch_idx: int) -> dict[str, Tensor]:
        """Adds the window to the scores; returns `log_probs` of real targets in nats [tokens]."""
        return {"log_probs": self._add(self._member_scores(window), _real(window.targets))}

    def predict_step(self, window: StreamWindow, batch_idx: int) -> tuple[Tensor, Tensor]:
        """Returns the real targets and their log-probabilities in nats, both [tokens]."""
        scores = self._member_scores(window)[: len(self.members)]
        return _real(window.targets), mixed(scores, self.head.weights)

    def on_validation_epoch_end(self) -> None:
        """Estimates the weights during training; logs `val/perplexity` and `val/weight_...`."""
        scores, self._scores = torch.cat(self._scores, dim=1).cpu(), []
        targets, self._targets = torch.cat(self._targets), []
        if self.trainer.state.fn == "fit":
            self.head.weights.copy_(best_weights(scores[: len(self.members)]))
            print_note(f"weights: {self._shares(self.head.weights)}")
            if self.cache is not None:
                self.cache_weights.copy_(best_weights(scores))
                print_note(f"weights with the cache: {self._shares(self.cache_weights)}")
        self._add(scores, targets)
        self._log_scores("val")
        weights = {f"val/weight_{m}": weight for m, weight in enumerate(self.head.weights)}
        if self.cache is not None:
            weights["val/weight_cache"] = self.cache_weights[-1]
        self.log_dict(weights)

    def on_test_epoch_end(self) -> None:
        """Logs `test/perplexity` and the other scores of `pipeline.metrics.token_scores`."""
        self._log_scores("test")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Stores the members, so that the checkpoint can be loaded without other files."""
        checkpoint["members"] = self.cards

    def _shares(self, weights: Tensor) -> str:
        pairs = zip([*self.names, "cache"], weights.tolist(), strict=False)
        return ", ".join(f"{name} {weight:.3f}" for name, weight in pairs)

    def _member_scores(self, window: StreamWindow) -> Tensor:
        """Scores a window of one stream with each member, and with the cache last."""
        with without_autocast(self.device):
            states, carry = self(window.tokens, self._carry)
            if not window.afresh:
                self._carry = carry
            targets = window.targets.flatten()
            real = torch.nonzero(targets != IGNORE_INDEX).squeeze(1)
            rows = states.flatten(0, 1).index_select(0, to_device(real, states.device))
            scores = self.head.member_log_probs(rows, targets[real])
        if self.cache is None:
            return scores
        if window.afresh:
            raise InputError(
                "model.cache: a cache needs the words before, but the items of a list are "
                "independent; leave it out"
            )
        first = states[0, :, : self.head.first_size]
        of_first = to_device(window.targets[0], first.device)
        cached, self._cache_state = self.cache(
            window.tokens[0], first, of_first, self._cache_state, self._vocab_size
        )
        return torch.cat([scores, cached.unsqueeze(0)])

    def _add(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Adds the scores of the members; returns log-probabilities of the mixture [tokens]."""
        scores = scores.to(self.device)
        log_probs = mixed(scores[: len(self.members)], self.head.weights)
        self.plain.update(log_probs, targets)
        if self.cache is not None:
            self.cached.update(mixed(scores, self.cache_weights), targets)
        return log_probs

    def _log_scores(self, stage: str) -> None:
        others = {} if self.cache is None else {"perplexity_cache": self.cached}
        log_token_scores(self, self.vocabulary, stage, self.plain, **others)
        note_infinity(stage, self.plain, "add a member that gives all words a probability above 0")


def _real(targets: Tensor) -> Tensor:
    """Returns the targets that are not `IGNORE_INDEX`, in order, int64 [tokens]."""
    return targets[targets != IGNORE_INDEX]


def _over(vocabulary: Vocabulary, member: Trained) -> Generator:
    """Returns a member, translated if it has another vocabulary."""
    model = cast(Generator, member.model)
    if member.data["vocabulary"] == vocabulary.words:
        return model
    translated = TranslatedModel(model, vocabulary)
    if translated.note:
        print_note(f"note: {member.name} has another vocabulary than the corpus: {translated.note}")
    return translated


def _checked(member: Trained | str) -> Trained:
    if isinstance(member, str):
        raise TypeError(f"members: {member!r} is a name; load it with load_trained(path)")
    if isinstance(member.model, MixtureLanguageModel):
        raise InputError(f"members: {member.name} is a mixture itself; name its members instead")
    return member
