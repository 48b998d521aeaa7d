"""Sentence splitting and Penn Treebank tokenization, with character positions."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import nltk
from nltk.tokenize.destructive import NLTKWordTokenizer
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

_BRACKETS = {"(": "-LRB-", ")": "-RRB-", "[": "-LSB-", "]": "-RSB-", "{": "-LCB-", "}": "-RCB-"}
_APOSTROPHE = "'"
_QUOTES = ("``", "''", '"')
_ABBREVIATIONS = """
mr mrs ms dr prof sr jr st gen col maj capt lt sgt rev hon gov sen rep pres supt
e.g i.e etc vs cf al approx est inc ltd co corp bros dept univ assn ave blvd rd
jan feb mar apr jun jul aug sept sep oct nov dec mon tue wed thu fri sat sun
u.s u.k u.n e.u a.m p.m no vol pp p fig eq sec ch ed eds ph.d m.d b.a m.a d.c
"""
_CONTRACTED = re.compile("cannot|gimme|gonna|gotta|lemme|wanna", re.IGNORECASE)
_PIECES = re.compile(r"\S+")
_PLAIN = re.compile(
    r"""(?P<opening>[("]?) (?P<word>[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*)
    (?: (?P<genitive>'s)? (?P<mark>[,;:?!]?) (?P<closing>[)"]?)
    |   (?P<stop>\.) (?P<after>[)"]?) )""",
    re.VERBOSE,
)
_tokenizer = NLTKWordTokenizer()


def _english() -> PunktSentenceTokenizer:
    parameters = PunktParameters()  # type: ignore[no-untyped-call]
    parameters.abbrev_types = set(_ABBREVIATIONS.split())
    return PunktSentenceTokenizer(parameters)  # type: ignore[no-untyped-call]


_splitter = _english()


class Token(NamedTuple):
    """A token of a text."""

    text: str  # with the escapes of the treebank, such as `-LRB-`
    start: int  # index of its first character in the text
    end: int  # index after its last character


def tokenize(sentence: str) -> list[Token]:
    """Splits a sentence into tokens by the rules of the Penn Treebank.

    NLTK splits the sentence; only its final full stop becomes a token. Brackets, slashes, asterisks
    and opening single quotes are then escaped like in the Stanford parser. That parser tokenized
    the release of Irsoy & Cardie; this function would split 52 of its 364,570 words further (`US$`,
    `AT&T`, `!!`). British spelling is not changed.

    Example:
        >>> [token.text for token in tokenize("It isn't (very) good.")]
        ['It', 'is', "n't", '-LRB-', 'very', '-RRB-', 'good', '.']
    """
    pieces = list(_PIECES.finditer(sentence))
    tokens = []
    for index, piece in enumerate(pieces, 1):
        offset = piece.start()
        for text, start, end in _cut(piece[0], index == len(pieces)):
            tokens.append(Token(text, start + offset, end + offset))
    return tokens


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Splits a text into sentences with NLTK's Punkt (Kiss and Strunk 2006).

    English abbreviations such as "Dr." do not end a sentence. Returns the start and end (exclusive)
    of each sentence in characters.

    Example:
        >>> split_sentences("Dr. No is bad. He left.")
        [(0, 14), (15, 23)]
    """
    found = _splitter.span_tokenize(text)
    # Punkt keeps white space before the first sentence.
    return [
        (end - len(text[start:end].lstrip()), end)
        for start, end in found
        if not text[start:end].isspace()
    ]


def state() -> dict[str, str]:
    """Returns the methods and the version of NLTK, as plain data for a checkpoint."""
    return {"tokenizer": "treebank", "sentences": "punkt-english", "nltk": nltk.__version__}


@lru_cache(maxsize=100_000)
def _cut(piece: str, is_last: bool) -> tuple[Token, ...]:
    """Splits a piece without white space, which depends only on whether the sentence ends here."""
    # Nine of ten pieces are plain, and the tokenizer is slow.
    plain = _PLAIN.fullmatch(piece)
    if plain is not None and not _CONTRACTED.search(piece):
        if plain["stop"] is None:
            return _plain_tokens(plain, "opening", "word", "genitive", "mark", "closing")
        if is_last:
            return _plain_tokens(plain, "opening", "word", "stop", "after")
    # With a following piece, the tokenizer does not treat a full stop as the sentence's end.
    text = piece if is_last else f"{piece} x"
    tokens = [
        Token(_escape(token, text, start), start, end)
        for token, start, end in _places(_tokenizer.tokenize(text), text)
    ]
    return tuple(tokens if is_last else tokens[:-1])


def _plain_tokens(match: re.Match[str], *groups: str) -> tuple[Token, ...]:
    """Returns the groups that are not empty as tokens, with escaped brackets and quotes."""
    tokens = []
    for group in groups:
        if text := match[group]:
            if text == '"':
                text = "``" if group == "opening" else "''"
            tokens.append(Token(_BRACKETS.get(text, text), match.start(group), match.end(group)))
    return tuple(tokens)


def _places(tokens: list[str], sentence: str) -> Iterator[tuple[str, int, int]]:
    """Locates the tokens, since the tokenizer drops white space and rewrites double quotes."""
    position = 0
    for token in tokens:
        while sentence[position].isspace():
            position += 1
        forms = (token, *_QUOTES) if token in _QUOTES else (token,)
        form = next(form for form in forms if sentence.startswith(form, position))
        yield token, position, position + len(form)
        position += len(form)


def _escape(token: str, sentence: str, start: int) -> str:
    if token == _APOSTROPHE:
        opens = sentence[start - 1 : start].strip(' \t\r\n("[') == ""
        return "`" if opens and sentence[start + 1 : start + 2].isalnum() else token
    return _BRACKETS.get(token) or token.replace("/", r"\/").replace("*", r"\*")
