"""The results in formats that others read: JSON with its schema, CSV, and the evaluation results of the hub."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence

from fssbench.errors import UsageError
from fssbench.escape import escaped, harmless, json_text
from fssbench.publications.rows import NUMBERS
from fssbench.site.gather import Result
from fssbench.tables.entry import NO_BACKBONE
from fssbench.version import __version__

FORMAT = 1
"""Raised when the meaning of a field of results.json changes."""

_TEXT: dict[str, object] = {"type": "string"}
_MAYBE: dict[str, object] = {"type": ["integer", "null"]}
_OF_NUMBERS: dict[str, object] = {"type": "object", "additionalProperties": {"type": "number"}}
_FIELDS: dict[str, dict[str, object]] = {
    "id": _TEXT,
    "origin": {"enum": ["published", "measured"]},
    "method": _TEXT,
    "name": _TEXT,
    "variant": _TEXT,
    "venue": _TEXT,
    "year": _MAYBE,
    "backbone": {"type": ["string", "null"]},
    "dataset": _TEXT,
    "own_data": _TEXT,
    "task": {"enum": ["fss", "fscs", "cross-domain"]},
    "protocol": _TEXT,
    "way": _MAYBE,
    "shot": _MAYBE,
    "numbers": _OF_NUMBERS,
    "low": _OF_NUMBERS,
    "high": _OF_NUMBERS,
    "test_classes_seen": {"enum": ["yes", "no", "not stated"]},
    "source": _TEXT,
    "location": _TEXT,
    "url": _TEXT,
    "notes": {"type": "array", "items": _TEXT},
    "record": {"type": "object"},
}
COLUMNS = (
    *(name for name in _FIELDS if name not in ("numbers", "low", "high", "notes", "record")),
    *NUMBERS,
    *(f"{column}_{end}" for column in ("mean", "fb_iou", "er_mean") for end in ("low", "high")),
)
"""The columns of results.csv."""


def schema() -> str:
    """Return the JSON schema of results.json."""
    one = {"type": "object", "properties": _FIELDS, "required": list(_FIELDS), "additionalProperties": False}
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Results of few-shot segmentation",
        "description": "Numbers are in percent, learnable_params in millions. low and high are the ends of 95 % "
        "intervals of measured numbers. record repeats a measured result; it is empty for a printed one.",
        "type": "object",
        "properties": {
            "format": {"const": FORMAT},
            "fssbench": _TEXT,
            "results": {"type": "array", "items": one},
        },
        "required": ["format", "fssbench", "results"],
        "additionalProperties": False,
    }
    return json.dumps(whole, indent=1) + "\n"


def as_object(result: Result) -> dict[str, object]:
    """Return a result as results.json has it."""
    entry = result.entry
    return {
        "id": result.id,
        "origin": entry.origin,
        "method": entry.method,
        "name": entry.label,
        "variant": entry.variant,
        "venue": entry.venue,
        "year": result.year,
        "backbone": None if entry.backbone in ("", NO_BACKBONE) else entry.backbone,
        "dataset": entry.dataset,
        "own_data": entry.own_data,
        "task": entry.task,
        "protocol": entry.protocol,
        "way": entry.way,
        "shot": entry.shot,
        "numbers": {column: float(text) for column, text in entry.numbers.items()},
        "low": {column: round(low, 4) for column, (low, _) in entry.intervals.items()},
        "high": {column: round(high, 4) for column, (_, high) in entry.intervals.items()},
        "test_classes_seen": result.seen,
        # Folders of runs are of the machine on which the site is made.
        "source": entry.source if entry.origin == "published" else "measured",
        "location": entry.location,
        "url": entry.url if entry.origin == "published" else f"records/{result.id}.json",
        "notes": [remark.text for remark in entry.remarks if remark.kind != "repeated"],
        "record": result.record,
    }


def as_json(results: Iterable[Result]) -> str:
    """Return results.json."""
    whole = {"format": FORMAT, "fssbench": __version__, "results": [as_object(one) for one in results]}
    return json_text(whole)


def as_csv(results: Iterable[Result]) -> str:
    """Return results.csv: a line for each result, numbers as in results.json; no text is a formula."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for one in results:
        whole = as_object(one)
        flat = {name: harmless(value) if isinstance(value, str) else value for name, value in whole.items()}
        for part, end in (("numbers", ""), ("low", "_low"), ("high", "_high")):
            numbers = whole[part]
            if isinstance(numbers, Mapping):
                flat |= {f"{column}{end}": value for column, value in numbers.items()}
        writer.writerow(flat)
    return out.getvalue()


def as_eval_results(results: Iterable[Result], repositories: Mapping[str, str]) -> str:
    """Return the mean mIoU of each result in the format of `.eval_results/*.yaml` in a model repository of the hub.

    https://huggingface.co/docs/hub/eval-results describes it. The strings are JSON's, which are also YAML's.

    Args:
        results: The results of one method.
        repositories: The repository on the hub of a data set, by its key. Without one the key stands there, which the
            hub does not show on a leaderboard.
    """
    lines: list[str] = []
    for one in results:
        entry = one.entry
        if "mean" not in entry.numbers:
            continue
        task = f"{entry.task}, {entry.way or '?'}-way {entry.shot or '?'}-shot, mean mIoU over folds"
        notes = [entry.label, entry.backbone if entry.backbone != NO_BACKBONE else "", entry.protocol]
        notes += [] if one.seen == "no" else [f"test classes seen in training: {one.seen}"]
        lines.append(f"- dataset:\n    id: {_quoted(repositories.get(entry.dataset, entry.dataset))}")
        lines.append(f"    task_id: {_quoted(task)}\n  value: {float(entry.numbers['mean'])}")
        date = one.record.get("date")
        if isinstance(date, str):
            lines.append(f"  date: {_quoted(date)}")
        if entry.origin == "published" and entry.url:
            lines.append(f"  source:\n    url: {_quoted(entry.url)}\n    name: {_quoted(entry.source)}")
        elif entry.origin == "published":
            notes.append(f"printed in the {entry.source}, {entry.location}".removesuffix(", "))
        else:
            notes.append("measured by fssbench")
        lines.append(f"  notes: {_quoted('; '.join(note for note in notes if note))}")
    return "\n".join(lines or ["[]"]) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(escaped(text))


def parse_repositories(words: Sequence[str]) -> dict[str, str]:
    """Return the repositories of data sets from words such as "pascal5i=ORG/NAME".

    Raises:
        UsageError: If a word is none.
    """
    found = {}
    for word in words:
        key, _, repository = word.partition("=")
        parts = repository.split("/")
        if (
            not key
            or len(parts) != 2
            or not all(part and part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in parts)
        ):
            raise UsageError(
                f"a repository of a data set is KEY=ORG/NAME, not '{word}'", "--hub-dataset pascal5i=my-lab/pascal5i"
            )
        found[key] = repository
    return found
