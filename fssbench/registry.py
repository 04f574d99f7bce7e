"""A registry of classes by name, which imports a class only when it is used."""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar, cast

from fssbench.errors import UsageError, unknown_name
from fssbench.names import known_name

T = TypeVar("T", bound=type)

_REGISTERED: defaultdict[str, set[str]] = defaultdict(set)
"""Names by kind that were registered while this process runs."""


class Registry(Generic[T]):
    """Classes by name. An entry is a class, or a "module:attribute" that is imported when it is looked up.

    Other packages add their own classes through the entry-point group `fssbench.<kind>s`.

    Args:
        kind: The kind of the classes, in the singular: "method", "dataset".
        base: The base class that every entry must have, as "module:attribute" or a function that returns it (called
            at the first look-up).
        entries: The built-in names and their "module:attribute".
        by_code: A function, as "module:attribute", that returns the class for a name that is code, "./my.py:MyNet".
            Such names are not listed.
        by_target: A function, as "module:attribute", that returns the class for the "module:attribute" and the name of
            an entry without that base, if there may be such.
        titles: How papers write some of the names, where that is more than other capitals and hyphens.
    """

    def __init__(
        self,
        kind: str,
        base: Callable[[], type] | str,
        entries: dict[str, str],
        *,
        by_code: str = "",
        by_target: str = "",
        titles: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self._base = base
        self._entries: dict[str, T | str] = dict(entries)
        self._origins = dict.fromkeys(entries, "fssbench")
        self._points: dict[str, EntryPoint] = {}
        self._discovered = False
        self._by_code = by_code
        self._by_target = by_target
        self._titles = titles or {}

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        for point in entry_points(group=f"fssbench.{self.kind}s"):
            if point.name not in self._entries:
                self._entries[point.name] = point.value
                self._points[point.name] = point
                self._origins[point.name] = point.dist.name if point.dist else point.value

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that adds a class under `name`.

        Raises:
            UsageError: If the name is taken by another class.
        """

        def add(cls: T) -> T:
            known = self._entries.get(name)
            target = f"{cls.__module__}:{cls.__qualname__}"
            if known is not None and known is not cls and known != target:
                raise UsageError(f"{self.kind} '{name}' is already registered by {self._origins[name]}")
            self._entries[name] = cls
            if self._origins.setdefault(name, cls.__module__) != "fssbench":
                _REGISTERED[self.kind].add(name)
            return cls

        return add

    @property
    def built_in(self) -> list[str]:
        """The names that are fssbench's own, sorted."""
        return sorted(name for name, origin in self._origins.items() if origin == "fssbench")

    def names(self) -> list[str]:
        """Return all names, sorted."""
        self._discover()
        return sorted(self._entries)

    def is_imported(self, name: str) -> bool:
        """Return whether the class of a registered name is at hand."""
        return not isinstance(self._entries.get(name, ""), str)

    def origin(self, name: str) -> str:
        """Return the package or module that an entry comes from."""
        known = self.require(name)
        return self._origins.get(known, known)

    def entry_point(self, name: str) -> EntryPoint | None:
        """Return the entry point that a registered name comes from; None for any other name."""
        self._discover()
        return self._points.get(name)

    def require(self, name: str) -> str:
        """Return the registered name that `name` stands for; code is returned as it is, if it can be loaded.

        "HSNet" stands for "hsnet" (`fssbench.names`). Registered classes are not imported.

        Raises:
            UsageError: If it stands for none, with the nearest names, or for several.
        """
        self._discover()
        if self._is_code(name):
            self._class_of_code(name)
            return name
        known = known_name(self.kind, name, self._entries, self._titles)
        if known is None:
            raise unknown_name(self.kind, name, self._entries, f"fssbench list {self.kind}s")
        return known

    def spelled(self, name: str) -> str:
        """Return the registered name that `name` stands for, or `name` itself; code is not loaded.

        Raises:
            UsageError: If it stands for several.
        """
        self._discover()
        return name if self._is_code(name) else known_name(self.kind, name, self._entries, self._titles) or name

    def _is_code(self, name: str) -> bool:
        return bool(self._by_code) and (":" in name or name.endswith(".py"))

    def _class_of_code(self, name: str) -> T:
        return cast("Callable[[str], T]", imported(self._by_code))(name)

    def get(self, name: str) -> T:
        """Return the class registered under `name`; it is imported if necessary.

        Raises:
            UsageError: If the name is unknown, the package can't be loaded, or the class is not of the right kind.
        """
        if self._is_code(name):
            entry: T | str = self._class_of_code(name)
        else:
            name = self.require(name)
            entry = self._entries[name]
        base = cast("type", imported(self._base) if isinstance(self._base, str) else self._base())
        if isinstance(target := entry, str):
            entry = self._loaded(name, target)
            if self._by_target and not _is_class(entry, base):
                entry = cast("Callable[[str, str], T]", imported(self._by_target))(target, name)
            self._entries[name] = entry
        if not _is_class(entry, base):
            raise UsageError(
                f"{self.kind} '{name}' ({self.origin(name)}) is not a {base.__name__}",
                f"a class that inherits from {base.__module__}.{base.__name__}",
            )
        return cast("T", entry)

    def _loaded(self, name: str, target: str) -> T:
        if name not in self._points:
            return cast("T", imported(target))
        try:
            return cast("T", imported(target))
        except (Exception, SystemExit) as error:
            whose = f"the {self.kind} '{name}' of the package {self.origin(name)}"
            raise UsageError(
                f"{whose} can't be loaded: {type(error).__name__}: {error}",
                f"correct or remove the package {self.origin(name)}",
            ) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())


def _is_class(entry: object, base: type) -> bool:
    return isinstance(entry, type) and issubclass(entry, base)


def names_from_elsewhere(kind: str) -> set[str]:
    """Return the names of a kind that are not fssbench's own: those of other packages, and registered ones."""
    return _REGISTERED[kind] | set(_entry_point_names(kind))


@cache
def _entry_point_names(kind: str) -> tuple[str, ...]:
    return tuple(point.name for point in entry_points(group=f"fssbench.{kind}s"))


def imported(target: str) -> object:
    """Import and return the object that a "module:attribute" names."""
    module, _, attribute = target.partition(":")
    found: object = getattr(importlib.import_module(module), attribute)
    return found
