"""Which parts of a model may be recorded: all of ours, and those of a user that say so."""

from itertools import takewhile

from torch import nn

_OURS = ("pipeline", "tasks", "torch")


def is_recordable(*parts: object) -> bool:
    """Returns whether a computation of these parts, with their modules, may be recorded.

    A recording repeats what the device does and nothing that the host does, such as drawing a
    number or reading a value. This is harmless for all modules of torch and of this package that do
    not say otherwise. A class of yours is recorded if it has the attribute `is_recordable = True`,
    which it does not inherit from a class of this package.

    Example:
        >>> from pipeline.encoders import LSTM
        >>> is_recordable(LSTM(2, 3), None, nn.Dropout(0.5))
        True
    """
    modules = [part for part in parts if isinstance(part, nn.Module)]
    others = [part for part in parts if part is not None and not isinstance(part, nn.Module)]
    every = [*others, *(inner for module in modules for inner in module.modules())]
    return all(map(allows_recording, every))


def allows_recording(part: object) -> bool:
    """Returns whether a part may be recorded, without the modules that it contains."""
    foreign = list(takewhile(lambda each: not _is_ours(each), type(part).__mro__))
    if any("is_recordable" in vars(each) for each in foreign) or not foreign:
        return bool(getattr(part, "is_recordable", True))
    return False


def _is_ours(kind: type) -> bool:
    return kind.__module__.split(".")[0] in _OURS
