"""Checkpoints from their hosts: continued, recognised, compared with the recorded hash, then put into the cache."""

from __future__ import annotations

import hashlib
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fssbench.checkpoints.archives import archived_names, is_archive, unpack_one
from fssbench.checkpoints.choosing import choose
from fssbench.checkpoints.fetching import browser_way, cached_file, check_hash, locate
from fssbench.checkpoints.files import check_contents, file_sha256, recognise
from fssbench.checkpoints.links import Link, link_of
from fssbench.checkpoints.registry import Record, record_first_hash, records
from fssbench.config import cache_folder
from fssbench.downloads.drive import download_file, folder_files, require_gdown
from fssbench.downloads.remote import Remote
from fssbench.downloads.responses import PageError
from fssbench.downloads.resumable import download
from fssbench.downloads.shown import Bar, Shown, Silent
from fssbench.errors import BrokenFileError, MissingError
from fssbench.files import locked
from fssbench.hub.snapshots import downloaded, page

LEFT_FOR = 30 * 86_400
"""Seconds after which a file that has arrived in part, or an archive of several checkpoints, is removed."""

MOST = 16 << 30
"""Bytes: no checkpoint of the field, and no archive of them, is nearly as large."""


def fetch(record: Record, *, progress: bool = False, shown: Shown | None = None) -> Path:
    """Download a record's file into the cache, unless it is there, and return it.

    What was broken off is continued. If no hash is recorded, that of the file is written into the user's registry, and
    another file is refused from then on.

    Args:
        record: A record whose file is behind a link, or on the Hugging Face hub.
        progress: Whether to show a progress bar.
        shown: Where the progress goes, in place of a bar.

    Raises:
        MissingError: If the host does not send it, with the browser's way; or if a package is missing that gets it.
        BrokenFileError: If what comes is not a weight file, or not the recorded one; it is not kept.
    """
    if record.hub:
        return _fetch_from_hub(record, progress=progress)
    link = link_of(record.url, record.hosting)
    if not record.url or not link.by_program:
        return locate(record)[0]
    target = cached_file(record)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _showing(progress, shown) as where, _one_at_a_time(record, where) as place:
        if not _is_whole(record, target):
            arrived = _brought(record, link, place, where)
            _check(record, arrived)
            arrived.replace(target)
        if not record.sha256:
            record_first_hash(record, file_sha256(target))
    return target


@contextmanager
def _one_at_a_time(record: Record, shown: Shown) -> Iterator[Path]:
    """Yield where the file behind a link arrives; other processes that fetch from the same link wait."""
    key = hashlib.sha256(record.url.encode()).hexdigest()[:16]
    # Not next to the checkpoints: there is nothing in their folder that is not whole.
    place = cache_folder() / "arriving" / key
    remove_old(place.parent)
    with locked(place, lambda: shown.note(f"another process fetches from {record.url}; waiting for it")):
        yield place


def remove_old(folder: Path) -> None:
    """Remove what was left of downloads `LEFT_FOR` ago; one that goes on writes to its file."""
    oldest = time.time() - LEFT_FOR
    for path in folder.glob("*"):
        with suppress(OSError):  # another process has removed it
            # A lock file is empty, and must stay while another process may hold it.
            if path.suffix != ".lock" and path.is_file() and path.stat().st_mtime < oldest:
                path.unlink()


@contextmanager
def _showing(progress: bool, shown: Shown | None) -> Iterator[Shown]:
    if shown is None and progress:
        with Bar() as bar:
            yield bar
    else:
        yield shown or Silent()


def _is_whole(record: Record, target: Path) -> bool:
    """Return whether the file is in the cache; a damaged one is downloaded again, and replaced after that."""
    if not target.is_file():
        return False
    try:
        locate(record)
    except BrokenFileError:
        return False
    return True


def _brought(record: Record, link: Link, place: Path, shown: Shown) -> Path:
    """Return the file of a record, which has arrived and is not checked yet.

    Raises:
        MissingError: If it can't be had, with what a person can do instead.
        BrokenFileError: If the host sends something else.
    """
    instead = _instead(record)
    try:
        if link.kind == "drive-file":
            require_gdown(record.id, instead)
            arrived = _from_drive(record, link.drive_id, _file(place), instead, shown)
        elif link.kind == "drive-folder":
            require_gdown(record.id, instead)
            files = folder_files(record.url, instead)
            chosen = choose(record, [path for path, _ in files], _neighbours(record), instead)
            shown.note(f"{record.id}: {chosen}")
            drive_id = dict(files)[chosen]
            one = place.with_name(f"{place.name}-{drive_id[:40]}")
            arrived = _from_drive(record, drive_id, one, instead, shown)
        elif _archive(place).is_file():
            return _unpacked(record, _archive(place), instead, shown)
        else:
            arrived = _from_addresses(record, link, place, instead, shown)
        if not is_archive(arrived):
            return arrived
        # The other records of this link are in it, too.
        arrived.replace(_archive(place))
        return _unpacked(record, _archive(place), instead, shown)
    except MissingError as error:
        # A full disk or a missing package has its own remedy.
        raise error if error.remedy != instead else _explained(record, error, instead) from error


