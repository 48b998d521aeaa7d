"""The words that a model knows, and their ids."""

from collections.abc import Iterable, Mapping, Sequence

EOS = "<eos>"
"""The end of a line, a token like any other."""
UNK = "<unk>"
"""Stands for every word that is not in the vocabulary."""


class Vocabulary:
    """A list of distinct words; a word's id is its place in the list.

    Args:
        words: the words, `EOS` and `UNK` among them.
        counts: how often each occurs in the training text, where that is known.

    Raises:
        ValueError: a word occurs twice, `EOS` or `UNK` is missing, **or** there are not as many
            counts as words.

    Attributes:
        words: the words.
        counts: how often each occurs in the training text, or None.
        eos_id: the id of `EOS`.
        unk_id: the id of `UNK`.
    """

    def __init__(self, words: Sequence[str], counts: Sequence[int] | None = None) -> None:
        self.words = list(words)
        self.counts = None if counts is None else list(counts)
        if self.counts is not None and len(self.counts) != len(self.words):
            raise ValueError(
                f"a vocabulary of {len(self.words)} words has as many counts, got"
                f" {len(self.counts)}"
            )
        self._ids = {word: index for index, word in enumerate(self.words)}
        if len(self._ids) != len(self.words):
            twice = next(word for index, word in enumerate(words) if self._ids[word] != index)
            raise ValueError(f"a vocabulary holds each word once, got {twice!r} twice")
        for special in (EOS, UNK):
            if special not in self._ids:
                raise ValueError(
                    f"a vocabulary holds {special}, got {len(self.words)} words without it"
                )
        self.eos_id = self._ids[EOS]
        self.unk_id = self._ids[UNK]

    @classmethod
    def from_counts(
        cls, counts: Mapping[str, int], max_size: int | None = None, min_count: int = 1
    ) -> "Vocabulary":
        """Keeps the frequent words; ids fall with frequency, ties go to the word that came first.

        `<eos>` and `<unk>` are always kept. `<unk>` counts as often as it is written in the text
        and as the dropped words occur; where that is never, it is added as the last id, so that
        unseen text can be encoded.

        Args:
            counts: word -> number of occurrences, in order of first appearance.
            max_size: the most entries to keep, `<eos>` and `<unk>` included; None keeps all.
            min_count: rarer words become `<unk>`.

        Returns:
            The vocabulary.

        Raises:
            ValueError: `max_size` leaves no room for `<eos>` and `<unk>`.
        """
        if max_size is not None and max_size < 2:
            raise ValueError(
                f"max_size counts {EOS} and {UNK} too, so it is at least 2, got {max_size}"
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
            final[UNK] = final.pop(UNK)  # the last of the words that never occur
        words = sorted(final, key=lambda word: -final[word])
        return cls(words, [final[word] for word in words])

    def encode(self, words: Iterable[str]) -> list[int]:
        """Gives the ids of words; an unknown word gets the id of `UNK`."""
        find, unknown = self._ids.get, self.unk_id
        return [find(word, unknown) for word in words]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Gives the words of ids.

        Raises:
            ValueError: an id is outside of the vocabulary.
        """
        result = []
        for index in ids:
            if not 0 <= index < len(self.words):
                raise ValueError(f"ids are 0 to {len(self.words) - 1}, got {index}")
            result.append(self.words[index])
        return result

    def unknown(self, words: Iterable[str]) -> list[str]:
        """Gives the distinct words that are not in the vocabulary, in order of appearance."""
        return [word for word in dict.fromkeys(words) if word not in self._ids]

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.words == other.words

    def __hash__(self) -> int:
        return hash(tuple(self.words))
