"""Sentences of a text, and words as the Penn Treebank writes them, with their places."""

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
_CONTRACTED = frozenset({"cannot", "gimme", "gonna", "gotta", "lemme", "wanna"})
_PIECES = re.compile(r"\S+")
_tokenizer = NLTKWordTokenizer()


def _english() -> PunktSentenceTokenizer:
    parameters = PunktParameters()  # type: ignore[no-untyped-call]
    parameters.abbrev_types = set(_ABBREVIATIONS.split())
    return PunktSentenceTokenizer(parameters)  # type: ignore[no-untyped-call]


_splitter = _english()


class Token(NamedTuple):
    r"""A token of a text.

    Attributes:
        text: as the treebank writes it: `-LRB-`, a slash as `\/`.
        start: where it begins, in characters.
        end: where it ends, exclusive.
    """

    text: str
    start: int
    end: int


def tokenise(sentence: str) -> list[Token]:
    r"""Cuts a sentence into tokens by the rules of the Penn Treebank.

    NLTK's tokeniser cuts; brackets, slashes, asterisks and opening single quotes are then escaped
    as the Stanford parser does. Of the words of Irsoy & Cardie's release, which that parser cut,
    52 of 364,570 would be cut further (`US$`, `AT&T`, `!!`), and British spelling stays as it is.

    Args:
        sentence: one sentence; the full stop is cut off at its end alone.

    Returns:
        The tokens from left to right; they cover all but the white space.
    """
    pieces = list(_PIECES.finditer(sentence))
    return [
        Token(token.text, token.start + piece.start(), token.end + piece.start())
        for index, piece in enumerate(pieces)
        for token in _cut(piece[0], index + 1 == len(pieces))
    ]


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Finds the sentences of a text.

    NLTK's Punkt algorithm (Kiss and Strunk 2006) cuts, with a list of English abbreviations that do
    not end a sentence.

    Args:
        text: of any length.

    Returns:
        Start and end, exclusive, of each sentence, in characters.
    """
    found = _splitter.span_tokenize(text)
    # Punkt leaves white space in front of the first one.
    return [
        (end - len(text[start:end].lstrip()), end)
        for start, end in found
        if not text[start:end].isspace()
    ]


def state() -> dict[str, str]:
    """Tells how text was cut, as plain data for a checkpoint."""
    return {"tokeniser": "treebank", "sentences": "punkt-english", "nltk": nltk.__version__}


@lru_cache(maxsize=100_000)
def _cut(piece: str, is_last: bool) -> tuple[Token, ...]:
    """Cuts what stands between white space; nothing but the end of the sentence matters to it."""
    if piece.isascii() and piece.isalnum() and piece.lower() not in _CONTRACTED:
        return (Token(piece, 0, len(piece)),)  # most are plain, and the tokeniser is slow
    # A piece that follows keeps a full stop from being taken for the sentence's.
    text = piece if is_last else f"{piece} x"
    tokens = [
        Token(_escape(token, text, start), start, end)
        for token, start, end in _places(_tokenizer.tokenize(text), text)
    ]
    return tuple(tokens if is_last else tokens[:-1])


def _places(tokens: list[str], sentence: str) -> Iterator[tuple[str, int, int]]:
    """Finds the tokens again: the tokeniser drops white space, and rewrites double quotes."""
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
