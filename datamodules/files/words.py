"""The words of raw text."""

from pipeline.errors import InputError
from pipeline.text.treebank import split_sentences, tokenise


def words_of(text: str) -> tuple[str, ...]:
    """Cuts raw text, of any number of sentences, into the words of the Penn Treebank."""
    return tuple(
        token.text for start, end in split_sentences(text) for token in tokenise(text[start:end])
    )


def refuse_damaged(text: str, where: str) -> None:
    """Refuses what no text holds: NUL, and halves of characters, which JSON can spell.

    Args:
        text: any.
        where: it stands, for a person.

    Raises:
        InputError: the text holds either.
    """
    if "\0" in text:
        raise InputError(
            f"{where} holds a NUL character; the text is damaged, or not in the encoding that was "
            "declared"
        )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{where} holds half a character (a lone surrogate); it was cut there")
