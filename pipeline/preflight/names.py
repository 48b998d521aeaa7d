"""Finds the class that a short or dotted name means where certain types are expected."""

import re
from collections.abc import Sequence

from pipeline.preflight.classes import Class, class_names, find_class, find_or_none, subclasses
from pipeline.preflight.messages import Location, missing_class, nearest, no_such_class
from pipeline.preflight.modules import MissingNameError
from pipeline.preflight.values import Types, accepts

GROUPS = {
    "model": "lightning.pytorch.core.module.LightningModule",
    "data": "lightning.pytorch.core.datamodule.LightningDataModule",
}
"""Base classes of the groups of a configuration that a class is chosen for."""
# Importing these packages does not give the user's own classes short names.
_LIBRARIES = frozenset({"torch", "lightning", "torchmetrics"})
_CLASS_LIKE = re.compile(r"[A-Z]\w*")


class ClassNames:
    """Names of classes, of which those in some packages may be short.

    Attributes:
        packages: Packages and modules whose classes may be named without their path.
        are_complete: Whether all short names are known: a module of the user can add others.
    """

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = packages
        self.are_complete = True
        self._own = tuple({f"{package.partition('.')[0]}." for package in packages})

    def accepts(self, types: Types, value: object) -> bool:
        """Returns whether a value that is not a string can be given for types of ours."""
        is_own = any(self._is_own(base) for base in types.classes)
        return not is_own or not types.takes_classes or accepts(types.without_classes, value)

    def find(self, types: Types, name: str, at: Location, is_class_path: bool) -> Class | None:
        """Returns the class that a string means; None if it cannot be found in source text.

        A string at the key `class_path` must be a class. Raises `InputError` if the string can only
        be the name of a class and there is none.
        """
        if "." in name:
            return self._dotted(types, name, at, is_class_path or types.takes_only_classes)
        if found := self._subclasses(types, [name]):
            return found[0] if len(found) == 1 else None
        if is_class_path or not accepts(types.without_classes, name):
            self.require(types, name, at)
        elif types.takes_classes and self.are_complete and _CLASS_LIKE.fullmatch(name):
            # The string can be something else, such as the name of a run, unless it is very near.
            known = self._similar(types, name)
            if nearest(name, [c.node.name for c in known], cutoff=0.8):
                raise no_such_class(at, name, known)
        return None

    def require(self, types: Types, name: str, at: Location) -> None:
        """Raises `InputError` if a string is certainly no short name of a class that fits."""
        if not (self.are_complete and self.packages and types.takes_classes):
            return
        if self._subclasses(types, [name]):
            return
        known = self._similar(types, name)
        # All short names of our own classes are known, those of other packages are not.
        if known or any(self._is_own(base) for base in types.classes):
            raise no_such_class(at, name, known, types)

    def _dotted(self, types: Types, name: str, at: Location, is_certain: bool) -> Class | None:
        top = name.split(".")[0]
        is_own = f"{top}." in self._own
        if top not in _LIBRARIES and not is_own:
            self.are_complete = False
        try:
            return find_class(name)
        except MissingNameError as error:
            if is_certain or (is_own and _CLASS_LIKE.fullmatch(name.rpartition(".")[2])):
                fitting = [n for n in error.candidates if _fits(f"{error.parent}.{n}", types)]
                meant = nearest(error.name, fitting) or nearest(error.name, error.candidates)
                raise missing_class(at, name, error, meant) from None
        return None

    def _is_own(self, base: Class) -> bool:
        return base.path.startswith(self._own) or base.path in GROUPS.values()

    def _similar(self, types: Types, name: str) -> list[Class]:
        """Returns the classes that fit and have a similar name; of our own all if none has."""
        names = [n for base in types.classes for n in class_names(base, self.packages)]
        known = self._fitting(types, nearest(name, names, num=20))
        if not known and any(self._is_own(base) for base in types.classes):
            known = self._fitting(types, names)
        return known

    def _fitting(self, types: Types, names: Sequence[str]) -> list[Class]:
        found = [c for c in self._subclasses(types, names) if not c.is_abstract]
        return [c for c in found if c not in types.classes or c.path.startswith(self._own)]

    def _subclasses(self, types: Types, names: Sequence[str]) -> list[Class]:
        found = [c for base in types.classes for c in subclasses(base, self.packages, names)]
        return list({c.path: c for c in found}.values())


def _fits(path: str, types: Types) -> bool:
    found = find_or_none(path)
    return found is not None and any(found.is_subclass(base.path) for base in types.classes)
