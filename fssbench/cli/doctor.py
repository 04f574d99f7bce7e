"""`fssbench doctor`: what is installed and found on this machine, and what is missing to measure the printed tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fssbench.cli.console import say, say_json
from fssbench.cli.doctor_findings import Findings, examine
from fssbench.cli.options import AsJson

_LEAD = 13


def doctor(as_json: AsJson = False) -> None:
    """Show versions, devices, data, caches and checkpoints, and what is missing to measure each printed table.

    Examples:
        fssbench doctor
        fssbench doctor --json

    It looks and changes nothing. What is broken is told under problems, with what mends it; the exit code is 0.
    """
    found = examine()
    if as_json:
        say_json(found)
    else:
        say(*_lines(found))


def _lines(found: Findings) -> Iterator[str]:
    sections: dict[str, Callable[[Any], Iterator[str]]] = {
        "versions": _versions,
        "system": _system,
        "devices": _devices,
        "config": _config,
        "data": _data,
        "caches": _caches,
        "checkpoints": _checkpoints,
        "extras": _extras,
    }
    for name, draw in sections.items():
        lines = ["not known, see problems"] if found[name] is None else list(draw(found[name]))
        for number, line in enumerate(lines):
            yield f"{name if number == 0 else '':{_LEAD}}{line}"
    yield from ("", "tables")
    yield from _tables(found["tables"]) if found["tables"] is not None else ["  not known, see problems"]
    yield ""
    yield from _problems(found["problems"])


def _versions(found: dict[str, str | None]) -> Iterator[str]:
    named = [f"{name} {version}" for name, version in found.items() if version is not None]
    yield ", ".join(named)
    if missing := [name for name, version in found.items() if version is None]:
        yield f"not installed: {', '.join(missing)}"


def _system(found: dict[str, Any]) -> Iterator[str]:
    threads = found["omp_num_threads"]
    limit = f", OMP_NUM_THREADS={threads}" if threads else ""
    yield f"{found['platform']}, {found['usable_cores']} of {found['cores']} cores usable{limit}"
    yield f"fssbench in {found['fssbench']}, {found['python']}"


def _devices(found: dict[str, Any]) -> Iterator[str]:
    yield f"cpu, {found['torch_threads']} thread{'s' if found['torch_threads'] > 1 else ''} of torch"
    for card in found["cards"]:
        yield f"{card['device']}: {card['name']}, {_size(card['bytes'])}"
    if not found["cards"]:
        cuda = found["cuda_of_torch"]
        built = f"torch is built for CUDA {cuda}" if cuda else "torch is built without CUDA"
        yield f"no graphics card: {built}"


def _config(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['file']}{'' if found['there'] else ' (not there)'}"
    yield f"FSSBENCH_DATA={found['FSSBENCH_DATA']}" if found["FSSBENCH_DATA"] else "FSSBENCH_DATA is not set"


def _data(found: list[dict[str, Any]]) -> Iterator[str]:
    for one in found:
        if one["folder"] is not None:
            counts = ", ".join(f"{hold['files']} {hold['here']} of {hold['whole']}" for hold in one["holdings"])
            yield f"{one['dataset']}: {one['folder']}{f': {counts}' if counts else ''}"
    if rendered := [one["dataset"] for one in found if not one["needs_files"]]:
        yield f"without files: {', '.join(rendered)}"
    if missing := [one["dataset"] for one in found if one["needs_files"] and one["folder"] is None]:
        yield f"not here: {', '.join(missing)}"


def _caches(found: list[dict[str, Any]]) -> Iterator[str]:
    for one in found:
        unread = f"; not all of it can be read: {one['error']}" if one["error"] else ""
        yield f"{one['cache']}: {_size(one['bytes'])} in {one['files']} files, {one['folder']}{unread}"


def _checkpoints(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['here']} of {found['registered']} registered are here"
    for name, count in found["sets"].items():
        yield f"  {name}: {count}" if count > 1 else f"  {name}"


def _extras(found: list[dict[str, Any]]) -> Iterator[str]:
    for one in found:
        if one["missing"]:
            lacks = f"without {', '.join(one['missing'])}: pip install 'fssbench[{one['extra']}]'"
        yield f"{one['extra']}: {lacks if one['missing'] else 'installed'}"


def _tables(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield for each table a line for each method: what can be measured, or what is missing and what gets it."""
    tables: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        tables.setdefault((row["dataset"], row["task"]), {}).setdefault(row["method"], []).append(row)
    for (dataset, task), methods in tables.items():
        yield f"  {dataset}, {task.replace('fscs', 'fs-cs')}"
        able = {name: [row for row in of_method if row["measurable"]] for name, of_method in methods.items()}
        data = {one["what"]: one["command"] for ones in able.values() for row in ones for one in row["missing"]}
        shared = {what: command for what, command in data.items() if not what.startswith("checkpoints")}
        for what, command in shared.items():
            yield f"    missing: {what}: {command}"
        width = max((len(name) for name, ones in able.items() if ones), default=0)
        for name, ones in able.items():
            if ones:
                yield f"    {name:{width}}  {_missing_of(ones)}"
        if others := [name for name, ones in able.items() if not ones]:
            yield f"    no weights are registered, or not implemented here: {', '.join(others)}"


def _missing_of(rows: list[dict[str, Any]]) -> str:
    """Return what of a method's results can be measured, and the commands for the others."""
    shots = ",".join(dict.fromkeys(str(row["shot"]) for row in rows if row["shot"]))
    backbones = ", ".join(dict.fromkeys(row["backbone"] for row in rows if row["backbone"]))
    commands = list(
        dict.fromkeys(one["command"] for row in rows for one in row["missing"] if one["what"].startswith("checkpoints"))
    )
    head = f"{backbones or 'no backbone'}, {shots}-shot"
    if not commands:
        return f"{head}: weights are here"
    more = f" and {len(commands) - 1} more (--json)" if len(commands) > 1 else ""
    return f"{head}, checkpoints: {commands[0]}{more}"


def _problems(found: list[dict[str, str | None]]) -> Iterator[str]:
    if not found:
        yield "no problems"
    for one in found:
        yield f"problem      {one['part']}: {one['problem']}"
        if one["remedy"]:
            yield f"  try: {one['remedy']}"


def _size(count: int) -> str:
    from fssbench.downloads.shown import size_text

    return size_text(count)
