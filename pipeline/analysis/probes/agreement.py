"""Number agreement: does a language model prefer the verb that agrees with its subject?

After Linzen et al. (2016, "Assessing the Ability of LSTMs to Learn Syntax-Sensitive Dependencies",
TACL 4, arXiv 1611.01368): "the writer of the books is / are". A model is right where, after the
words before a verb, it gives that verb a higher probability than its form in the other number.
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
"""The least distance of each range that is reported; the built-in grammar has up to 15."""
_SENTENCES = 256  # side by side


class Verb(Protocol):
    """A verb in a sentence; `datamodules.language_model.builtin.Agreement` is one."""

    @property
    def words(self) -> tuple[str, ...]:
        """The sentence, without `<eos>`."""

    @property
    def verb(self) -> int:
        """The verb's position."""

    @property
    def subject(self) -> int:
        """The position of the subject's noun or name, before the verb."""

    @property
    def attractors(self) -> int:
        """Nouns of the other number between the two."""

    @property
    def wrong(self) -> str:
        """The verb in the other number."""


class Judged(NamedTuple):
    """What a model makes of a verb.

    Attributes:
        distance: words between the subject and the verb.
        attractors: nouns of the other number among these.
        margin: log P(verb) - log P(wrong verb), in nats.
    """

    distance: int
    attractors: int
    margin: float

    @property
    def is_right(self) -> bool:
        """Whether the verb is preferred; where both are as likely it is not."""
        return self.margin > 0


class AgreementRate(NamedTuple):
    """How many verbs of a group are right.

    Attributes:
        group: which verbs, as "3-5".
        right: how many are right.
        total: how many there are.
    """

    group: str
    right: int
    total: int

    @property
    def accuracy(self) -> float:
        """Their share."""
        return self.right / self.total


@torch.inference_mode()
def judge(trained: Trained, verbs: Sequence[Verb]) -> list[Judged]:
    """Has a language model choose between the two forms of each verb.

    Sentences are read apart, each after an `<eos>` and with no memory of others.

    Args:
        trained: a language model over words.
        verbs: in sentences that its vocabulary knows.

    Returns:
        One judgement for each verb, in their order.

    Raises:
        InputError: a word is unknown to the model, or its tokens are no words.
    """
    vocabulary = Vocabulary(trained.data["vocabulary"])
    refuse_unknown(vocabulary, trained.data["unit"], verbs)
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
    """Counts by ranges of distances.

    Args:
        judged: what a model made of verbs.
        starts: the least distance of each range, rising; the last range has no end.
    """
    shares = []
    for first, following in zip_longest(starts, starts[1:]):
        last = math.inf if following is None else following - 1
        name = f"{first}+" if following is None else f"{first}-{last}"
        chosen = [one for one in judged if first <= one.distance <= last]
        shares.append(_share(str(first) if first == last else name, chosen))
    return [share for share in shares if share.total]


def by_attractors(judged: Sequence[Judged]) -> list[AgreementRate]:
    """Counts by the number of attractors."""
    numbers = sorted({one.attractors for one in judged})
    return [
        _share(str(number), [one for one in judged if one.attractors == number])
        for number in numbers
    ]


def _share(group: str, judged: Sequence[Judged]) -> AgreementRate:
    return AgreementRate(group, sum(one.is_right for one in judged), len(judged))


def _margins(trained: Trained, vocabulary: Vocabulary, verbs: Sequence[Verb]) -> Tensor:
    model = cast(Generator, trained.model)
    # What follows the longest prefix is not read, and what follows the others is not looked at.
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
    """Raises `InputError` unless a model of this vocabulary can be asked about the verbs."""
    words = [word for one in verbs for word in (*one.words[: one.verb + 1], one.wrong)]
    unknown = vocabulary.unknown(words)
    if unit == "word" and not unknown:
        return
    what = f"no '{unknown[0]}'" if unit == "word" else "characters"
    raise InputError(
        f"agreement is measured in sentences of the built-in grammar, and this model knows {what}; "
        "give a model over words that was trained on the corpus builtin"
    )
