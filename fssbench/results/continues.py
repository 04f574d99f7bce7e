"""Whether a command may continue a run that is stored: nothing that decides a row may differ."""

from __future__ import annotations

from pathlib import Path

from fssbench.errors import BrokenFileError, UsageError
from fssbench.results.differences import Difference, first_difference
from fssbench.results.folder_state import PUT_BACK
from fssbench.results.record import Run
from fssbench.results.run_reader import read_run

_CHANGED = {
    "method.code.sha256": "; the method's file was changed since",
    "method.code.imports": "; a file that the method imports was changed since",
    "protocol.own.sha256": "; the protocol's file was changed since",
}


def check_continues(path: Path, run: Run) -> Run:
    """Return the run that is stored in a folder, if `run` may continue it.

    Raises:
        UsageError: If they differ, with the first field that does.
        BrokenFileError: If the stored run can't be read.
    """
    try:
        stored = read_run(path)
    except BrokenFileError as error:
        raise BrokenFileError(f"the run in {path} can't be continued: {error.message}", PUT_BACK) from error
    if run.is_shard and stored.shard == run.shard and stored.limit != run.limit:
        before, now = ("all" if limit is None else f"the first {limit}" for limit in (stored.limit, run.limit))
        raise UsageError(
            f"the run in {path} can't be continued: it is shard {run.as_shard} of {before} episodes of each list, and "
            f"that of {now} has other ones",
            f"{'leave --limit out' if stored.limit is None else f'--limit {stored.limit}'}, or give another --out",
        )
    if found := first_difference(stored, run):
        changed = _CHANGED.get(found.field, "")
        raise UsageError(
            f"the run in {path} can't be continued: "
            f"its {found.field} is {found.stored}, this command's is {found.requested}{changed}",
            f"{_as_before(found, changed=bool(changed))}, or give another --out",
        )
    return stored


def _as_before(found: Difference, *, changed: bool) -> str:
    if found.field.endswith("hub.revision") and found.stored:
        return f"name the model at the commit of the run, --backbone hf:...@{found.stored}"
    if found.field.endswith("fingerprint"):
        return "put the masks, annotations and lists back as they were"
    return "put the file back as it was" if changed else "type the command as before"
