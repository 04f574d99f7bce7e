"""From results to the files of a site: pages, records, and the formats for other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fssbench.datasets.catalogue import dataset_title
from fssbench.errors import UsageError
from fssbench.escape import json_text, plain
from fssbench.files import write_text
from fssbench.ledger.words import lines
from fssbench.publications.own import with_own
from fssbench.site import exchange
from fssbench.site.gather import Result, of_pages
from fssbench.site.rows import FILTERS, Line, line_of
from fssbench.site.trend import trend
from fssbench.templates import page_templates
from fssbench.version import __version__

MARK = "fssbench-site.json"
"""The file by which a folder is known as a site, with the files that were written; others are not removed."""
_HERE = Path(__file__).resolve().parent / "templates"


@dataclass(frozen=True)
class Site:
    """What was written.

    Attributes:
        page: The first page.
        files: Number of files.
        results: Number of results.
        measured: How many of them are measured.
    """

    page: Path
    files: int
    results: int
    measured: int


def write(
    results: Sequence[Result],
    out: Path,
    *,
    title: str = "Few-shot segmentation",
    repositories: Mapping[str, str] | None = None,
) -> Site:
    """Write a site. Of an earlier site in the folder, the files that the new one does not have are removed.

    Args:
        results: From `gather`.
        out: The folder: empty, new, or with an earlier site.
        title: The title of the first page.
        repositories: The repository on the Hugging Face hub of data sets, by key.

    Raises:
        UsageError: If the folder has something else, or can't be written.
        MissingError: If Jinja2 or matplotlib is not installed.
    """
    files = pages(results, title=title, repositories=repositories or {})
    try:
        earlier = _earlier(out)
        # First the list, so that a site that was not written to its end is known as one, too.
        write_text(out / MARK, json.dumps({"files": sorted({*earlier, *files})}, indent=0) + "\n")
        for name, text in files.items():
            write_text(out / name, text)
        for name in earlier - set(files):
            (out / name).unlink(missing_ok=True)
        write_text(out / MARK, json.dumps({"files": sorted(files)}, indent=0) + "\n")
    except OSError as error:
        raise UsageError(f"can't write {error.filename or out}: {error.strerror}", "give another --out") from error
    measured = sum(one.entry.origin == "measured" for one in results)
    return Site(out / "index.html", len(files) + 1, len(results), measured)


def _earlier(out: Path) -> set[str]:
    """Return the files of the site that is in a folder; folders for the new one are made.

    Raises:
        UsageError: If the folder has files, and is no site.
    """
    known: set[str] = set()
    if (out / MARK).is_file():
        try:
            listed = json.loads((out / MARK).read_text(encoding="utf-8"))["files"]
            # Only what a site can have is removed: the list may come from somebody else.
            known = {name for name in listed if isinstance(name, str) and _is_ours(name)}
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{out / MARK} is damaged", f"remove {out}, or give another --out") from error
    elif out.is_dir() and any(out.iterdir()):
        raise UsageError(f"{out} has files, and is no site", "--out DIR names a new or empty folder")
    for folder in ("methods", "datasets", "records", "eval-results"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    return known


def _is_ours(name: str) -> bool:
    folder, _, file = name.rpartition("/")
    ends = {"": (".html", ".json", ".csv"), "methods": (".html",), "datasets": (".html",)}
    ends |= {"records": (".json",), "eval-results": (".yaml",)}
    return file.endswith(ends.get(folder, ("\0",))) and not file.startswith(".") and "\\" not in name


def pages(results: Sequence[Result], *, title: str, repositories: Mapping[str, str]) -> dict[str, str]:
    """Return the text of each file, by its path from the folder of the site."""
    methods, datasets = of_pages(results)
    templates = page_templates(_HERE)
    lined = {one.id: line_of(one) for one in results}

    def page(template: str, ups: str, shown: Sequence[Result], **further: object) -> str:
        table = [lined[one.id] for one in shown]
        return templates.get_template(template).render(
            rows=table,
            up=ups,
            site=plain(title),
            filters=_choices(table),
            methods={name: _name(ones[0]) for name, ones in methods.items()},
            datasets={name: _data_title(ones[0]) for name, ones in datasets.items()},
            version=__version__,
            **further,
        )

    known = with_own()
    charts = {name: _charts(ones, name) for name, ones in datasets.items()}
    first = [chart for name in ("pascal5i", "coco20i") for chart in charts.get(name, [])]
    files = {"index.html": page("index.html.j2", "", results, charts=first)}
    for name, ones in methods.items():
        entry = ones[0].entry
        paper = None if entry.own else known.methods.get(entry.method)
        facts = [] if entry.facts is None else lines(entry.facts, None)
        files[f"methods/{name}.html"] = page(
            "method.html.j2", "../", ones, key=name, name=_name(ones[0]), paper=paper, facts=facts
        )
        files[f"eval-results/{name}.yaml"] = exchange.as_eval_results(ones, repositories)
    for name, ones in datasets.items():
        own = {"name": _data_title(ones[0]), "charts": charts[name]}
        files[f"datasets/{name}.html"] = page("dataset.html.j2", "../", ones, **own)
    for one in results:
        if one.record:
            files[f"records/{one.id}.json"] = json_text(exchange.as_object(one))
    files["results.json"] = exchange.as_json(results)
    files["results.schema.json"] = exchange.schema()
    files["results.csv"] = exchange.as_csv(results)
    return files


def _name(one: Result) -> str:
    return one.entry.label if one.entry.own else one.entry.label.partition(":")[0]


def _data_title(one: Result) -> str:
    return dataset_title(one.entry.dataset, one.entry.own_data)


def _choices(rows: Sequence[Line]) -> list[tuple[str, str, list[str]]]:
    """Return the filters that have more than one value: name, title, values."""
    found = []
    for name, head in FILTERS.items():
        values = {row.data[name] for row in rows}
        numeric = sorted((value for value in values if value.isdigit()), key=int)
        order = [*numeric, *sorted(value for value in values if not value.isdigit())]
        if len(order) > 1:
            found.append((name, head, order))
    return found


def _charts(results: Sequence[Result], name: str) -> list[tuple[str, str]]:
    """Return the trend on a data set, as title and SVG; nothing if its results are of fewer than two years."""
    drawn = trend(results, name)
    return [] if drawn is None else [(_data_title(results[0]), drawn)]
