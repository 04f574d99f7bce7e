"""The printed rows of a table: one for each result, from the preferred source, with remarks about other sources."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from fssbench.ledger.seen import seen_by_row
from fssbench.publications.bibtex import bibtex_key, source_key
from fssbench.publications.names import Names
from fssbench.publications.own import is_own
from fssbench.publications.rows import ER_FOLDS, FOLDS, PrintedRow, Publications, Source
from fssbench.tables.entry import Entry, Remark, rounded
from fssbench.tables.seen import seen_remark, seen_remarks

FOLDS_FROM = "folds from the"
"""How the remark begins that names the source of folds next to the mean of another."""

Key = tuple[str, str, str, int | None, int | None]


def printed_entries(
    known: Publications, dataset: str, tasks: Iterable[str], names: Names, all_sources: bool = False
) -> list[Entry]:
    """Return the printed results for a table of one data set.

    If several sources print a result, the preferred row is chosen by these criteria, in this order: not uncertain, not
    superseded, by the authors of the method, with folds, more numbers, not recovered, first in sources.toml. Missing
    folds, FB-IoU and parameters are filled in from a source that prints the same mean. Remarks name that source, and
    the sources that print other means, folds or FB-IoU.

    Args:
        known: All printed numbers.
        dataset: Key of the data set.
        tasks: The tasks of the layout.
        names: The requested methods.
        all_sources: Return the row of every source instead.
    """
    tasks = tuple(tasks)
    candidates: dict[Key, list[PrintedRow]] = {}
    for row in known.rows:
        called = (row.method, known.methods[row.method].name)
        if row.dataset == dataset and row.task in tasks and names.matches(called, row.variant, row.role == "result"):
            candidates.setdefault((row.method, row.variant, row.backbone, row.way, row.shot), []).append(row)
    if all_sources:
        return [
            entry_of(known, row, line=f"{row.source} {row.location}") for rows in candidates.values() for row in rows
        ]
    return [_chosen(known, rows, candidates) for rows in candidates.values()]


def merit(known: Publications, row: PrintedRow) -> tuple[bool, bool, bool, bool, bool, int, bool]:
    """Return the sort key of a row: the largest is preferred, and of equal ones the first in sources.toml.

    A row that the user has added stands for a result only if fssbench has none.
    """
    source = known.sources[row.source]
    has_folds = FOLDS[0] in row.numbers or ER_FOLDS[0] in row.numbers
    return (
        source.kind != "own",
        row.confidence != "uncertain",
        not source.superseded,
        row.method in source.own,
        has_folds,
        len(row.numbers),
        row.confidence != "recovered",
    )


def _chosen(known: Publications, rows: list[PrintedRow], candidates: dict[Key, list[PrintedRow]]) -> Entry:
    best = max(rows, key=lambda row: merit(known, row))
    others = [row for row in rows if row is not best]
    numbers = dict(best.numbers)
    remarks: list[Remark] = []
    # What the user has added fills no gap of a row of fssbench.
    filling = [row for row in others if is_own(known, best) or not is_own(known, row)]
    agreeing = [row for row in filling if _may_fill(known, best, row)]
    if agreeing and not any(column in best.numbers for column in (*FOLDS, *ER_FOLDS)):
        of_folds = max(agreeing, key=lambda row: merit(known, row))
        numbers |= {fold: of_folds.numbers[fold] for fold in FOLDS}
        remarks.append(Remark("source", f"{FOLDS_FROM} {known.sources[of_folds.source].cite}"))
    for row in filling:
        if "fb_iou" in row.numbers and "fb_iou" not in numbers and _mean(row) == _mean(best):
            numbers["fb_iou"] = row.numbers["fb_iou"]
            remarks.append(Remark("source", f"FB-IoU from the {known.sources[row.source].cite}"))
    # The number of parameters does not depend on the shot.
    same_method = [
        row for key in candidates if key[:3] == (best.method, best.variant, best.backbone) for row in candidates[key]
    ]
    counted = [
        row
        for row in same_method
        if "learnable_params" in row.numbers and (is_own(known, best) or not is_own(known, row))
    ]
    if counted and "learnable_params" not in numbers:
        numbers["learnable_params"] = counted[0].numbers["learnable_params"]
        remarks.append(Remark("source", f"parameters from the {known.sources[counted[0].source].cite}"))
    remarks += _disagreements(known, best, others)
    return entry_of(known, best, numbers, remarks)


def _mean(row: PrintedRow) -> str:
    return rounded(row.numbers["mean"]) if "mean" in row.numbers else ""


def _may_fill(known: Publications, best: PrintedRow, row: PrintedRow) -> bool:
    """Return whether the folds of a row may stand next to the mean of another source."""
    return (
        all(fold in row.numbers for fold in FOLDS)
        and _mean(row) == _mean(best)
        and not row.mean_disagrees()
        and row.confidence != "uncertain"
        and not known.sources[row.source].superseded
        and row.protocol == best.protocol
    )


def _disagreements(known: Publications, best: PrintedRow, others: list[PrintedRow]) -> list[Remark]:
    """Return what other sources print differently: their mean, else their folds and FB-IoU."""
    cites: dict[str, list[str]] = {}
    for row in others:
        for text in _different(best, row):
            found = cites.setdefault(text, [])
            cite = known.sources[row.source].cite
            if cite not in found:
                found.append(cite)
    setting = f"{best.shot}-shot" if best.task != "fscs" else f"{best.way}-way"
    return [Remark("also", f"{setting} {text} in the {', '.join(names)}") for text, names in cites.items()]


def _different(best: PrintedRow, row: PrintedRow) -> list[str]:
    if _mean(row) and _mean(row) != _mean(best):
        return [f"mean {row.numbers['mean']}"]

    def differs(column: str) -> bool:
        # Half of the last digit of a table with one decimal is rounding.
        both = column in best.numbers and column in row.numbers
        return both and abs(float(best.numbers[column]) - float(row.numbers[column])) > 0.05 + 1e-9

    folds = [f"{fold.removeprefix('fold')}: {row.numbers[fold]}" for fold in FOLDS if differs(fold)]
    texts = [f"fold {', '.join(folds)}"] if folds else []
    return [*texts, f"FB-IoU {row.numbers['fb_iou']}"] if differs("fb_iou") else texts


def entry_of(
    known: Publications,
    row: PrintedRow,
    numbers: dict[str, str] | None = None,
    remarks: Iterable[Remark] = (),
    line: str = "",
) -> Entry:
    """Return a printed row as a result, with its remarks.

    Args:
        known: All printed numbers.
        row: The row.
        numbers: The numbers of the row, with those that are filled in from other sources; default: its own.
        remarks: Further remarks.
        line: Separates the row from others that would be in the same line.
    """
    paper = known.methods[row.method]
    is_result = row.role == "result"
    added = is_own(known, row)
    own: list[Remark] = [Remark("caution", "a number that you added, not one of fssbench")] if added else []
    if row.variant and is_result:
        own.append(Remark("variant", row.variant))
    if row.confidence == "recovered":
        own.append(Remark("caution", "recovered from an overlaid slide"))
    elif row.confidence == "uncertain" or not is_result:
        own.append(Remark("caution", row.note or row.role))
    if row.mean_disagrees() and row.confidence != "uncertain":
        average = f"{row.mean_of_folds():.3f}".rstrip("0")
        own.append(
            Remark(
                "mean",
                f"{row.shot}-shot: the printed mean is {row.numbers['mean']}, that of the printed folds {average}",
            )
        )
    facts, seen = seen_by_row(row)
    of_method = seen_remarks(row.method, row.dataset)
    own += of_method
    if is_result and seen.masks and not of_method:
        own.append(seen_remark(seen))
    protocol = known.protocols.get(row.protocol)
    other_folds = protocol is not None and row.dataset in protocol.other_folds
    if protocol and other_folds:
        own.append(
            Remark("caution", f"its folds have other classes (protocol {row.protocol}): only the mean is ranked")
        )
    return Entry(
        origin="published",
        method=row.method,
        label=paper.name if is_result or not row.variant else f"{paper.name}: {row.variant}",
        venue=paper.venue,
        backbone=row.backbone,
        dataset=row.dataset,
        task=row.task,
        protocol=row.protocol,
        way=row.way,
        shot=row.shot,
        line=f"{row.variant} {line}",
        numbers=row.numbers if numbers is None else numbers,
        source=known.sources[row.source].cite,
        location=row.location,
        competes=is_result and not seen.masks,
        other_folds=other_folds,
        remarks=(*own, *remarks),
        note=row.note,
        variant=row.variant,
        quoted=not added and row.method not in known.sources[row.source].own,
        url=source_url(known.sources[row.source]),
        cite="" if added else bibtex_key(row.method),
        source_cite="" if added else source_key(row.source),
        facts=facts,
        seen=seen,
    )


def source_url(source: Source) -> str:
    """Return the address of a repository at the commit where numbers were read; empty for another source."""
    name, _, commit = source.place.partition("@")
    if source.kind != "readme" or not commit:
        return ""
    return f"https://github.com/{name}/tree/{commit}"


def matches_backbone(backbone: str, patterns: Iterable[str]) -> bool:
    """Return whether a backbone matches one of the patterns (with wildcards); no pattern matches everything."""
    patterns = tuple(patterns)
    return not patterns or any(fnmatchcase(backbone.lower(), pattern.lower()) for pattern in patterns)
