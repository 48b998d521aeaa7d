"""Number agreement: how often a language model prefers the verb that agrees with its subject.

After Linzen et al. (2016, "Assessing the Ability of LSTMs to Learn Syntax-Sensitive Dependencies",
TACL 4, arXiv 1611.01368): "the writer of the books is / are". A prediction is correct if the verb
has a higher probability, given the words before it, than its form in the other number.
"""

import math
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from pipeline.checkpoints.read import Trained
from pipeline.contracts import Generator
from pipeline.errors import InputError
from pipeline.text.vocabulary import EOS, Vocabulary

RANGES = (0, 1, 3, 6, 9, 12)
"""Smallest distance of each reported range; the built-in grammar has distances up to 15."""
_SENTENCES = 256  # per batch


class Verb(Protocol):
    """A verb in a sentence, with its form in the other number."""

    @property
    def words(self) -> tuple[str, ...]:
        """Words of the sentence, without `<eos>`."""

    @property
    def verb(self) -> int:
        """Position of the verb."""

    @property
    def subject(self) -> int:
        """Position of the subject's noun or name, before the verb."""

    @property
    def attractors(self) -> int:
        """Number of nouns of the other number between subject and verb."""

    @property
    def wrong(self) -> str:
        """Form of the verb in the other number."""


class Judged(NamedTuple):
    """The preference of a model for one verb.

    Example:
        >>> Judged(distance=3, attractors=1, margin=0.7).is_right
        True
    """

    distance: int  # number of words between the subject and the verb
    attractors: int  # number of nouns of the other number among them
    margin: float  # log-probability of the verb minus that of the wrong form, in nats

    @property
    def is_right(self) -> bool:
        """True if the model gives the verb a higher probability than its wrong form."""
        return self.margin > 0


class AgreementRate(NamedTuple):
    """The rate of correct verbs in a group, such as "3-5" words.

    Example:
        >>> AgreementRate("3-5", right=3, total=4).accuracy
        0.75
    """

    group: str
    right: int
    total: int

    @property
    def accuracy(self) -> float:
        """Fraction of correct verbs."""
        return self.right / self.total


@torch.inference_mode()
def judge(trained: Trained, verbs: Sequence[Verb]) -> list[Judged]:
    """Computes the preference of a language model for each verb over its wrong form, in order.

    Each sentence is read separately, after an `<eos>`. Raises an `InputError` if a word is not in
    the vocabulary, or the tokens are not words.
    """
    vocabulary = cast(Generator, trained.model).vocabulary
    refuse_unknown(vocabulary, trained.unit, verbs)
    order = sorted(range(len(verbs)), key=lambda index: verbs[index].verb)
    margins = [0.0] * len(verbs)
    for start in range(0, len(order), _SENTENCES):
        places = order[start : start + _SENTENCES]
        found = _margins(trained, vocabulary, [verbs[place] for place in places])
        for place, margin in zip(places, found.tolist(), strict=True):
            margins[place] = margin
    return [
        Judged(one.verb - one.subject - 1, one.attractors, margin)
        for one, margin in zip(verbs, margins, strict=True)
    ]


def by_range(judged: Sequence[Judged], starts: Sequence[int] = RANGES) -> list[AgreementRate]:
    """Computes agreement rates by ranges of distances; empty ranges are omitted.

    `starts` are the smallest distances of the ranges, increasing; the last range has no end.

    Example:
        >>> by_range([Judged(0, 0, 1.0), Judged(7, 1, -1.0)], starts=(0, 1, 6))
        [AgreementRate(group='0', right=1, total=1), AgreementRate(group='6+', right=0, total=1)]
    """
    rates = []
    for first, following in zip_longest(starts, starts[1:]):
        last = math.inf if following is None else following - 1
        name = f"{first}+" if following is None else f"{first}-{last}"
        chosen = [one for one in judged if first <= one.distance <= last]
        rates.append(_rate(str(first) if first == last else name, chosen))
    return [rate for rate in rates if rate.total]


def by_attractors(judged: Sequence[Judged]) -> list[AgreementRate]:
    """Computes agreement rates by the number of attractors."""
    groups: dict[int, list[Judged]] = {}
    for one in judged:
        groups.setdefault(one.attractors, []).append(one)
    return [_rate(str(number), groups[number]) for number in sorted(groups)]


def _rate(group: str, judged: Sequence[Judged]) -> AgreementRate:
    return AgreementRate(group, sum(one.is_right for one in judged), len(judged))


def _margins(trained: Trained, vocabulary: Vocabulary, verbs: Sequence[Verb]) -> Tensor:
    model = cast(Generator, trained.model)
    # Prefixes are padded on the right; the states of padding are not used.
    rows = [torch.tensor(vocabulary.encode([EOS, *one.words[: one.verb]])) for one in verbs]
    tokens = pad_sequence(rows, batch_first=True, padding_value=vocabulary.eos_id)
    states, _ = model(tokens, None)
    last = torch.tensor([one.verb for one in verbs])
    before = states[torch.arange(len(verbs)), last]
    log_probs = model.head.log_distribution(before).double()
    right, wrong = (
        torch.tensor(vocabulary.encode(forms)).unsqueeze(1)
        for forms in ([one.words[one.verb] for one in verbs], [one.wrong for one in verbs])
    )
    return (log_probs.gather(1, right) - log_probs.gather(1, wrong)).squeeze(1)


def refuse_unknown(vocabulary: Vocabulary, unit: str, verbs: Sequence[Verb]) -> None:
    """Raises `InputError` unless the vocabulary contains the words of the verbs' sentences."""
    words = [word for one in verbs for word in (*one.words[: one.verb + 1], one.wrong)]
    unknown = vocabulary.unknown(words)
    if unit == "word" and not unknown:
        return
    what = f"the model lacks '{unknown[0]}'" if unit == "word" else "the model reads characters"
    raise InputError(
        f"number agreement is measured on sentences of the built-in grammar, but {what}; use a "
        "model over words that was trained on the corpus builtin"
    )
