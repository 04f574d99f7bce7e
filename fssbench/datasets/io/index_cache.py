"""Caching and fingerprinting the index of a data set: the number of pixels of each class in each image.

There are two hashes with two purposes:

- The *key* of the cache is computed from the absolute paths, sizes, inodes, and times of modification and change of the
  files that an index is built from. It is fast to compute, depends on the machine, and only decides whether a cached
  index is still valid.
- The *fingerprint* (`fingerprint_of`) is computed from the index, the lists in order, and the rules that made them. It
  is the same on every machine with the same labels, and is part of the provenance of results. It does not detect
  changes of a mask that keep the number of pixels of every class.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fssbench.config import cache_folder, reachable
from fssbench.damaged_archives import DAMAGED
from fssbench.files import remove_leftovers, write_bytes

if TYPE_CHECKING:
    import pandas as pd

VERSION = 1
"""Part of every key; raised when the content of an index changes."""

MOST = 100
"""So many indices are kept, those that were used last: each has less than a megabyte or two."""

Row = tuple[str, int, int]
"""Image name, class, pixels; further whole numbers may follow."""


def frame_of(
    rows: Iterable[tuple[str | int, ...]], columns: Sequence[str] = ("name", "class_id", "pixels")
) -> pd.DataFrame:
    """Return rows as a frame: the first column str, the others int64."""
    import pandas as pd

    held = list(rows)
    data: dict[str, object] = {columns[0]: pd.Series([str(row[0]) for row in held], dtype="str")}
    for place, column in enumerate(columns[1:], 1):
        data[column] = np.array([row[place] for row in held], dtype=np.int64)
    return pd.DataFrame(data)


def key_of(files: Iterable[Path], *rules: str) -> str:
    """Return the key of an index that is built from these files by these rules.

    Raises:
        OSError: If a file is not there.
    """
    digest = hashlib.sha256(json.dumps([VERSION, *rules]).encode())
    for path in files:
        # Paths are absolute because a relative path means another file in another folder. Archives, copies and editors
        # may keep the time of modification, but no program can set the time of change (ctime).
        stat = path.stat()
        facts = (path.absolute(), stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns)
        digest.update(("\0".join(map(str, facts)) + "\n").encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def cached_index(name: str, key: str, build: Callable[[], pd.DataFrame], root: Path | None = None) -> pd.DataFrame:
    """Return the cached index if it has the key; otherwise build it and cache it.

    An index that is written takes the place of the earlier one of the same name, folder and machine; and of all indices
    the `MOST` last used are kept. If the cached file is damaged, the index is built again. If there is no cache folder,
    or it can't be written, the index is not cached.

    Args:
        name: File name without suffix, e.g. "pascal5i-val".
        key: The key, from `key_of`.
        build: Builds the index: a column `name` and columns of integers.
        root: The folder of the files; None if there are none, where indices of the same name do not replace each other.
    """
    # Machines that share a home folder may have other files in a folder of the same name.
    where = b"" if root is None else f"{platform.node()}\0".encode() + os.fsencode(root.absolute())
    place = "drawn" if root is None else hashlib.sha256(where).hexdigest()[:8]
    path = reachable(lambda: cache_folder() / "index" / f"{name}-{place}-{key[:16]}.npz")
    if path is None:
        return build()
    cached = _read(path, key)
    if cached is not None:
        with suppress(OSError):
            os.utime(path)  # the last use
        return cached
    frame = build()
    if _write(path, key, frame):
        _remove_earlier(path, "" if root is None else f"{name}-{place}-*.npz")
    return frame


def fingerprint_of(facts: Mapping[str, str], index: pd.DataFrame, lists: Iterable[tuple[str, int]]) -> str:
    """Return the hex sha256 of everything that decides labels and lists; it does not depend on the machine.

    Args:
        facts: Data set, split, label rule, list order: everything that is not a row.
        index: `name`, `class_id`, `pixels`; it is sorted before hashing.
        lists: The (name, class) pairs in the lists, in list order.
    """
    digest = hashlib.sha256(json.dumps(dict(sorted(facts.items()))).encode("ascii"))
    rows = sorted(zip(index["name"], index["class_id"].tolist(), index["pixels"].tolist(), strict=True))
    text = "".join(f"\n{name} {class_id} {pixels}" for name, class_id, pixels in rows)
    text += "".join(f"\n{name} {class_id}" for name, class_id in lists)
    digest.update(text.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _read(path: Path, key: str) -> pd.DataFrame | None:
    import pandas as pd

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if str(arrays["key"]) != key:
                return None
            names = arrays["names"].tobytes().decode("utf-8", "surrogateescape").split("\0")
            columns = {
                column.removeprefix("column_"): arrays[column]
                for column in arrays.files
                if column.startswith("column_")
            }
            codes = arrays["codes"]
        if any(values.shape != codes.shape or values.dtype != np.int64 for values in columns.values()):
            return None
        frame = pd.DataFrame({"name": pd.Series(np.array(names, dtype=object)[codes], dtype="str")})
        return frame.assign(**columns)
    except (*DAMAGED, OSError, KeyError, TypeError):
        # Whatever is wrong with the cache, the index can be built again.
        return None


def _write(path: Path, key: str, frame: pd.DataFrame) -> bool:
    """Write an index, and return whether that was possible."""
    names, codes = np.unique(frame["name"].to_numpy(dtype=object), return_inverse=True)
    arrays = {f"column_{column}": frame[column].to_numpy() for column in frame.columns if column != "name"}
    arrays["names"] = np.frombuffer("\0".join(names).encode("utf-8", "surrogateescape"), dtype=np.uint8)
    arrays["codes"] = codes.astype(np.int64)
    arrays["key"] = np.array(key)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent, "*")  # the folder is this cache's alone
        write_bytes(path, buffer.getvalue())
    except OSError as error:
        # Without a cache, only time is lost.
        logging.getLogger(__name__).info("the index is not cached: %s", error)
        return False
    return True


def _remove_earlier(path: Path, same: str) -> None:
    """Remove indices that a new one replaces, and those that were not used for the longest time.

    Another process that reads one of them has it open, and goes on; one that comes later builds its own.

    Args:
        path: The new index.
        same: Pattern of the names of those that it replaces; empty for none.
    """
    with suppress(OSError):
        found = sorted(((_used(one), one) for one in path.parent.glob("*.npz") if one != path), reverse=True)
        replaced = {one for _, one in found if same and one.match(same)}
        kept = [one for _, one in found if one not in replaced]
        for old in (*replaced, *kept[MOST - 1 :]):
            old.unlink(missing_ok=True)


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process has just removed it
        return 0.0
