"""What the rows of a run show of its references and of its absent queries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from fssbench.errors import UsageError
from fssbench.metrics.absence import Absence, absences
from fssbench.metrics.references import ReferenceStudy, study_references

if TYPE_CHECKING:
    from fssbench.results.run_reader import Results

Record = dict[str, object]


def reference_study(results: Results) -> ReferenceStudy | None:
    """Return what the references of a run show; None if it has the protocol's own supports, or no query is complete.

    See `fssbench.metrics.references`.
    """
    references = results.run.references
    if references is None or results.frame.empty:
        return None
    try:
        return study_references(results.frame, _lengths(results), references)
    except UsageError:
        return None


def absent_queries(results: Results) -> list[Absence] | None:
    """Return what the absent queries of a run show, by fold and in the mean; None if none were drawn or counted yet.

    See `fssbench.metrics.absence`.
    """
    if not results.run.has_absent or results.frame.empty or "predicted" not in results.frame.columns:
        return None
    return absences(results.frame, _lengths(results))


def studies_record(results: Results) -> Record:
    """Return what summary.json says of references and absent queries; empty for a protocol's own list."""
    found: Record = {}
    if (study := reference_study(results)) is not None:
        record = references_record(study)
        found["references"] = {name: record[name] for name in ("references", "folds", "variance", "classes")}
    if (absent := absent_queries(results)) is not None:
        found["absent"] = absences_record(absent)
    return found


def references_record(study: ReferenceStudy) -> Record:
    """Return a study as plain values for JSON: numbers in per cent, variances in squared percentage points."""
    parts = study.components
    return {
        "references": study.references,
        "left_out": study.left_out,
        "folds": [_plain(asdict(fold)) for fold in study.folds],
        "variance": {
            "reference": parts.reference,
            "query": parts.query,
            "class": parts.of_class,
            "shares": parts.shares,
            "below_zero": list(parts.below_zero),
            "missing": dict(parts.missing or {}),
        },
        "classes": [_plain(asdict(one)) for one in study.classes],
        "queries": [_plain(asdict(one)) for one in study.queries],
    }


def absences_record(absent: Sequence[Absence]) -> list[Record]:
    """Return the numbers of absent queries as plain values for JSON, in per cent; None where nothing is counted."""
    return [_plain(asdict(one)) for one in absent]


def _lengths(results: Results) -> dict[int, int]:
    return {fold.fold: fold.run_length for fold in results.run.folds if fold.run_length}


def _plain(record: Record) -> Record:
    """Return a record in which the mean over folds is called so, and what is no number is None."""
    values = {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in record.items()}
    return values | ({"fold": "mean"} if values.get("fold", "") is None else {})
