"""What runs are called where they are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fssbench.results import Results


def where(results: Results) -> str:
    """Return the folder of a run, for messages."""
    return "a run in memory" if results.folder is None else str(results.folder)


def run_names(runs: Sequence[Results]) -> tuple[str, ...]:
    """Return the name of each run: method, variant and backbone, with the folder if two have the same name."""
    plain = []
    for results in runs:
        method = results.run.method
        precision = None if results.run.precision == "float32" else results.run.precision
        words = (
            method.name,
            method.variant,
            method.backbone,
            "weak" if method.options.get("weak") else None,
            precision,
        )
        plain.append(" ".join(word for word in words if word))
    if len(set(plain)) == len(plain):
        return tuple(plain)
    return tuple(
        name if plain.count(name) == 1 else f"{name} ({results.folder or f'run {number}'})"
        for number, (name, results) in enumerate(zip(plain, runs, strict=True), 1)
    )