def _from_drive(record: Record, drive_id: str, target: Path, instead: str, shown: Shown) -> Path:
    continued = any(target.parent.glob(f"{target.name}*.part"))
    arrived = download_file(drive_id, target, record.id, MOST, instead, shown)
    if continued and not record.sha256 and not zipfile.is_zipfile(arrived):
        # gdown does not check that a part of an earlier command is of the same file; without a hash, only a zip file,
        # which has checksums of its own, tells whether it was.
        shown.note(f"{record.id} was continued, and nothing tells whether it is whole: it is downloaded again")
        arrived.unlink()
        arrived = download_file(drive_id, target, record.id, MOST, instead, shown)
    return arrived


def _from_addresses(record: Record, link: Link, place: Path, instead: str, shown: Shown) -> Path:
    """Download from the first address that sends the file."""
    refused: MissingError | None = None
    # Of a link that several records have the file is an archive, whose hash nobody states.
    stated = len(record.sha256) == 64 and not record.first_seen and len(_neighbours(record)) < 2
    known = record.sha256 if stated else ""
    for address in link.addresses:
        try:
            return download(Remote(address, record.id, sha256=known, most=MOST), _file(place), instead, shown)
        except MissingError as error:
            if error.remedy != instead:
                raise
            refused = refused or error
    raise refused or MissingError(f"{record.url} has no address of its file", instead)


def _unpacked(record: Record, archive: Path, instead: str, shown: Shown) -> Path:
    """Return a record's own file, out of an archive of several, which is kept for the others."""
    try:
        chosen = choose(record, archived_names(archive), _neighbours(record), instead)
        shown.note(f"{record.id}: {chosen}")
        return unpack_one(archive, chosen, _file(archive), shown)
    except BrokenFileError:
        archive.unlink(missing_ok=True)
        raise


def _check(record: Record, arrived: Path) -> None:
    """Refuse what is not a weight file, is damaged, or is not the recorded one; it is removed.

    Raises:
        BrokenFileError: If it is refused.
    """
    try:
        if recognise(arrived) == "torch-zip" and not record.sha256:
            check_contents(arrived)
        check_hash(record, arrived, "try again later; the host has another file than the recorded one")
    except BrokenFileError:
        arrived.unlink(missing_ok=True)
        raise


def _explained(record: Record, error: MissingError, instead: str) -> MissingError | BrokenFileError:
    if record.hosting == "page":
        return MissingError(f"{record.id} has to be downloaded by hand: {error.message}", instead)
    kind = BrokenFileError if isinstance(error, PageError) else MissingError
    return kind(f"{record.id} could not be fetched: {error.message}", instead)


def _instead(record: Record) -> str:
    if record.hosting == "page":
        return browser_way(record)
    return f"try again, or download it elsewhere and fssbench checkpoints add FILE --id {record.id}"


def _neighbours(record: Record) -> list[Record]:
    """Return the records with the same link, among them this one."""
    return [one for one in records() if one.url == record.url and one.id != record.id] + [record]


def _file(place: Path) -> Path:
    return place.with_name(f"{place.name}.file")


def _archive(place: Path) -> Path:
    return place.with_name(f"{place.name}.archive")


def _fetch_from_hub(record: Record, *, progress: bool) -> Path:
    try:
        return locate(record)[0]
    except BrokenFileError as error:
        raise BrokenFileError(error.message, f"hf download --force-download {record.hub} {record.filename}") from error
    except MissingError:
        pass  # it is not in the cache yet
    own = f"fssbench checkpoints add FILE --id {record.id}, with its {record.filename} from elsewhere"
    found = downloaded(record.hub, record.revision, [record.filename], progress=progress, instead=own)
    if not (found.folder / record.filename).is_file():
        raise MissingError(
            f"{record.id}: {record.hub} has no {record.filename} at {found.revision}", f"see {page(record.hub)}"
        )
    return locate(record)[0]
