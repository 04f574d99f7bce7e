"""Reads photos and label maps in threads, and resizes them for the network."""

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
from fssbench.protocols.rules import QueryRim, ResizeRule
from fssbench.protocols.transforms import input_image
from fssbench.results.photos import mask_digest, photo_digest

IMAGE_CACHE_BYTES = 128 << 20
"""Budget of the cache of images, and that of label maps. Both are small compared to features."""


@dataclass(frozen=True)
class InputTransform:
    """How an image gets a network's input size.

    Attributes:
        size: (height, width).
        rule: A rule of `fssbench.protocols.transforms`.
        query_rim: Whether a query comes with its pixels labelled 255 (`Protocol.query_rim`).
    """

    size: tuple[int, int]
    rule: ResizeRule
    query_rim: QueryRim = "hidden"


@dataclass(frozen=True)
class LoadedImage:
    """An image as a network takes it, float32 (3, h, w), and the original (height, width)."""

    pixels: Tensor
    shape: tuple[int, int]


class Loader:
    """Reads photos in threads before they are needed, and caches the images and label maps used last.

    Args:
        dataset: The data set.
        workers: Number of threads. With 0, each photo is read when it is used.
        ahead: At most so many photos are read ahead.
        pinned: Whether images are put into pinned memory, from which a graphics card copies them while it computes.
        label: Reads a label map by the name of its image; default the method of the data set.
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
        self._pending: dict[tuple[InputTransform, str], Future[LoadedImage]] = {}
        self._images = LRUCache(self._read_image, IMAGE_CACHE_BYTES)
        self._read_raw = label or dataset.label
        self._labels = LRUCache(self._read_label, IMAGE_CACHE_BYTES)
        self.shapes: dict[str, tuple[int, int]] = {}
        """(height, width) of each photo that was read."""
        self.digests: dict[str, str] = {}
        """Digest of the file of each photo that was read (`fssbench.results.photos`)."""
        self.mask_digests: dict[str, str] = {}
        """Digest of each label map that was read, unless it is rendered."""

    def prefetch(self, photos: Iterable[tuple[InputTransform, str]]) -> None:
        """Start reading photos that will be needed; those that are needed first come first."""
        if self._pool is None:
            return
        for transform, name in photos:
            if len(self._pending) >= self._ahead:
                return
            if (transform, name) not in self._pending:
                self._pending[transform, name] = self._pool.submit(self._read, transform, name)

    def image(self, transform: InputTransform, name: str) -> Tensor:
        """Return an image as float32 (3, h, w).

        Raises:
            MissingError: If the photo is missing.
            BrokenFileError: If the photo can't be read.
        """
        pending = self._pending.pop((transform, name), None)
        loaded = self._read(transform, name) if pending is None else pending.result()
        self.shapes[name] = loaded.shape
        return loaded.pixels

    def label(self, name: str) -> Label:
        """Return a label map (H, W); see `Dataset.label`.

        Raises:
            MissingError: If the label map is missing.
            BrokenFileError: If it can't be read, or differs in size from the photo of that name, if that was read.
        """
        label = self._labels.get(name)
        if name in self.shapes:
            check_size(self._dataset, name, self.shapes[name], label)
        return label

    def class_name(self, class_id: int) -> str:
        """Return the name of a class."""
        return self._dataset.class_names[class_id]

    def digests_of(self, names: Iterable[str]) -> tuple[str, ...] | None:
        """Return the digests of photos, of one that a method does not look at, too; None if the data set has no files.

        Raises:
            MissingError: If such a photo is missing.
            BrokenFileError: If it can't be read.
        """
        found = tuple(self.digests.get(name) or self._digest(name) for name in names)
        return found if all(found) else None

    def mask_digests_of(self, names: Iterable[str]) -> tuple[str, ...] | None:
        """Return the digests of label maps, empty for one that was not read; None if the data set is rendered."""
        return None if self._dataset.rendered else tuple(self.mask_digests.get(name, "") for name in names)

    def close(self) -> None:
        """Stop reading."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_image(self, name: str) -> Image:
        image = self._dataset.image(name)
        self._digest(name)
        return image

    def _digest(self, name: str) -> str:
        """Return the digest of a photo's file, and note it; empty if the data set has no files."""
        path = self._dataset.photo_path(name)
        if path is None:
            return ""
        digest = photo_digest(path, self._dataset.remedy)
        if self.digests.setdefault(name, digest) != digest:
            raise BrokenFileError(
                f"{path} was replaced during the evaluation: the rows would come from two different photos",
                "restore the photo, then continue with --resume",
            )
        return digest

    def _read_label(self, name: str) -> Label:
        label = self._read_raw(name)
        if not self._dataset.rendered:
            digest = mask_digest(label)
            if self.mask_digests.setdefault(name, digest) != digest:
                raise BrokenFileError(
                    f"the mask of {name} was replaced during the evaluation: the rows would come from two different "
                    "masks",
                    "restore the mask, then continue with --resume",
                )
        return label

    def _read(self, transform: InputTransform, name: str) -> LoadedImage:
        image = self._images.get(name)
        pixels = input_image(image, transform.size, transform.rule)
        # Inference mode is on in the main thread alone, so this is an ordinary tensor.
        return LoadedImage(pixels.pin_memory() if self._pinned else pixels, (image.shape[0], image.shape[1]))


def default_workers(device: torch.device, processes: int = 1) -> int:
    """Return how many threads read photos: one for a CPU, which is busy anyway, up to four for a graphics card."""
    import os

    return max(1, min(4, (os.cpu_count() or 1) // max(processes, 1))) if device.type == "cuda" else 1
