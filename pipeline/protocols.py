"""A runtime check of protocols that works for modules on every Python version."""

import inspect
from typing import Any, TypeGuard, TypeVar

from torch import nn

_Protocol = TypeVar("_Protocol")


def implements(part: object, protocol: type[_Protocol]) -> TypeGuard[_Protocol]:
    """Returns whether an object, or a class, has all members of a protocol.

    `isinstance` is no substitute: from Python 3.12 on it does not see the submodules and parameters
    of an `nn.Module`, and before 3.12 it computes properties, which may read a corpus.

    Example:
        >>> from typing import Protocol
        >>> class Sized(Protocol):
        ...     weight: object
        >>> implements(nn.Linear(1, 1), Sized), implements(nn.ReLU(), Sized)
        (True, False)
    """
    return not missing_members(part, protocol)


def missing_members(part: object, protocol: type[Any]) -> list[str]:
    """Returns the members of a protocol that an object, or a class, does not have."""
    members: set[str] = set()
    for base in protocol.__mro__:
        if getattr(base, "_is_protocol", False):
            members |= {*inspect.get_annotations(base), *vars(base)}
    names = {name for name in members if not name.startswith("_") or name == "__call__"}
    return sorted(name for name in names if not _has(part, name))


def _has(part: object, name: str) -> bool:
    if isinstance(part, type):
        return hasattr(part, name)
    own = [vars(part)] if hasattr(part, "__dict__") else []
    if isinstance(part, nn.Module):
        own += [part._modules, part._parameters, part._buffers]
    return hasattr(type(part), name) or any(name in each for each in own)
