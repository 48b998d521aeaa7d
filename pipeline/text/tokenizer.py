"""Cuts raw text into sentences and tokens as the corpora of tagging are cut, with their places."""

import functools
import re
from collections.abc import Container, Iterator, Mapping
from importlib.metadata import version
from typing import Any, NamedTuple, TypeAlias

import regex
from nltk.tokenize.destructive import NLTKWordTokenizer
from syntok import segmenter

Rules: TypeAlias = dict[str, list[list[Any]]]

_LIBRARIES = ("nltk", "syntok")
_WITH_REPLACEMENT = ("STARTING_QUOTES", "PUNCTUATION", "ENDING_QUOTES")
_ALONE = ("PARENS_BRACKETS", "DOUBLE_DASHES")
_CONTRACTIONS = ("CONTRACTIONS2", "CONTRACTIONS3")
_FLAGS = regex.IGNORECASE | regex.MULTILINE | regex.DOTALL | regex.VERBOSE
_CHUNK = re.compile(r"\S+")
_CLOSERS = frozenset("])}>\"'»”’")
_BEFORE, _AFTER = "x ", " x"  # neighbours of a chunk inside a sentence
_QUOTES = ("``", "''", '"')
_CACHED = 1 << 16  # chunks whose tokens are remembered
_STRAIGHT = str.maketrans("\u2018\u2019", "''")
_SPELLINGS = {
    "(": "-LRB-",
    ")": "-RRB-",
    "[": "-LSB-",
    "]": "-RSB-",
    "{": "-LCB-",
    "}": "-RCB-",
    "“": "``",
    "„": "``",
    "«": "``",
    "”": "''",
    "»": "''",
    "…": "...",
    "\u2013": "--",
    "\u2014": "--",
}
"""How the Penn Treebank writes what a text writes in one character."""


class Tokens(NamedTuple):
    """The tokens of a sentence, from left to right.

    Attributes:
        words: as the corpus would write them.
        starts: where each begins in the sentence, in characters.
        ends: where each ends, exclusive.
    """

    words: list[str]
    starts: list[int]
    ends: list[int]


class Tokenizer:
    """Sentences by syntok, tokens by NLTK's rules for the Penn Treebank.

    Both libraries are made of rules, so the same text is always cut in the same way. A word is
    spelled as the treebank does (a bracket as -LRB-, a double quote as `` or '') where the corpus
    knows that spelling and not the text's own.

    Args:
        known: the words of the corpus.
        rules: of NLTK's tokeniser, as `to_state` gives them; those of the installed one if omitted.
    """

    def __init__(self, known: Container[str] = (), rules: Rules | None = None) -> None:
        self._known = known
        self._rules = installed_rules() if rules is None else rules
        self._words = _with_rules(self._rules)
        # Text repeats itself: four chunks in five are looked up, which is 30 times as fast.
        self._cut = functools.lru_cache(_CACHED)(self._cut_chunk)

    def to_state(self) -> dict[str, Any]:
        """Gives what is needed to cut text in the same way later: plain data for a checkpoint."""
        return {
            "words": "nltk.NLTKWordTokenizer",
            "sentences": "syntok.segmenter",
            "versions": {name: version(name) for name in _LIBRARIES},
            "rules": self._rules,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], known: Container[str] = ()) -> "Tokenizer":
        """Makes the tokeniser that `to_state` described.

        Args:
            state: as `to_state` gave it.
            known: the words of the corpus.
        """
        return cls(known, state["rules"])

    def sentences(self, text: str) -> Iterator[tuple[int, int]]:
        """Finds the sentences of a text; a blank line always ends one.

        Args:
            text: of any length; it is held in memory a few times.

        Yields:
            Start and end of each in the text, without the white space around it. Together they
            hold all but white space.
        """
        found = [tokens[0].offset for part in segmenter.analyze(text) for tokens in part]
        # What the library skips at the beginning belongs to the first sentence.
        for start, end in zip([0, *found[1:]], [*found[1:], len(text)], strict=True):
            sentence = text[start:end]
            if stripped := sentence.strip():
                first = start + sentence.index(stripped[0])
                yield first, first + len(stripped)

    def tokenise(self, sentence: str) -> Tokens:
        """Cuts a sentence into tokens.

        Args:
            sentence: one sentence; the full stop is cut off at its end alone.

        Returns:
            The tokens; together they hold all but white space.
        """
        tokens = Tokens([], [], [])
        words, starts, ends = tokens
        for chunk, base, is_last in _chunks(sentence):
            for word, start, end in self._cut(chunk, is_last):
                words.append(word)
                starts.append(base + start)
                ends.append(base + end)
        return tokens

    def _cut_chunk(self, chunk: str, is_last: bool) -> tuple[tuple[str, int, int], ...]:
        """Cuts what stands between white space (or, at the end, what the full stop is in)."""
        plain = chunk if "\u2019" in self._known else chunk.translate(_STRAIGHT)
        found = self._words.tokenize(_BEFORE + plain + ("" if is_last else _AFTER))
        found = found[1:] if is_last else found[1:-1]
        return tuple(
            (self._spelling(token, plain, start, end), start, end)
            for token, start, end in _places(found, plain)
        )

    def _spelling(self, token: str, chunk: str, start: int, end: int) -> str:
        written = chunk[start:end]
        if written == "'" and "`" in self._known and _opens(chunk, start):
            return "`"
        if written in self._known:
            return written
        if token == written:  # else the tokeniser has spelled a double quote
            escaped = token.replace("/", r"\/").replace("*", r"\*")
            token = _SPELLINGS.get(token, escaped)
        return token if token in self._known else written


