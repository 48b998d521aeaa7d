"""Lists in configurations replace earlier lists as a whole."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jsonargparse import _typehints


@contextmanager
def replaced_lists() -> Iterator[None]:
    """Context in which a list of a flag or file replaces the list of an earlier file.

    jsonargparse 4.53 fills elements with settings of the earlier list if both lists are equally
    long, so that `--model.inputs=[{class_path: Words, init_args: {size: 50}}]` would keep other
    settings of the element that it replaces. `--model.inputs+=...` still appends.
    """
    original: Any = _typehints.adapt_typehints
    signature = inspect.signature(original)

    def adapt(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (of jsonargparse)
        given = signature.bind(*args, **kwargs).arguments
        is_new = isinstance(given["val"], list) and not given.get("append")
        if is_new and isinstance(given.get("prev_val"), list):
            given["prev_val"] = None
        return original(**given)

    _typehints.adapt_typehints = adapt
    try:
        yield
    finally:
        _typehints.adapt_typehints = original
