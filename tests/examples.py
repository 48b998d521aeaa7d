"""Small vocabularies for tests."""

from collections.abc import Sequence

from pipeline.text.vocabulary import EOS, UNK, Vocabulary


def vocabulary(size: int, counts: Sequence[int] | None = None) -> Vocabulary:
    """`<eos>`, `<unk>` and w2, w3, ...; as frequent as `counts` says, else ever rarer."""
    words = [EOS, UNK, *(f"w{index}" for index in range(2, size))]
    return Vocabulary(words, range(2 * size, size, -1) if counts is None else counts)
