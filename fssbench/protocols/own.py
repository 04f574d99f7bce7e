"""Protocols from outside: an own TOML file, or one that another package provides. They are not trusted until parsed."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from fssbench.errors import BrokenFileError, MissingError, UsageError, nearest
from fssbench.escape import plain
from fssbench.protocols.choices import MAX_SEED, BaseRule, Override, Protocol, ProtocolFile
from fssbench.toml import parse

MAX_BYTES = 1 << 16
"""Larger files are refused: the protocols of all releases together take a sixth of this."""

_FILE = re.compile(r"(?P<path>.*\.toml)(?::(?P<table>[^:@]*))?", re.DOTALL | re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FILE_NAME = re.compile(r"[^@:\x00-\x1f\x7f-\x9f]{1,100}")
_GIVEN = {"name", "own", "default_for", "caveat"}
"""Fields that are no keys of a file: the name is that of the table, and an installed protocol never is a default."""
_LONGEST = 300
_SIDES = (8, 4096)
_MOST_EPISODES, _MOST_SEEDS, _MOST_WAYS = 1_000_000, 1000, 100


def is_name(name: str) -> bool:
    """Return whether a text is a valid name of a protocol."""
    return bool(_NAME.fullmatch(name))


def without_size(name: str) -> tuple[str, str | None]:
    """Split the name of a protocol, or its file, from the text after the last @, which is None if there is no @."""
    if _FILE.fullmatch(name):
        return name, None  # a folder may have an @ in its name
    base, at, size = name.rpartition("@")
    return (base, size) if at else (name, None)


def names_file(name: str) -> bool:
    """Return whether a name is that of a file: "./mine.toml" or "./mine.toml:mine", also with @original."""
    return bool(_FILE.fullmatch(without_size(name)[0]))


def package_of(point: EntryPoint) -> str:
    """Return the name of the package of an entry point."""
    return point.dist.name if point.dist else point.value


def protocol_of_file(spec: str, taken: Sequence[str]) -> Protocol:
    """Read the protocol of a file, which is called "FILE:TABLE" in records.

    Args:
        spec: "./mine.toml", or "./mine.toml:mine" if the file has several tables.
        taken: Names that no table may have, so that its numbers are not confused with those of a release.

    Raises:
        MissingError: If there is no such file.
        UsageError: If it has no such table, or several and none is named, or the name is taken.
        BrokenFileError: If it is not a valid protocol, with the line.
    """
    match = _FILE.fullmatch(spec)
    assert match is not None  # noqa: S101 - `names_file` said so
    path, requested = Path(match["path"]), match["table"]
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "is not there"
        raise MissingError(
            f"the protocol's file {path} {what}",
            "--protocol FILE.toml, or fssbench list protocols; run.json has a copy of the protocol of a run",
        )
    if not _FILE_NAME.fullmatch(path.name):
        raise UsageError(f"a protocol's file has no @ or : in its name, as {plain(path.name)} has", "rename it")
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error.strerror}", f"edit {path}") from error
    text, tables = _tables(raw, str(path))
    if requested is None and len(tables) > 1:
        raise UsageError(
            f"{path} has several protocols: {_table_names(tables)}", f"--protocol {path}:{next(iter(tables))}"
        )
    table = next(iter(tables)) if requested is None else requested
    if table not in tables:
        raise UsageError(
            f"{path} has no table [{plain(table)}]; it has {_table_names(tables)}", f"--protocol {path}:NAME"
        )
    if table in taken:
        raise UsageError(
            f"{path}, line {_line(text, table)}: [{table}] is the name of one of fssbench's own protocols",
            "give the table another name",
        )
    own = ProtocolFile(str(path), hashlib.sha256(raw).hexdigest(), text)
    return _read(tables, table, f"{path.name}:{table}", own)


@cache
def protocol_of_package(point: EntryPoint) -> Protocol:
    """Read the protocol of a package: the table named like the entry point, in the file that the entry point names.

    Raises:
        UsageError: If the entry point can't be imported, is not a path, or the file has no such table.
        BrokenFileError: If the file can't be read or is not a valid protocol, with the line.
    """
    package = package_of(point)
    name_in_text = f"the protocol '{point.name}' of the package {package}"
    try:
        target = point.load()
    except Exception as error:
        reason = f"{type(error).__name__}: {plain(str(error))}"
        raise UsageError(f"{name_in_text} can't be loaded: {reason}", f"pip uninstall {package}") from error
    read_bytes = getattr(Path(target) if isinstance(target, str) else target, "read_bytes", None)
    if read_bytes is None:
        raise UsageError(
            f"{name_in_text} is a {type(target).__name__}",
            "let its entry point name the path of a TOML file, as a Path",
        )
    try:
        raw = read_bytes()
    except OSError as error:
        raise BrokenFileError(f"{name_in_text} can't be read: {error}", f"pip uninstall {package}") from error
    text, tables = _tables(raw, str(target))
    if point.name not in tables:
        raise UsageError(
            f"{name_in_text} is not in {target}, which has {_table_names(tables)}", f"a table [{point.name}]"
        )
    own = ProtocolFile(str(target), hashlib.sha256(raw).hexdigest(), text, package)
    return _read(tables, point.name, point.name, own)


def protocol_of_record(name: str, own: ProtocolFile) -> Protocol:
    """Return the protocol from the record of a run; its file is not needed.

    Args:
        name: The name in the record.
        own: The file in the record.

    Raises:
        BrokenFileError: If the record has no such protocol.
    """
    table = name.partition("@")[0].rpartition(":")[2]
    _, tables = _tables(own.content.encode(), own.path)
    if table not in tables:
        raise BrokenFileError(f"the record of the protocol {name} has no table [{table}]")
    return _read(tables, table, name.partition("@")[0], own)


def _tables(raw: bytes, where: str) -> tuple[str, dict[str, object]]:
    """Return the text of a file and its tables by name."""
    if len(raw) > MAX_BYTES:
        raise BrokenFileError(
            f"{where} is larger than {MAX_BYTES >> 10} KiB: it is not a protocol", "name another file"
        )
    try:
        text = raw.decode("utf-8")
        tables = parse(text.removeprefix("\ufeff"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BrokenFileError(f"{where} can't be read as TOML: {plain(str(error))}", f"edit {where}") from error
    if not tables:
        raise BrokenFileError(f"{where} has no table; a protocol is a table, as in protocols.toml", f"edit {where}")
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise BrokenFileError(
                f"{where}, line {_line(text, name)}: {plain(name)} is not in a table; a protocol is a table: [mine]",
                f"edit {where}",
            )
        if not is_name(name):
            raise BrokenFileError(
                f"{where}, line {_line(text, name)}: a protocol can't be called '{plain(name)}'",
                "letters, digits, '.', '_' and '-'",
            )
    return text, tables


def _table_names(tables: Mapping[str, object]) -> str:
    return ", ".join(list(tables)[:20])


def _read(tables: Mapping[str, Any], table: str, name: str, own: ProtocolFile) -> Protocol:
    """Return the protocol of a table; unknown keys, wrong types and values out of bounds are refused."""
    from pydantic import TypeAdapter, ValidationError

    where, text, raw = own.path, own.content, tables[table]
    for path, key, known in _unknown(raw):
        near = nearest(key, known)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
        if key in _GIVEN and not path:
            hint = "a protocol in a file can't set it"
        line = _line(text, table, *path, key)
        raise BrokenFileError(f"{where}, line {line}: unknown key '{plain(key)}'; {hint}", f"edit {where}")
    try:
        # Validated as JSON, where types are strict, but a list is accepted for a tuple.
        document = json.dumps({**raw, "name": name}, default=str)
        found = TypeAdapter(Protocol).validate_json(document, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = [str(part) for part in first["loc"]]
        keys = [part for part in place if not part.isdecimal()]
        message = f"{'.'.join(place)}: {plain(first['msg'])}"
        if first["type"] == "missing" and place[-1] in keys:
            message = f"[{'.'.join((table, *keys[:-1]))}] has no {keys[-1]}"
        raise BrokenFileError(f"{where}, line {_line(text, table, *keys)}: {message}", f"edit {where}") from error
    for key, wrong in _out_of_bounds(found):
        raise BrokenFileError(f"{where}, line {_line(text, table, *key.split('.'))}: {key}: {wrong}", f"edit {where}")
    return replace(found, own=own)


def _unknown(raw: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str, list[str]]]:
    """Yield each unknown key: the path of its table, the key, and the known keys."""
    known = [one.name for one in fields(Protocol) if one.name not in _GIVEN]
    top: tuple[str, ...] = ()
    yield from ((top, key, known) for key in raw if key not in known)
    inner: list[tuple[tuple[str, ...], object, type]] = [(("base",), raw.get("base"), BaseRule)]
    overrides = raw.get("overrides")
    if isinstance(overrides, dict):
        inner += [(("overrides", name), override, Override) for name, override in overrides.items()]
        datasets = raw.get("datasets")
        if isinstance(datasets, list):
            dataset_names = [str(name) for name in datasets]
            yield from ((("overrides",), name, dataset_names) for name in overrides if name not in dataset_names)
    for path, table, kind in inner:
        if isinstance(table, dict):
            names = [one.name for one in fields(kind)]
            yield from ((path, key, names) for key in table if key not in names)


def _out_of_bounds(found: Protocol) -> Iterator[tuple[str, str]]:
    """Yield each value that is out of bounds: its key, and what is wrong."""
    for key in ("title", "source", "sampler", *(("backbone",) if found.backbone else ())):
        text = getattr(found, key)
        if not text.strip() or len(text) > _LONGEST or not text.isprintable():
            yield key, f"it is one line of 1 to {_LONGEST} printed characters"
    if not found.datasets:
        yield "datasets", "a protocol is for one data set or more"
    if found.score_at not in found.score_sizes:
        yield "score_at", f"it is not one of score_sizes, {', '.join(found.score_sizes) or 'which is empty'}"
    if found.base is not None and not 0 <= found.base.threshold <= 1:
        yield "base.threshold", "a probability is from 0 to 1"
    numbers: dict[str, Protocol | Override] = {"": found}
    numbers |= {f"overrides.{name}.": one for name, one in found.overrides.items()}
    for at, rules in numbers.items():
        yield from ((at + key, wrong) for key, wrong in _bad_numbers(rules, found.resize))


def _bad_numbers(rules: Protocol | Override, resize: str) -> Iterator[tuple[str, str]]:
    if rules.way is not None and not 1 <= rules.way[0] <= rules.way[1] <= _MOST_WAYS:
        yield "way", f"it is [smallest, largest] N, from 1 to {_MOST_WAYS}"
    if rules.episodes is not None and not 1 <= rules.episodes <= _MOST_EPISODES:
        yield "episodes", f"there are 1 to {_MOST_EPISODES}"
    if rules.seeds is not None:
        if not 1 <= len(rules.seeds) <= _MOST_SEEDS or len(set(rules.seeds)) < len(rules.seeds):
            yield "seeds", f"there are 1 to {_MOST_SEEDS} different ones"
        if not all(0 <= seed <= MAX_SEED for seed in rules.seeds):
            yield "seeds", f"a seed is a number from 0 to {MAX_SEED}"
    if rules.input is not None:
        if resize == "none":
            if any(rules.input):
                yield "input", 'with resize = "none" images keep their own size, and it is [0, 0]'
        elif not all(_SIDES[0] <= side <= _SIDES[1] for side in rules.input):
            yield "input", f"it is [height, width], each from {_SIDES[0]} to {_SIDES[1]} pixels"
        if resize in ("opencv-pad", "opencv-pad-squeezed") and rules.input[0] != rules.input[1]:
            yield "input", f'resize = "{resize}" pads photos to a square'


def _line(text: str, *keys: str) -> int:
    """Return the number of the line that sets the last of nested keys, or the innermost one that is found."""
    lines, found, start = text.splitlines(), 1, 0
    for depth, key in enumerate(keys):
        name = rf"""["']?{re.escape(key)}["']?"""
        above = r"\s*\.\s*".join(rf"""["']?{re.escape(one)}["']?""" for one in keys[: depth + 1])
        pattern = re.compile(rf"^\s*(?:\[+\s*{above}\s*[\].]|(?:[\w\"'-]+\s*\.\s*)*{name}\s*[=.])")
        place = next((number for number in range(start, len(lines)) if pattern.match(lines[number])), None)
        if place is None:
            continue
        found, start = place + 1, place
    return found
