"""Checked readers of values in the state of a datamodule, which anyone can write in a checkpoint.

A value of another form than a datamodule writes is refused when the model is loaded. Readers of
larger values are methods: `ColumnLayout.of`, `VectorFile.of`.
"""

from collections.abc import Mapping
from typing import Any, get_args

from pipeline.errors import malformed
from pipeline.text.layout import ColumnLayout
from pipeline.text.tags import TagForm, is_tag_form
from pipeline.text.units import Unit


def read_unit(state: Mapping[str, Any]) -> Unit:
    """Returns the unit of the tokens of a language model; raises `InputError` if it is none.

    Example:
        >>> read_unit({"unit": "word"})
        'word'
    """
    unit = state.get("unit")
    if not isinstance(unit, str) or unit not in get_args(Unit):
        raise malformed("unit", unit, f"one of {', '.join(get_args(Unit))}")
    return unit  # type: ignore[return-value]  # one of the literals


def read_is_list(state: Mapping[str, Any]) -> bool:
    """Returns whether a text is a list of items; raises `InputError` if it is not True or False.

    Example:
        >>> read_is_list({"is_list": False})
        False
    """
    is_list = state.get("is_list")
    if not isinstance(is_list, bool):
        raise malformed("is_list", is_list, "True or False")
    return is_list


def read_max_tokens(state: Mapping[str, Any]) -> int:
    """Returns the maximum number of tokens of a text; raises `InputError` if it is none.

    Example:
        >>> read_max_tokens({"max_tokens": 400})
        400
    """
    max_tokens = state.get("max_tokens")
    if type(max_tokens) is not int or max_tokens < 1:
        raise malformed("max_tokens", max_tokens, "an integer of 1 or more")
    return max_tokens


def read_scheme(state: Mapping[str, Any]) -> TagForm:
    """Returns the tag scheme of a corpus; raises `InputError` if it is none.

    Example:
        >>> read_scheme({"scheme": "IOB2"})
        'IOB2'
    """
    scheme = state.get("scheme")
    if not is_tag_form(scheme):
        raise malformed("scheme", scheme, "a tag scheme")
    return scheme


def read_layout(state: Mapping[str, Any]) -> ColumnLayout | None:
    """Returns the columns of the files of a corpus; None if it has no column files.

    Raises `InputError` if the state describes no columns.

    Example:
        >>> read_layout({"layout": {"token": 0, "tag": 2}}).tag
        2
    """
    layout = state.get("layout")
    return None if layout is None else ColumnLayout.of(layout)


_READERS = {
    "unit": read_unit,
    "is_list": read_is_list,
    "max_tokens": read_max_tokens,
    "scheme": read_scheme,
    "layout": read_layout,
}


def check_state(state: Mapping[str, Any]) -> None:
    """Raises `InputError` if a value in the state of a datamodule has another form than expected.

    Example:
        >>> check_state({"unit": "word", "is_list": False})
    """
    for key, read in _READERS.items():
        if key in state:
            read(state)
