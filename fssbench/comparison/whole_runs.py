"""Whole runs: what is compared or planned from has a row of every episode."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from fssbench.comparison.run_names import where
from fssbench.errors import UsageError
from fssbench.results.arguments import is_scored

if TYPE_CHECKING:
    from fssbench.results import Results


def check_whole(results: Results) -> None:
    """Refuse a part of a run.

    Raises:
        UsageError: If the run is a shard, is unfinished or has no row.
    """
    if results.run.is_shard:
        raise UsageError(
            f"{where(results)} is shard {results.run.as_shard} of a run, a part of each list; name the whole run",
            f"fssbench merge {shlex.quote(str(results.folder.parent))}" if results.folder else "fssbench merge",
        )
    if results.missing or results.frame.empty:
        expected = sum(results.run.expected(fold) for fold in results.run.folds)
        raise UsageError(
            f"{where(results)} is unfinished: {results.missing} of {expected} episodes are missing",
            typed_again(results, "--resume"),
        )


def typed_again(results: Results, option: str) -> str:
    """Return the command that started a run, with an option added."""
    typed = results.run.starts[-1].command if results.run.starts else ()
    scored = is_scored(results.run)
    verb, option = ("score", "--overwrite") if scored else ("eval", option)
    if not typed or typed[:2] != ("fssbench", verb):
        return f"fssbench {verb} ... --out {where(results)} {option}"
    kept = [word for word in typed if word not in ("--overwrite", option)]
    if "--shard" in kept:  # the command of one of the shards that were merged
        place = kept.index("--shard")
        del kept[place : place + 2]
    kept = [word for word in kept if not word.startswith("--shard=")]
    return f"{shlex.join(kept)} {option}"
