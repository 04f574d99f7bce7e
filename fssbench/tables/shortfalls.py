"""What a comparison lacks: requested methods without a number, methods that do not run here, or everything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from fssbench.datasets.catalogue import list_datasets
from fssbench.errors import MissingError
from fssbench.publications.names import Names
from fssbench.publications.status import implementation_of, released_weights
from fssbench.tables.entry import Entry
from fssbench.tables.measurements import Data
from fssbench.tables.request import Comparison, LayoutName
from fssbench.tables.table import Footnote, Table


def methods_not_measured(table: Table) -> tuple[Footnote, ...]:
    """Return the footnotes with the printed methods that do not run here, and with those that need training first."""
    shown = [entry for group in table.groups for row in group.rows for entry in row.entries]
    measured = {entry.method for entry in shown if entry.origin == "measured"}
    printed = {entry.method: entry.label for entry in shown if entry.origin == "published"}
    open_ones = {method: label for method, label in printed.items() if method not in measured}
    released = released_weights()
    only = {label for method, label in open_ones.items() if not implementation_of(method)}
    untrained = {label for method, label in open_ones.items() if implementation_of(method) and not released.get(method)}
    texts = (
        (only, "Published-only, as the method does not run here"),
        (untrained, "Runs here after training, as no released weights are registered"),
    )
    return tuple(
        Footnote("", f"{text}: {', '.join(sorted(labels, key=str.lower))}.") for labels, text in texts if labels
    )


def methods_without_numbers(names: Names, entries: Iterable[Entry]) -> tuple[Footnote, ...]:
    """Return the footnote with the requested methods that have no number in the table."""
    shown = {name.lower() for entry in entries for name in (entry.method, entry.label)}
    plain = [pattern for pattern in names.patterns if ":" not in pattern]
    absent = [pattern for pattern in plain if not any(fnmatchcase(name, pattern) for name in shown)]
    return (Footnote("", f"No number here of {', '.join(absent)}."),) if absent else ()


def _eval_command(names: Names, keys: Sequence[str], layout: LayoutName) -> str:
    """Return the command that makes a run for a table; "fssbench eval" where the data set is not one that is known."""
    trained_on, _, other = (keys[0] if keys else "").partition("_to_")
    known = list_datasets()
    if trained_on not in known or (other and other not in known):
        return "fssbench eval"
    method = next((name for name in names.patterns if implementation_of(name) == name), "hsnet")
    data = f"--train-dataset {trained_on} --dataset {other}" if other else f"--dataset {trained_on}"
    return f"fssbench eval --method {method} {data}{' --task fs-cs' if layout == 'fscs' else ''}"


def nothing_to_show(
    request: Comparison, layout: LayoutName, data: Iterable[Data], names: Names, measured: set[str]
) -> MissingError:
    """Return the error of a request that no number fits.

    Args:
        request: The request.
        layout: Its layout.
        data: Where numbers were looked for.
        names: The requested methods.
        measured: The keys of the data sets of all runs.
    """
    what = {"published": "no printed number", "measured": "no run", "both": "neither a printed number nor a run"}
    named = [*names.patterns, *map(str, request.folders)]
    methods = f" of {', '.join(named)}" if named else ""
    keys = tuple(dict.fromkeys(one.key for one in data))
    where = f" on {', '.join(keys)}" if keys else ""
    filters = "".join(
        f", {name} {', '.join(map(str, values))}"
        for name, values in (("shots", request.shots), ("ways", request.ways), ("backbone", request.backbones))
        if values
    )
    remedy = (
        f"{_eval_command(names, keys, layout)} measures it"
        if request.source != "published"
        else "--source both shows measured numbers too"
    )
    if pairs := sorted(key for key in measured for name in keys if key.endswith(f"_to_{name}")):
        remedy = f"--dataset {','.join(pairs)} shows runs that were trained on another data set; {remedy}"
    if layout == "fss":
        remedy += "; --layout fscs shows classification and segmentation"
    else:
        remedy += "; --layout fss shows segmentation alone"
    return MissingError(f"there is {what[request.source]}{methods}{where}{filters} (layout {layout})", remedy)
