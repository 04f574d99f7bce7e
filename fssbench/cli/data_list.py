"""`fssbench data list`: each data set, where it would come from, and what of it is here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fssbench.cli.console import say
from fssbench.cli.paths import given_path

if TYPE_CHECKING:
    from fssbench.datasets.fetching.listing import Listed


def list_data(
    root: Annotated[
        Path | None,
        typer.Option(
            "--root",
            metavar="FOLDER",
            parser=given_path,
            help="Look also in this folder, which has data folders.",
            show_default="where `fssbench data where` says",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List each data set: where it comes from, size, licence, what is here, and what an evaluation needs.

    Examples:
        fssbench data list
        fssbench data list --root DIR --json

    Files are counted, not read; `fssbench data check NAME` reads them.
    """
    from fssbench.datasets.fetching.listing import listed

    found = listed(root)
    if as_json:
        say(*json.dumps([_record(one) for one in found], indent=1).splitlines())
        return
    for one in found:
        say(f"{one.name}  {one.title}", *(f"  {key:9} {text}" for key, text in _lines(one)), "")
    say("FSSBENCH_DATA=DIR or --root DIR names the folder that has them; `fssbench data where` shows which counts")


def _record(one: Listed) -> dict[str, object]:
    return asdict(one) | {"folder": None if one.folder is None else str(one.folder)}


def _lines(one: Listed) -> Iterator[tuple[str, str]]:
    from fssbench.downloads.shown import size_text

    if one.kind == "fetched":
        yield "from", f"{', '.join(one.hosts)}: fssbench data fetch {one.name}"
    elif one.kind == "by hand":
        yield "from", f"{', '.join(one.hosts)}; fssbench data fetch {one.name} says how"
    if one.hosts:
        unsized = f"{one.unsized} file{'s' if one.unsized > 1 else ''} of unknown size" if one.unsized else ""
        sizes = [text for text in (size_text(one.bytes) if one.bytes else "", unsized) if text]
        yield "size", f"{' and '.join(sizes)} to download" if sizes else "not stated"
        yield "licence", f"{one.licence} ({one.page})"
    yield "here", _here(one)
    yield "evaluate", one.evaluate


def _here(one: Listed) -> str:
    if one.kind == "rendered":
        return "nothing is needed"
    if one.folder is None:
        return "no"
    counts = ", ".join(f"{hold.pattern} {hold.here} of {hold.whole}" for hold in one.holdings)
    return f"{one.folder}{f': {counts}' if counts else ''}"
