"""How rows of runs are called: the names that their user gives, in run.json or for a table."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fssbench.errors import UsageError
from fssbench.methods.catalogue import is_built_in

if TYPE_CHECKING:
    from fssbench.results import Run

Field = Literal["label", "label_backbone"]


def is_own(run: Run) -> bool:
    """Return whether a run is of the user's method: it has a name of its own, or fssbench does not have the method."""
    return run.label is not None or run.method.code is not None or not is_built_in(run.method.name)


def labelled(runs: Mapping[Path, Run], labels: Sequence[str], field: Field) -> dict[Path, Run]:
    """Return runs with the names that were given for this table.

    "RUN=NAME" names the rows of a run folder, which may be called by its last part alone, "METHOD=NAME" those of a
    method. "NAME" alone names the only method of the user, or the only one that there is.

    Args:
        runs: The runs, by folder.
        labels: The names.
        field: What they name: the row, or its group.

    Raises:
        UsageError: If it is not clear what a name is for.
    """
    found = dict(runs)
    for text in labels:
        folders, name = _meant(text, found, field)
        if not name.strip():
            raise UsageError(f"{_option(field)} '{text}' is no name", f"{_option(field)} 'MyNet (ours)'")
        for folder in folders:
            found[folder] = _with_name(found[folder], name.strip(), field)
    return found


def _with_name(run: Run, name: str, field: Field) -> Run:
    return replace(run, label=name) if field == "label" else replace(run, label_backbone=name)


def _option(field: Field) -> str:
    return f"--{field.replace('_', '-')}"


def _meant(text: str, runs: Mapping[Path, Run], field: Field) -> tuple[list[Path], str]:
    """Return the run folders that a name is for, and the name."""
    whose, equals, name = text.partition("=")
    if equals:
        place = Path(whose.strip())
        folders = [folder for folder in runs if folder == place or os.path.realpath(folder) == os.path.realpath(place)]
        folders = folders or [f for f, run in runs.items() if run.method.name.lower() == whose.strip().lower()]
        folders = folders or [folder for folder in runs if folder.name == whose.strip()]
        if folders:
            return folders, name
        if re.fullmatch(r"[\w./~*-]+", whose):  # 'MyNet (K=5)' and 'MyNet, k=5' are names
            methods = sorted({run.method.name for run in runs.values()})
            raise UsageError(
                f"{_option(field)} '{text}': there is no run and no method {whose.strip()}",
                f"{_option(field)} {methods[0] if methods else 'METHOD'}='{text}' where = is part of the name",
            )
    own = [folder for folder, run in runs.items() if is_own(run)]
    candidates = own or list(runs)
    methods = sorted({runs[folder].method.name for folder in candidates})
    if len(methods) != 1:
        what = f"there are runs of {', '.join(methods)}" if methods else "there is no run"
        remedy = f"{_option(field)} {methods[0] if methods else 'METHOD'}='{text}'"
        raise UsageError(f"{_option(field)} '{text}' is for one method; {what}", remedy)
    return candidates, text
