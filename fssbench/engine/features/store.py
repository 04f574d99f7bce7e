"""Encoded images on disk, kept between runs that have the same frozen backbone.

A file holds what `encode` makes of one image, bit for bit. Its name is a hash of all that decides these bits: weights
and code of the encoder, the pixels as the network takes them, the precision and the kind of processor. So an entry is
never out of date, and whoever shares the folder finds the same. Several processes may use one folder: files are written
whole under a lock, and each has a hash that is checked when it is read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fssbench.errors import UsageError
from fssbench.fast.pytree import Ragged, children, unflatten
from fssbench.files import locked, remove_leftovers, write_bytes

DEFAULT_BYTES = 50 << 30
_MAGIC = b"fssbench features 1\n"
_NAME = re.compile(r"[0-9a-f]{64}\.features")
_HEAD = len(_MAGIC) + 64 + 1
"""Bytes of the two lines before the content: what the file is, and the hash."""
_LOG = logging.getLogger(__name__)
_Scalar = int | float | str | None


@dataclass
class StoreCounts:
    """How a store was used.

    Attributes:
        read: Images whose features were read.
        written: Images whose features were written.
        evicted: Files that were removed, as those used longest ago, to make room.
        damaged: Files that were removed because their content is not what was written.
    """

    read: int = 0
    written: int = 0
    evicted: int = 0
    damaged: int = 0


class FeatureStore:
    """A folder of encoded images.

    Args:
        folder: The folder; it is made if it is not there. Other files in it are not touched.
        budget: Bytes that its files may have in all. Those used longest ago make room for new ones.

    Raises:
        UsageError: If the folder can't be made, or is no folder.
    """

    def __init__(self, folder: Path, budget: int = DEFAULT_BYTES) -> None:
        self.folder, self.budget = folder, budget
        self.counts = StoreCounts()
        self._writable = True
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"can't make the feature store {folder}: {error.strerror}", "--feature-store DIR"
            ) from error
        remove_leftovers(folder, "*.features")

    def get(self, key: str, like: Skeleton) -> Any:  # noqa: ANN401 - features have any type
        """Return the features of a key as a tree like another one; None if there are none.

        A file that is damaged is removed, with a warning.
        """
        path = self._path(key)
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                head, body = file.read(_HEAD), file.read() if size <= self.budget else b""
        except OSError:
            return None
        try:
            features = like.filled(*_parsed(head, body, key))
        except ValueError as error:
            self.counts.damaged += 1
            _LOG.warning("%s is damaged (%s): it is removed, and its image is encoded again", path, error)
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):  # somebody else's store may be read all the same
            os.utime(path)
        self.counts.read += 1
        return features

    def put(self, key: str, features: object, *, rounded: bool = False) -> None:
        """Write features, unless they are there already, can't be written, or are larger than the whole store.

        A disk that is full or can't be written is a warning: the evaluation goes on without it.

        Args:
            key: Their key.
            features: A tree of tensors and numbers; any other is not written.
            rounded: Whether their float32 numbers are rounded to float16, so that half the room is enough for them.
        """
        found = taken_apart(features)
        if found is None or not self._writable:
            return
        content = _content(key, *found[1:], rounded=rounded)
        if len(content) > self.budget:
            return
        path = self._path(key)
        try:
            with locked(self.folder / "features"):
                if path.exists():
                    return
                self._make_room(len(content))
                write_bytes(path, content)
        except OSError as error:
            self._writable = False
            _LOG.warning(
                "can't write to the feature store %s: %s; nothing more is kept there", self.folder, error.strerror
            )
            return
        self.counts.written += 1

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.features"

    def _make_room(self, size: int) -> None:
        files = sorted(stored(self.folder), key=lambda file: file.used)
        total = sum(file.bytes for file in files) + size
        for file in files:
            if total <= self.budget:
                return
            file.path.unlink(missing_ok=True)
            self.counts.evicted += 1
            total -= file.bytes


@dataclass(frozen=True)
class StoredFile:
    """A file of a store: where it is, its size, and when it was used last."""

    path: Path
    bytes: int
    used: float


def stored(folder: Path) -> Iterator[StoredFile]:
    """Yield the files of a store; other files in its folder are not among them."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    yield StoredFile(Path(entry.path), found.st_size, found.st_mtime)


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A tree of features without its tensors and numbers."""

    tree: Any

    def filled(self, tensors: list[Tensor], scalars: list[_Scalar]) -> Any:  # noqa: ANN401 - features have any type
        """Return the tree with other tensors and numbers, in its order.

        Raises:
            ValueError: If there are more or fewer of them than places.
        """
        left, values = iter(tensors), iter(scalars)
        try:
            tree = _filled(self.tree, lambda: next(left), lambda: next(values))
        except StopIteration:
            raise ValueError("it has too few parts") from None
        if next(left, None) is not None or next(values, self) is not self:
            raise ValueError("it has too many parts")
        return tree


class _Place:
    """Stands for a tensor or a number in a skeleton."""


_TENSOR, _VALUE = _Place(), _Place()


def taken_apart(tree: object) -> tuple[Skeleton, list[Tensor], list[_Scalar]] | None:
    """Return a tree's skeleton, its tensors and its numbers; None if there is anything else in it."""
    tensors: list[Tensor] = []
    scalars: list[_Scalar] = []

    def bare(part: Any) -> Any:  # noqa: ANN401 - features have any type
        if isinstance(part, Tensor):
            tensors.append(part)
            return _TENSOR
        if isinstance(part, int | float | str | None):
            scalars.append(part)
            return _VALUE
        parts = children(part)
        if isinstance(part, Ragged) or (not parts and not isinstance(part, dict | list | tuple)):
            raise TypeError
        return unflatten(part, [bare(one) for one in parts])

    try:
        return Skeleton(bare(tree)), tensors, scalars
    except TypeError:
        return None


