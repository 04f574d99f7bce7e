"""Which methods a user means: names without regard to case, with wildcards, and variants after a colon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from fssbench.errors import unknown_name

_WILD = "*?["


@dataclass(frozen=True)
class Names:
    """What `--compare` asks for.

    "hsnet" is a method's results, "hsnet:*" its variants (ablations, re-runs), "as*" every method so called. A method
    may be called by its key or as it is printed ("asnet-w", "ASNet_w"). No pattern at all: every method's results.
    """

    patterns: tuple[str, ...] = ()

    def matches(self, names: Iterable[str], variant: str, is_result: bool) -> bool:
        """Return whether a result is asked for.

        Args:
            names: What its method may be called.
            variant: What sets it apart within the method; empty if nothing.
            is_result: Whether it is one of the method's results, not an ablation, a re-run or the like.
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
    """Return what the user asks for, checked against all that is known.

    Args:
        compare: Names and patterns, each possibly several with commas between.
        known: For each name a method may be called by, its variants.
        remedy: The command that lists them, for an unknown one.

    Raises:
        UsageError: If a name or a pattern fits nothing, with the nearest names.
    """
    patterns = tuple(part.strip().lower() for text in compare for part in text.split(",") if part.strip())
    variants = {f"{name}:{variant}".lower() for name, its in known.items() for variant in its if variant}
    names = {name.lower() for name in known}
    for pattern in patterns:
        pool = variants if ":" in pattern else names
        if pattern not in pool and not any(fnmatchcase(name, pattern) for name in pool):
            plain = "".join(char for char in pattern if char not in _WILD)
            raise unknown_name("method", plain or pattern, pool, remedy)
    return Names(patterns)
