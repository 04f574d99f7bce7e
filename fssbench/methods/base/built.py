"""The arguments with which a method was built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fssbench.methods.catalogue import method_info

_SEEN_IN_WEIGHTS = frozenset({"base_classes"})
"""Options that change the shape of a parameter, so that a checkpoint of another configuration does not load."""


@dataclass(frozen=True)
class BuiltAs:
    """The arguments with which `build` made a method, with defaults; they are written to the record of a run.

    Attributes:
        name: Name in the registry.
        variant: Its variant; None if there is only one.
        backbone: Name of the backbone; None if it has none.
        way: N.
        shot: K.
        options: The method's own arguments.
        trained_on: The data set whose released configuration was built; None if none was named.
    """

    name: str
    variant: str | None
    backbone: str | None
    way: int
    shot: int
    options: Mapping[str, object]
    trained_on: str | None = None

    def hidden_options(self) -> tuple[str, ...]:
        """Return the options in which released configurations differ without changing the shapes of weights."""
        info = method_info(self.name)
        if self.backbone == "small":  # not released, and the same for every data set
            return ()
        found = {option for dataset in info.on for option in info.options_on(dataset, self.variant)}
        return tuple(sorted(found - _SEEN_IN_WEIGHTS))

    def fits(self, dataset: str) -> bool:
        """Return whether the hidden options are those of the released configuration for a data set."""
        released = method_info(self.name).options_on(dataset, self.variant)
        return all(self.options.get(option) == released.get(option) for option in self.hidden_options())