def installed_rules() -> Rules:
    """Gives the rules of the installed NLTK: attribute -> [pattern, flags, replacement] each."""
    found: Rules = {}
    for name in _WITH_REPLACEMENT:
        found[name] = [_plain(*pair) for pair in getattr(NLTKWordTokenizer, name)]
    for name in _ALONE:
        found[name] = [_plain(*getattr(NLTKWordTokenizer, name))]
    for name in _CONTRACTIONS:
        found[name] = [_plain(pattern, "") for pattern in getattr(NLTKWordTokenizer, name)]
    return found


def changed_libraries(state: Mapping[str, Any]) -> list[str]:
    """Tells which libraries are of another version than when a state was saved.

    Args:
        state: as `Tokenizer.to_state` gave it.

    Returns:
        A phrase for each, as "syntok 1.4.4 (now 1.5.0)".
    """
    pairs = ((name, then, version(name)) for name, then in state["versions"].items())
    return [f"{name} {then} (now {now})" for name, then, now in pairs if then != now]


def _plain(pattern: Any, replacement: str) -> list[Any]:  # noqa: ANN401 (NLTK's own class)
    return [pattern.pattern, int(pattern.flags) & int(_FLAGS), replacement]


def _with_rules(rules: Rules) -> NLTKWordTokenizer:
    """Gives NLTK's tokeniser with rules of its own in place of its class's."""
    tokenizer = NLTKWordTokenizer()
    for name in (*_WITH_REPLACEMENT, *_ALONE):
        pairs = [(regex.compile(pattern, flags), text) for pattern, flags, text in rules[name]]
        setattr(tokenizer, name, pairs[0] if name in _ALONE else pairs)
    for name in _CONTRACTIONS:  # NLTK too has them in the other engine
        setattr(tokenizer, name, [re.compile(pattern, flags) for pattern, flags, _ in rules[name]])
    return tokenizer


def _chunks(sentence: str) -> Iterator[tuple[str, int, bool]]:
    """Gives what stands between white space, where it begins, and whether the sentence ends in it.

    No rule looks beyond white space but that of the last full stop, which may be followed by
    closing brackets and quotes that stand alone: those are in the last chunk.
    """
    matches = list(_CHUNK.finditer(sentence))
    last = len(matches) - 1
    while last > 0 and _CLOSERS.issuperset(matches[last][0]):
        last -= 1
    for match in matches[:last]:
        yield match[0], match.start(), False
    if matches:
        start = matches[last].start()
        yield sentence[start : matches[-1].end()], start, True


def _places(tokens: list[str], chunk: str) -> Iterator[tuple[str, int, int]]:
    """Finds the tokens again: the tokeniser drops white space, and rewrites double quotes."""
    position = 0
    for token in tokens:
        while chunk[position].isspace():
            position += 1
        forms = (token, *_QUOTES) if token in _QUOTES else (token,)
        form = next(form for form in forms if chunk.startswith(form, position))
        yield token, position, position + len(form)
        position += len(form)


def _opens(chunk: str, start: int) -> bool:
    return chunk[start - 1 : start].strip('("[') == "" and chunk[start + 1 : start + 2].isalnum()
