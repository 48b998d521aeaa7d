"""The words of raw text."""

from pipeline.text.treebank import split_sentences, tokenise


def words_of(text: str) -> tuple[str, ...]:
    """Cuts raw text, of any number of sentences, into the words of the Penn Treebank."""
    return tuple(
        token.text for start, end in split_sentences(text) for token in tokenise(text[start:end])
    )
