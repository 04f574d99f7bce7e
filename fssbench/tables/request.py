"""What a comparison table is to show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fssbench.ledger.seen import Level

SourceName = Literal["published", "measured", "both"]
LayoutName = Literal["fss", "fscs"]

DEFAULT_DATASETS = ("pascal5i", "coco20i")

TASKS: dict[LayoutName, tuple[str, ...]] = {"fss": ("fss", "cross-domain"), "fscs": ("fscs",)}
WAYS: dict[LayoutName, tuple[int, ...]] = {"fss": (1,), "fscs": ()}
"""The ways of a layout that are shown unless runs, or the user, name others; empty for all."""


@dataclass(frozen=True)
class Comparison:
    """The request for comparison tables. An empty tuple leaves the choice to the runs, or else selects everything.

    Attributes:
        methods: Names, wildcards, and "name:variant" patterns.
        datasets: Keys of data sets, or names of own data in lower case; default those of the runs, and without runs
            PASCAL-5i and COCO-20i.
        shots: Numbers of shots; default those of the runs on the data set, and without runs all.
        ways: Numbers of ways; default those of the runs on the data set, and without runs 1 for "fss", all for "fscs".
        backbones: Names and wildcards.
        source: Printed numbers, measured ones, or both.
        layout: "fss", or "fscs" for classification and segmentation; None for the tasks of the runs.
        runs: A run folder, or a folder of run folders; None if there is none.
        all_sources: Show the row of every source instead of one row per result.
        folders: Run folders that are shown whatever their method. With folders, empty `methods` selects no others.
        interval_columns: The columns that get an interval; default all.
        labels: Names of rows: "NAME", or "RUN=NAME" and "METHOD=NAME" where there are several.
        label_backbones: Groups of rows, written in the same way.
        relative_to: The folder that paths of runs are relative to; default the current one.
        strict: Only rows whose training has not seen the test classes, at this level (`fssbench.ledger.seen.LEVELS`);
            None for all rows.
        order: `methods` and `folders` in the order in which they are named, for `Style(order="given")`; default
            methods, then folders.
    """

    methods: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    shots: tuple[int, ...] = ()
    ways: tuple[int, ...] = ()
    backbones: tuple[str, ...] = ()
    source: SourceName = "both"
    layout: LayoutName | None = "fss"
    runs: Path | None = None
    all_sources: bool = False
    folders: tuple[Path, ...] = ()
    interval_columns: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    label_backbones: tuple[str, ...] = ()
    relative_to: Path | None = None
    strict: Level | None = None
    order: tuple[str | Path, ...] = ()

    @property
    def others(self) -> bool:
        """Whether more is requested than the run folders in `folders`."""
        return bool(self.methods) or not self.folders

    def names_run(self, folder: Path) -> bool:
        """Return whether a run folder is named itself, by `folders` or `runs`."""
        return folder in self.folders or folder == self.runs
