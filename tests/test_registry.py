"""The registry is lazy, refuses what is no entry, and names the nearest."""

from __future__ import annotations

import sys

import pytest

from fssbench.errors import UsageError
from fssbench.registry import Registry


class Base:
    """What entries must be."""


class Good(Base):
    """A proper entry."""


class Bad:
    """Not an entry."""


def _registry() -> Registry[type[Base]]:
    return Registry(
        "thing", lambda: Base, {"good": f"{__name__}:Good", "bad": f"{__name__}:Bad", "absent": "no_such_module:X"}
    )


def test_entries_are_imported_when_they_are_wanted() -> None:
    registry = _registry()
    assert registry.names() == ["absent", "bad", "good"]
    assert "no_such_module" not in sys.modules
    assert registry.get("good") is Good


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown thing 'godo'; did you mean good"):
        _registry().get("godo")


def test_a_class_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="is not a Base") as caught:
        _registry().get("bad")
    assert caught.value.remedy == f"a class that inherits from {__name__}.Base"


def test_registering_twice_is_refused_unless_it_is_the_same_class() -> None:
    registry = _registry()
    registry.register("new")(Good)
    registry.register("new")(Good)
    assert registry.origin("new") == __name__
    with pytest.raises(UsageError, match="already registered"):
        registry.register("new")(type("Other", (Base,), {}))
