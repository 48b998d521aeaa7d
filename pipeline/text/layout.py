"""Which columns of a file with one token per line contain what."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias, get_args

from pipeline.errors import malformed
from pipeline.text.tags import TagForm, is_tag_form

Separator: TypeAlias = Literal["auto", "tab", "space"]
Comments: TypeAlias = Literal["auto", "skip", "none"]


def _is_column(value: object) -> bool:
    return isinstance(value, str) or type(value) is int


def _are_features(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and _is_column(column) for name, column in value.items()
    )


_COLUMN = (lambda value: value is None or _is_column(value), "an index, a name or None")
_FORMS: dict[str, tuple[Callable[[object], bool], str]] = {
    "token": _COLUMN,
    "tag": _COLUMN,
    "features": (_are_features, "names with the indices or names of columns"),
    "separator": (
        lambda value: isinstance(value, str) and value in get_args(Separator),
        f"one of {', '.join(get_args(Separator))}",
    ),
    "comments": (
        lambda value: isinstance(value, str) and value in get_args(Comments),
        f"one of {', '.join(get_args(Comments))}",
    ),
    "scheme": (is_tag_form, "a tag scheme"),
    "default_type": (lambda value: isinstance(value, str), "the name of a span type"),
}
"""What the values of a `ColumnLayout` are, and what to call it in a message."""


class ColumnLayout(NamedTuple):
    """Which columns of a file contain what, as plain data.

    A column is given by its index from 0 (-1 is the last one), or by its name in CoNLL-U and
    CoNLL-U Plus.

    Attributes:
        token: Column of the tokens; by default `form` in CoNLL-U, else the first one.
        tag: Column of the tags; by default the last one.
        features: Name -> other column.
        separator: What separates columns; "auto" selects TAB if the first token line has one.
        comments: Lines that begin with # before the first token of a sentence: "skip" skips them,
            "none" reads them as tokens, and "auto" skips those that have another number of columns
            than the tokens (all in CoNLL-U).
        scheme: Tag scheme of the files; "labels" if tags are not converted.
        default_type: Span type of tags without a type.

    Example:
        >>> ColumnLayout(token="form", tag="upos", scheme="labels").separator
        'auto'
    """

    token: int | str | None = None
    tag: int | str | None = None
    features: Mapping[str, int | str] = MappingProxyType({})
    separator: Separator = "auto"
    comments: Comments = "auto"
    scheme: TagForm = "IOB2"
    default_type: str = "span"

    @classmethod
    def of(cls, state: object) -> "ColumnLayout":
        """Returns the layout in the state of a datamodule; raises `InputError` if it is none."""
        if not isinstance(state, Mapping) or not state.keys() <= set(cls._fields):
            raise malformed("layout", state, f"a mapping with the keys {', '.join(cls._fields)}")
        layout = cls(**state)
        for name in cls._fields:
            is_valid, expected = _FORMS[name]
            if not is_valid(value := getattr(layout, name)):
                raise malformed(f"layout.{name}", value, expected)
        return layout