def _filled(tree: Any, tensor: Callable[[], Tensor], scalar: Callable[[], _Scalar]) -> Any:  # noqa: ANN401
    if tree is _TENSOR:
        return tensor()
    if tree is _VALUE:
        return scalar()
    return unflatten(tree, [_filled(part, tensor, scalar) for part in children(tree)])


def _content(key: str, tensors: list[Tensor], scalars: list[_Scalar], *, rounded: bool) -> bytes:
    """Return the content of a file: a line that says what it is, a hash of all that follows, and that."""
    from safetensors.torch import save

    layouts = [_layout(tensor) for tensor in tensors]
    halved = [rounded and tensor.dtype == torch.float32 for tensor in tensors]
    flat = {}
    for place, (tensor, layout, half) in enumerate(zip(tensors, layouts, halved, strict=True)):
        ordered = (tensor.permute(0, 2, 3, 1) if layout == "last" else tensor).contiguous().cpu()
        flat[str(place)] = ordered.half() if half else ordered
    body = save(flat, {"features": json.dumps({"scalars": scalars, "layouts": layouts, "halved": halved})})
    return _MAGIC + _digest(key, body) + b"\n" + body


def _layout(tensor: Tensor) -> str:
    """Return in which order the axes of a tensor are in memory, which decides the order of later sums."""
    last = tensor.ndim == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)
    return "last" if last else "first"


def _digest(key: str, body: bytes) -> bytes:
    digest = hashlib.sha256(key.encode() + b"\n")
    digest.update(body)
    return digest.hexdigest().encode()


def _parsed(head: bytes, body: bytes, key: str) -> tuple[list[Tensor], list[_Scalar]]:
    """Return the tensors and numbers of a file.

    Raises:
        ValueError: If it is not what was written for this key.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    if not head.startswith(_MAGIC) or len(head) < _HEAD:
        raise ValueError("it does not begin as features do")
    if _digest(key, body) + b"\n" != head[len(_MAGIC) :]:
        raise ValueError("its hash is another one")
    try:
        flat = load(body)
        header = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])
        told = json.loads(header["__metadata__"]["features"])
        tensors = [flat[str(place)].float() if half else flat[str(place)] for place, half in enumerate(told["halved"])]
        permuted = [
            tensor.permute(0, 3, 1, 2) if layout == "last" else tensor
            for tensor, layout in zip(tensors, told["layouts"], strict=True)
        ]
        return permuted, told["scalars"]
    except (SafetensorError, LookupError, TypeError) as error:
        raise ValueError(f"it can't be read: {error}") from error
