"""The vocabulary of a language model: words and their ids."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

EOS = "<eos>"
"""Token at the end of each line."""
UNK = "<unk>"
"""Token that replaces words outside the vocabulary."""


class Vocabulary:
    """A list of distinct words; the id of a word is its index in the list.

    Args:
        words: Words, including `EOS` and `UNK`.
        counts: Number of occurrences of each word in the training text; None if unknown.

    Raises:
        ValueError: If a word occurs twice, `EOS` or `UNK` is missing, or the numbers of counts and
            words differ.

    Example:
        >>> vocabulary = Vocabulary(["<eos>", "<unk>", "the", "cat"])
        >>> vocabulary.encode(["the", "dog", "<eos>"])
        [2, 1, 0]
        >>> vocabulary.decode([2, 1, 0])
        ['the', '<unk>', '<eos>']
    """

    def __init__(self, words: Sequence[str], counts: Sequence[int] | None = None) -> None:
        self.words = list(words)
        self.counts = None if counts is None else list(counts)
        if self.counts is not None and len(self.counts) != len(self.words):
            raise ValueError(
                f"a vocabulary of {len(self.words)} words needs {len(self.words)} counts, got "
                f"{len(self.counts)}"
            )
        self._ids = {word: index for index, word in enumerate(self.words)}
        if len(self._ids) != len(self.words):
            twice = next(word for index, word in enumerate(words) if self._ids[word] != index)
            raise ValueError(f"the words of a vocabulary must be distinct, got {twice!r} twice")
        for special in (EOS, UNK):
            if special not in self._ids:
                raise ValueError(
                    f"a vocabulary must contain {special}, got {len(self.words)} words without it"
                )
        self.eos_id = self._ids[EOS]
        self.unk_id = self._ids[UNK]

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Vocabulary":
        """Returns the vocabulary in the state of a datamodule."""
        return cls(data["vocabulary"], data.get("counts"))

    @classmethod
    def from_counts(
        cls, counts: Mapping[str, int], max_size: int | None = None, min_count: int = 1
    ) -> "Vocabulary":
        """Creates a vocabulary of the most frequent words, sorted by frequency.

        It has at most `max_size` words, including `<eos>` and `<unk>`, which are always kept, and
        drops words with fewer than `min_count` occurrences. Words with equal counts are sorted by
        first appearance, the order of `counts`. The count of `<unk>` is the number of its own
        occurrences plus those of dropped words. If this is 0, `<unk>` gets the last id, so that
        unseen text can be encoded. Raises a `ValueError` if `max_size` is below 2.

        Example:
            >>> Vocabulary.from_counts({"cat": 1, "the": 3, "<eos>": 2}, max_size=3).words
            ['the', '<eos>', '<unk>']
        """
        if max_size is not None and max_size < 2:
            raise ValueError(
                f"max_size must be at least 2, because it includes {EOS} and {UNK}, got {max_size}"
            )
        ordinary = [word for word in counts if word not in (EOS, UNK)]
        frequent = [word for word in ordinary if counts[word] >= min_count]
        frequent.sort(key=lambda word: -counts[word])  # stable: ties stay in order of appearance
        kept = set(frequent if max_size is None else frequent[: max_size - 2])
        dropped = sum(counts[word] for word in ordinary if word not in kept)
        final = {
            word: count for word, count in counts.items() if word in kept or word in (EOS, UNK)
        }
        final.setdefault(EOS, 0)
        final[UNK] = final.get(UNK, 0) + dropped
        if not final[UNK]:
            final[UNK] = final.pop(UNK)  # moves it after all other words with a count of 0
        words = sorted(final, key=lambda word: -final[word])
        return cls(words, [final[word] for word in words])

    def encode(self, words: Iterable[str]) -> list[int]:
        """Returns the ids of words; words outside the vocabulary get the id of `UNK`."""
        find, unknown = self._ids.get, self.unk_id
        return [find(word, unknown) for word in words]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Returns the words of ids; raises a `ValueError` if an id is outside the vocabulary."""
        result = []
        for index in ids:
            if not 0 <= index < len(self.words):
                raise ValueError(f"ids must be from 0 to {len(self.words) - 1}, got {index}")
            result.append(self.words[index])
        return result

    def unknown(self, words: Iterable[str]) -> list[str]:
        """Returns the distinct words outside the vocabulary, in order of appearance."""
        return [word for word in dict.fromkeys(words) if word not in self._ids]

    def has_counted(self, word: str) -> bool:
        """Returns whether the training text contains a word; True if the counts are unknown."""
        return self.counts is None or self.counts[self._ids[word]] > 0

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.words == other.words

    def __hash__(self) -> int:
        return hash(tuple(self.words))
