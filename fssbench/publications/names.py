"""Name patterns of methods: case-insensitive, with wildcards, and with variants after a colon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from fssbench.errors import unknown_name
from fssbench.names import folded

_WILD = "*?["
_NOT_A_NAME = f"{_WILD}:/\\."


@dataclass(frozen=True)
class Names:
    """The patterns of `--compare`.

    "hsnet" selects the results of a method, "hsnet:*" its variants (ablations, re-runs), "as*" all methods that match.
    A method is named by its key or its printed name ("asnet-w", "ASNet_w"). No pattern selects the results of all
    methods.
    """

    patterns: tuple[str, ...] = ()

    def matches(self, names: Iterable[str], variant: str, is_result: bool) -> bool:
        """Return whether a result is selected.

        Args:
            names: The names of its method.
            variant: Its variant; empty if it has none.
            is_result: Whether it is a result of the method, and not an ablation, a re-run or the like.
        """
        if not self.patterns:
            return is_result
        return any(
            _fits(pattern, name.lower(), variant.lower(), is_result) for pattern in self.patterns for name in names
        )


def _fits(pattern: str, name: str, variant: str, is_result: bool) -> bool:
    if ":" in pattern:
        return bool(variant) and fnmatchcase(f"{name}:{variant}", pattern)
    return is_result and (pattern == name or fnmatchcase(name, pattern))


def names_from(
    compare: Sequence[str],
    known: Mapping[str, Iterable[str]],
    remedy: str = "fssbench table without --compare shows all",
) -> Names:
    """Return the patterns of the user, checked against all known names.

    Args:
        compare: Names and patterns; each may be a list with commas.
        known: The variants of each method, by each of its names.
        remedy: The command that lists the names, for an unknown one.

    Raises:
        UsageError: If a name or a pattern matches nothing, with the nearest names.
    """
    patterns = tuple(part.strip().lower() for text in compare for part in text.split(",") if part.strip())
    variants = {
        f"{name}:{variant}".lower() for name, variants_of in known.items() for variant in variants_of if variant
    }
    names = {name.lower() for name in known}
    patterns = tuple(_spelled(pattern, names) for pattern in patterns)
    for pattern in patterns:
        pool = variants if ":" in pattern else names
        if pattern not in pool and not any(fnmatchcase(name, pattern) for name in pool):
            plain = "".join(char for char in pattern if char not in _WILD)
            if ".py" in plain or "/" in plain:
                remedy = "a method of your own by the folder of its run: --compare hsnet,runs/mynet"
            raise unknown_name("method", plain or pattern, pool, remedy)
    return Names(patterns)


def _spelled(pattern: str, names: set[str]) -> str:
    """Return the name that a spelling stands for ("hs-net"); a method's key and its printed name may both fit."""
    if pattern in names or set(pattern) & set(_NOT_A_NAME):
        return pattern
    return next((name for name in sorted(names) if folded(name) == folded(pattern)), pattern)
