"""Baselines of one's own: the numbers of finished runs, written into DATASET.csv files for later checks."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fssbench.checking.against_baselines import PRECISION
from fssbench.checking.baselines import COLUMNS, Baseline, baseline_files, read_file
from fssbench.checking.measured import Measured, MeasuredFold
from fssbench.errors import MissingError, UsageError
from fssbench.escape import harmless, plain
from fssbench.files import locked_folder, write_text
from fssbench.writable import check_writable

_KEY = COLUMNS[: COLUMNS.index("episodes_hash") + 1]
"""The columns that say what was measured; a row with the same ones is replaced."""


@dataclass(frozen=True)
class Change:
    """What became of a baseline.

    Attributes:
        name: What was measured, with its fold.
        before: The mIoU that was there, in per cent, as text; None if there was none.
        now: The mIoU that is there now.
        place: The file.
    """

    name: str
    before: str | None
    now: str
    place: Path


def update_baselines(found: Sequence[Measured], where: Path) -> list[Change]:
    """Write the numbers of runs as baselines: rows of the same settings, episodes and fold are replaced, others stay.

    The first episodes of a list (`--limit`) have a row of their own, with their number.

    Args:
        found: The runs.
        where: A folder for a DATASET.csv each, which is created; or the file of one data set.

    Raises:
        UsageError: If a run is not a finished one in float32, or the file is of another data set.
        BrokenFileError: If a file that is there is not one of baselines.
    """
    for one in found:
        _check(one)
    names = dict.fromkeys(one.run.dataset.name for one in found)
    files = {name: baseline_files(where, [name], needed=False)[0] for name in names}
    folder = where.parent if where.suffix == ".csv" else where
    check_writable(folder, "--baselines")
    folder.mkdir(parents=True, exist_ok=True)
    changes: list[Change] = []
    with locked_folder(folder):
        for name, file in files.items():
            rows = {_key(row): row for row in map(_cells, read_file(file) if file.is_file() else [])}
            for one in found:
                for fold in one.folds if one.run.dataset.name == name else ():
                    cells = cells_of(one, fold)
                    before = rows.get(_key(cells))
                    rows[_key(cells)] = cells
                    part = f", first {cells['episodes']} episodes" if fold.part else ""
                    title = f"{one.subject.name}, fold {fold.record.fold}{part}"
                    changes.append(Change(title, None if before is None else before["miou"], cells["miou"], file))
            write_text(file, _text(rows))
    return changes


def _check(one: Measured) -> None:
    """Refuse a run whose numbers are not those of a whole list, or of the first episodes of it, in float32."""
    for fold in one.folds:
        reason = "" if fold.part else fold.partial
        if fold.numbers is None:
            reason = reason or "it has no rows"
        if reason:
            raise UsageError(f"{one.subject.folders}, fold {fold.record.fold}, is no baseline: {reason}")
    if one.run.references or one.run.has_absent:
        raise UsageError(
            f"{one.subject.folders} is no baseline: it has other episodes than its protocol, "
            f"{one.run.folds[0].drawn_by}"
        )
    if one.run.until is not None:
        raise UsageError(
            f"{one.subject.folders} is no baseline: the data decided the number of its episodes (--until)",
            "evaluate a fixed number: --limit N",
        )
    if one.run.precision != PRECISION:
        raise UsageError(
            f"{one.subject.folders} was computed in {one.run.precision}; baselines are measured in {PRECISION}",
            f"--precision {PRECISION}",
        )


def cells_of(one: Measured, fold: MeasuredFold) -> dict[str, str]:
    """Return the row of a fold, by column.

    Raises:
        MissingError: If the fold has no rows.
    """
    run, record, numbers, interval = one.run, fold.record, fold.numbers, fold.interval("miou")
    if numbers is None or interval is None:
        raise MissingError(f"{one.subject.folders}, fold {record.fold}, has no rows")
    weights = record.weights
    cells = {
        "method": run.method.name,
        "variant": run.method.variant or "",
        "backbone": run.method.backbone or "",
        "task": run.method.task,
        "train_dataset": run.train_dataset or "",
        "ways": run.way,
        "shots": run.shot,
        "fold": record.fold,
        "protocol": run.protocol.name,
        "episodes": fold.part or record.episodes,
        "episodes_hash": record.episodes_hash,
        "miou": f"{numbers.miou:.2f}",
        "miou_low": f"{interval.low:.2f}" if interval.given else "",
        "miou_high": f"{interval.high:.2f}" if interval.given else "",
        "fb_iou": f"{numbers.fb_iou:.2f}",
        "exact_ratio": f"{numbers.exact_ratio:.2f}" if run.method.task == "fscs" else "",
        "checkpoint": weights.checkpoint or "",
        "checkpoint_sha256": weights.sha256 or "",
        "backbone_sha256": weights.backbone_sha256 or "",
        "data_fingerprint": record.data_fingerprint,
        "torch": fold.starts[-1].environment.packages.get("torch", ""),
    }
    texts = {name: str(value) for name, value in cells.items()}
    if wrong := next((name for name, text in texts.items() if harmless(text) != text), None):
        # A baseline is compared letter by letter, so that a name can't be escaped in its file.
        raise UsageError(
            f"{one.subject.folders} is no baseline: its {wrong} {plain(texts[wrong])[:80]} is no plain text, or begins "
            "as a formula in a spreadsheet",
        )
    return texts


def _cells(row: Baseline) -> dict[str, str]:
    return {name: str(getattr(row, name)) for name in COLUMNS}


def _key(cells: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(cells[name] for name in _KEY)


def _text(rows: Mapping[tuple[str, ...], Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    numbers = {"ways", "shots", "fold", "episodes"}
    order = [[int(cell) if name in numbers else cell for name, cell in zip(_KEY, key, strict=True)] for key in rows]
    for _, key in sorted(zip(order, rows, strict=True)):
        writer.writerow(rows[key])
    return text.getvalue()
