"""Types of values that the annotation of a constructor's parameter accepts."""

import datetime
import enum
import inspect
import os
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

_PLAIN = (bool, int, float, str, bytes, type(None))
_UNTYPED = (object, list, dict, tuple, set, type)
_WRITTEN_AS_TEXT = (os.PathLike, datetime.timedelta, enum.Enum)


class Slot(NamedTuple):
    """Types of values that a parameter accepts.

    Attributes:
        bases: Classes whose instances (or factories, or subclasses) are taken.
        elements: Annotations of the elements of a list or the values of a mapping.
        takes_text: Whether a string is taken as a value.
        is_open: Whether anything is taken.
        is_callable: Whether functions are taken.
    """

    bases: tuple[type[Any], ...] = ()
    elements: tuple[object, ...] = ()
    takes_text: bool = False
    is_open: bool = False
    is_callable: bool = False


def slot_of(annotation: object) -> Slot:
    """Reads an annotation."""
    annotation = getattr(annotation, "__value__", annotation)  # a `type` alias
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return joined([slot_of(argument) for argument in arguments])
    if origin is typing.Annotated:
        return slot_of(arguments[0])
    if origin is typing.Literal or annotation is str:
        return Slot(takes_text=True)
    if annotation in (Callable, typing.Callable) or origin is Callable:
        result = slot_of(arguments[-1]) if arguments else Slot()
        return Slot(bases=result.bases, is_callable=True)
    if origin is type:
        return Slot(bases=slot_of(arguments[0]).bases)
    return _plain(annotation) if origin is None else _container(origin, arguments)


def _plain(annotation: object) -> Slot:
    """Reads an annotation without arguments."""
    if annotation in _PLAIN or annotation is None:
        return Slot()
    if annotation is Any or not isinstance(annotation, type) or annotation in _UNTYPED:
        return Slot(is_open=True)
    if issubclass(annotation, _WRITTEN_AS_TEXT):
        return Slot(takes_text=True)
    return Slot(bases=(annotation,))


def _container(origin: object, arguments: tuple[object, ...]) -> Slot:
    if isinstance(origin, type) and issubclass(origin, Iterable):
        inner = arguments[-1:] if issubclass(origin, Mapping) else arguments
        return Slot(elements=tuple(each for each in inner if each is not Ellipsis))
    return Slot(bases=(origin,)) if isinstance(origin, type) else Slot(is_open=True)


def joined(slots: Sequence[Slot]) -> Slot:
    """Returns what a union of annotations takes."""
    return Slot(
        bases=tuple(base for slot in slots for base in slot.bases),
        elements=tuple(each for slot in slots for each in slot.elements),
        takes_text=any(slot.takes_text for slot in slots),
        is_open=any(slot.is_open for slot in slots),
        is_callable=any(slot.is_callable for slot in slots),
    )


def fits(cls: type[Any], base: type[Any]) -> bool:
    """Returns whether a class has the type that a slot expects."""
    if getattr(base, "_is_protocol", False):
        return True  # jsonargparse compares the methods
    return issubclass(cls, base)


def family(base: type[Any]) -> Iterator[type[Any]]:
    """Yields a class and its imported subclasses."""
    yield base
    for child in type.__subclasses__(base):
        yield from family(child)


def hints_of(cls: type[Any]) -> Mapping[str, object]:
    """Returns the annotations of the constructor's parameters that can be read."""
    function = inspect.unwrap(cls.__init__)
    try:
        hints: dict[str, object] = typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        hints = {k: v for k, v in function.__annotations__.items() if not isinstance(v, str)}
    return hints
