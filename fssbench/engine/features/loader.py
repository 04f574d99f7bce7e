"""Photos and label maps, read and resized beside the network's work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from fssbench.datasets.dataset import Dataset, Image, Label
from fssbench.datasets.io.label_maps import check_size
from fssbench.engine.features.lru import LRUCache
from fssbench.errors import BrokenFileError
from fssbench.fast.threads import use_threads
from fssbench.protocols.rules import ResizeRule
from fssbench.protocols.transforms import input_image
from fssbench.results.photos import photo_digest

IMAGE_CACHE_BYTES = 128 << 20
"""Photos that are kept, and as much of label maps: small beside features."""


@dataclass(frozen=True)
class View:
    """How a network sees photos: brought to `size` (height, width) by a rule of `fssbench.protocols.transforms`."""

    size: tuple[int, int]
    rule: ResizeRule


@dataclass(frozen=True)
class Photo:
    """A photo as a network takes it: float32 (3, h, w), and its own (height, width)."""

    pixels: Tensor
    shape: tuple[int, int]


class Loader:
    """Reads photos ahead of their use, in threads, and keeps the photos and label maps used last.

    Args:
        dataset: Where they come from.
        workers: How many threads; with 0 each photo is read when it is used.
        ahead: How many photos are read ahead at most.
        pinned: Whether photos go to pinned memory, from where a graphics card fetches them while it computes.
        label: Reads a label map by the name of its image; default the data set's own.
    """

    def __init__(
        self,
        dataset: Dataset,
        workers: int,
        ahead: int = 8,
        *,
        pinned: bool = False,
        label: Callable[[str], Label] | None = None,
    ) -> None:
        self._dataset, self._pinned, self._ahead = dataset, pinned, ahead
        self._pool = ThreadPoolExecutor(workers, "fssbench-photo", use_threads, (1,)) if workers else None
        self._coming: dict[tuple[View, str], Future[Photo]] = {}
        self._photos = LRUCache(self._picture, IMAGE_CACHE_BYTES)
        self._labels = LRUCache(label or dataset.label, IMAGE_CACHE_BYTES)
        self.shapes: dict[str, tuple[int, int]] = {}
        """(height, width) of each photo that was read."""
        self.digests: dict[str, str] = {}
        """Digest of each photo's file that was read (`fssbench.results.photos`)."""

    def want(self, photos: Iterable[tuple[View, str]]) -> None:
        """Begin to read photos that will be needed, those needed first first."""
        if self._pool is None:
            return
        for view, name in photos:
            if len(self._coming) >= self._ahead:
                return
            if (view, name) not in self._coming:
                self._coming[view, name] = self._pool.submit(self._read, view, name)

    def photo(self, view: View, name: str) -> Tensor:
        """Return a photo as float32 (3, h, w).

        Raises:
            MissingError: If it is not there.
            BrokenFileError: If it can't be read.
        """
        coming = self._coming.pop((view, name), None)
        photo = self._read(view, name) if coming is None else coming.result()
        self.shapes[name] = photo.shape
        return photo.pixels

    def label(self, name: str) -> Label:
        """Return a label map (H, W); see `Dataset.label`.

        Raises:
            MissingError: If it is not there.
            BrokenFileError: If it can't be read, or the photo of that name was read and has another size.
        """
        label = self._labels.of(name)
        if name in self.shapes:
            check_size(self._dataset, name, self.shapes[name], label)
        return label

    def digests_of(self, names: Iterable[str]) -> tuple[str, ...] | None:
        """Return the digests of some photos that were read; None if they are in no files."""
        found = tuple(self.digests.get(name, "") for name in names)
        return found if all(found) else None

    def close(self) -> None:
        """Read nothing more."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _picture(self, name: str) -> Image:
        picture = self._dataset.image(name)
        path = self._dataset.photo_path(name)
        if path is not None:
            digest = photo_digest(path, self._dataset.remedy)
            if self.digests.setdefault(name, digest) != digest:
                raise BrokenFileError(
                    f"{path} was exchanged while the run was answered: its rows would be of two photos",
                    "put the photo back, then continue with --resume",
                )
        return picture

    def _read(self, view: View, name: str) -> Photo:
        photo = self._photos.of(name)
        pixels = input_image(photo, view.size, view.rule)
        # The network's inference mode is the main thread's alone: what is made here is an ordinary tensor.
        return Photo(pixels.pin_memory() if self._pinned else pixels, (photo.shape[0], photo.shape[1]))


def default_workers(device: torch.device, processes: int = 1) -> int:
    """Return how many threads read photos: one beside a busy processor, up to four beside a graphics card."""
    import os

    return max(1, min(4, (os.cpu_count() or 1) // max(processes, 1))) if device.type == "cuda" else 1
