"""Photos one by one, for data sets whose host serves them so: fetched before, or on the way of an evaluation."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from types import TracebackType
from typing import Self

from fssbench.datasets.dataset import Dataset
from fssbench.datasets.fetching.sources import Source
from fssbench.datasets.io.images import opened
from fssbench.downloads.shown import Shown
from fssbench.downloads.small import read_small
from fssbench.downloads.space import check_space, full_disk_explained
from fssbench.errors import BrokenFileError, UsageError
from fssbench.files import replace_locked

MOST_BYTES = 64 << 20
"""Larger files are refused; photos of COCO have up to 1 MB."""

THREADS = 8
"""Photos that are fetched at once by `fssbench data fetch`; what browsers do, and hosts allow."""

AHEAD = 4
"""Photos that are fetched at once during an evaluation."""


class PhotoHost:
    """The host of a data set's photos.

    Args:
        source: Where the data set comes from.
        dataset: The opened data set.
        mirror: The address of a mirror; None for that of the environment variable, or the official host.

    Raises:
        UsageError: If the photos come in archives only.
    """

    def __init__(self, source: Source, dataset: Dataset, mirror: str | None = None) -> None:
        self.source, self.dataset, self.mirror = source, dataset, mirror
        self.stopped = threading.Event()
        if not source.photo:
            raise UsageError(
                f"the photos of {source.name} come in archives, not one by one", f"fssbench data fetch {source.name}"
            )

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return the names whose photo is not here, each once, in order.

        Raises:
            UsageError: If a name is none of the data set.
        """
        found = dict.fromkeys(names)
        return [name for name in found if not self._path(name).is_file()]

    def bytes_of(self, names: Sequence[str]) -> int:
        """Return about how many bytes photos have: their number times the mean size."""
        return len(names) * self.source.photo_bytes

    def check_room(self, names: Sequence[str]) -> None:
        """Refuse photos that the disk has no room for.

        Raises:
            MissingError: If there is too little room.
        """
        check_space(self.dataset.root or Path(), self.bytes_of(names), f"{len(names)} photos")

    def fetch(self, name: str) -> int:
        """Fetch a photo and put it in place, if it is a photo of the size of its label map; return its bytes.

        Two processes may fetch the same photo: each puts the whole of it in place.

        Raises:
            MissingError: If the host does not send it, or the disk is full.
            BrokenFileError: If what it sends is no such photo; it is not kept.
        """
        path, url = self._path(name), self.source.photo_url(name, self.mirror)
        content = read_small(url, MOST_BYTES, "try again later; what has arrived is kept", self.stopped)
        self._check(name, content, url)
        with full_disk_explained(path.parent, path.name):
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(replace_locked(path, content))
        return len(content)

    def _check(self, name: str, content: bytes, url: str) -> None:
        again = f"fetch it again; {self.source.page} has the data set"
        try:
            with opened(Path(name), ("JPEG", "PNG"), None, raw=content) as photo:
                size = (photo.height, photo.width)
        except BrokenFileError as error:
            raise BrokenFileError(f"{url} is not a whole photo: {error.message}", again) from error
        if size != (expected := self.dataset.image_size(name)):
            raise BrokenFileError(
                f"{url} has {size[1]} x {size[0]} pixels, its labels {expected[1]} x {expected[0]}", again
            )

    def _path(self, name: str) -> Path:
        path = self.dataset.photo_path(name)
        if path is None:
            raise UsageError(f"{self.dataset.name} has no photos in files")
        return path


def fetch_photos(host: PhotoHost, names: Sequence[str], shown: Shown, threads: int = THREADS) -> int:
    """Fetch photos, several at once, and return their bytes.

    Raises:
        MissingError: If the host does not send one of them, or the disk is full. What has arrived is kept.
        BrokenFileError: If one is not what it should be.
    """
    if not names:
        return 0
    total, each = 0, host.source.photo_bytes
    shown.begin(f"{len(names)} photos of {host.source.name}", 0, host.bytes_of(names))
    pool = ThreadPoolExecutor(threads, "fssbench-fetch")
    try:
        for done in as_completed([pool.submit(host.fetch, name) for name in names]):
            total += done.result()
            shown.advance(each)
    finally:
        host.stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)
    return total


class Arriving:
    """Photos that are fetched while others are evaluated; use it in a `with` statement.

    Args:
        host: Their host.
        names: The missing photos, in the order in which they are needed.
        ahead: How many are fetched at once.
    """

    def __init__(self, host: PhotoHost, names: Sequence[str], ahead: int = AHEAD) -> None:
        self._host = host
        self._pool = ThreadPoolExecutor(ahead, "fssbench-fetch")
        self._lock = threading.Lock()
        self._coming: dict[str, Future[int]] = {name: self._pool.submit(host.fetch, name) for name in names}

    def wait(self, name: str) -> None:
        """Return as soon as a photo is here. One whose turn is late is fetched at once, by this thread.

        Raises:
            MissingError: If its host does not send it, or the disk is full.
            BrokenFileError: If it is not what it should be.
        """
        with self._lock:
            coming = self._coming.get(name)
            late = coming is not None and coming.cancel()
            if late:
                coming = self._coming[name] = Future()
                coming.set_running_or_notify_cancel()
        if coming is None:
            return  # it was here before
        if late:
            try:
                coming.set_result(self._host.fetch(name))
            except BaseException as error:
                coming.set_exception(error)
        coming.result()

    @property
    def bytes(self) -> int:
        """How many bytes have arrived."""
        done = [coming for coming in self._coming.values() if coming.done() and not coming.cancelled()]
        return sum(coming.result() for coming in done if coming.exception() is None)

    def __enter__(self) -> Self:
        self._host.dataset.arriving = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._host.dataset.arriving = None
        self._host.stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
