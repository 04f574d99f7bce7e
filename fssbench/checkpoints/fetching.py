"""From a record to the files on this machine: shipped, in the cache, or fetched with hash and progress."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from urllib.parse import urlsplit

from fssbench.checkpoints.files import file_sha256, recognise
from fssbench.checkpoints.registry import Record
from fssbench.config import cache_folder, reachable
from fssbench.errors import BrokenFileError, MissingError


def cached_file(record: Record) -> Path:
    """Return where a fetched file is kept.

    Raises:
        NoHomeError: If there is no home folder that the cache could be in.
    """
    suffix = Path(urlsplit(record.url).path).suffix[:12]
    return cache_folder() / "checkpoints" / f"{record.id}{suffix}"


def own_file(record: Record) -> Path:
    """Return where the record's file is, or would be."""
    return record.file(record.path) if record.path else cached_file(record)


def present(record: Record) -> bool:
    """Tell whether the files of a record are on this machine; nothing is read."""
    paths = [reachable(lambda: own_file(record))]
    if record.backbone_path:
        paths.append(record.file(record.backbone_path))
    return all(path is not None and path.is_file() for path in paths)


def locate(record: Record) -> tuple[Path, ...]:
    """Return the files of a record, their hashes checked: the checkpoint and, if kept apart, the backbone.

    Raises:
        MissingError: If one is not on this machine, with the command that mends it.
        BrokenFileError: If one is not what the record says.
    """
    path = reachable(lambda: own_file(record))
    if path is None or not path.is_file():
        raise absent(record)
    recognise(path)
    again = "download it again" if record.path else f"fssbench checkpoints fetch {record.id}"
    _check_hash(record.id, path, record.sha256, again)
    if not record.backbone_path:
        return (path,)
    backbone = record.file(record.backbone_path)
    if not backbone.is_file():
        raise MissingError(f"{record.id}: its backbone's file {backbone} is not there", "install fssbench again")
    _check_hash(record.id, backbone, record.backbone_sha256, "install fssbench again")
    return path, backbone


def absent(record: Record) -> MissingError:
    """Return the error for a record whose file is not on this machine, with what gets it."""
    if record.path:
        return MissingError(
            f"{record.id}: its file {own_file(record)} is not there", "fssbench checkpoints add FILE ... names another"
        )
    if record.hosting == "file":
        return MissingError(f"{record.id} is not on this machine yet", f"fssbench checkpoints fetch {record.id}")
    return MissingError(
        f"{record.id} has to be downloaded by hand: its host shows a page, not the file ({record.url})",
        f"open that page in a browser, save the file, then fssbench checkpoints add FILE --id {record.id}",
    )


def fetch(record: Record, *, progress: bool = False) -> Path:
    """Download a record's file into the cache, if it is not there, and return it.

    Args:
        record: One with a url that is the file itself.
        progress: Show a bar.

    Raises:
        MissingError: If the host shows a page only, or can't be reached.
        BrokenFileError: If what came is not a weight file, or not the one that was recorded; it is not kept.
    """
    import pooch
    import requests

    if not record.url or record.hosting == "page":
        return locate(record)[0]
    target = cached_file(record)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_file():
        try:
            locate(record)
        except BrokenFileError:
            pass  # the cache is ours: what is damaged there is fetched anew, and replaced once that has come
        else:
            return target
    pooch.get_logger().setLevel(logging.ERROR)
    arriving = target.with_name(f"{target.name}.{os.getpid()}.arriving")
    bar = _Bar(record.id) if progress else None
    try:
        downloader = pooch.HTTPDownloader(progressbar=bar or False)
        pooch.retrieve(record.url, known_hash=None, fname=arriving.name, path=arriving.parent, downloader=downloader)
        recognise(arriving)
        _check_hash(record.id, arriving, record.sha256, "try again later; the host has another file than was recorded")
        arriving.replace(target)
    except (requests.RequestException, OSError, ValueError) as error:
        if isinstance(error, BrokenFileError):
            raise
        raise MissingError(
            f"{record.id} could not be fetched from {record.url}: {type(error).__name__}",
            "try again, or download it elsewhere and fssbench checkpoints add FILE",
        ) from error
    finally:
        arriving.unlink(missing_ok=True)
        if bar is not None:
            bar.close()
    return target


class _Bar:
    """A rich bar behind the interface that pooch expects of a progress bar."""

    def __init__(self, what: str) -> None:
        from rich.console import Console
        from rich.progress import DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

        columns = (*Progress.get_default_columns()[:2], DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._shown = Progress(*columns, console=Console(stderr=True))
        self._task = self._shown.add_task(what, total=None)
        self._total = 0
        self._shown.start()

    @property
    def total(self) -> int:
        """Size of the file in bytes; 0 where the host does not say."""
        return self._total

    @total.setter
    def total(self, size: int) -> None:
        self._total = size
        self._shown.update(self._task, total=size or None)

    def update(self, count: int) -> None:
        """So many more bytes have come."""
        self._shown.advance(self._task, count)

    def reset(self) -> None:
        """Begin again; pooch does so once all has come, to show the whole."""
        self._shown.reset(self._task, total=self._total or None)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._shown.stop()


def _check_hash(identifier: str, path: Path, expected: str, remedy: str) -> None:
    if expected and not (found := file_sha256(path)).startswith(expected):
        raise BrokenFileError(
            f"{identifier}: {path} is not the file that was recorded: "
            f"its sha256 begins {found[:12]}, not {expected[:12]}",
            remedy,
        )
