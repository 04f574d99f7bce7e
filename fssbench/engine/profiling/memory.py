"""How much memory there is, how much was used at most, and how freed memory is reused."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

MOST = 3 << 30
"""Default upper limit of the feature cache, in bytes; `fssbench.engine.features.room` makes it smaller."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Parameters of glibc's `mallopt` (malloc.h): two thresholds in bytes, and the number of arenas for threads."""
_KEPT = {_TRIM_THRESHOLD: (1 << 31) - 1, _MMAP_THRESHOLD: 1 << 30, _ARENA_MAX: 1}
_USUAL = {_TRIM_THRESHOLD: 64 << 20, _MMAP_THRESHOLD: 32 << 20}
"""What glibc itself sets once blocks of 32 MiB were freed. The number of arenas stays as it is."""
WHOLE = 15 << 28
"""Bytes that a command takes on a processor, as far as they can be saved: a sixteenth less than 4 GiB, as predictions
of some episodes need more than those before them. See `fssbench.engine.features.room`."""
_GROWN = 256 << 20
"""By how much a process grows again before freed memory is returned once more: pages that are used again are zeroed
first."""
_GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def default_budget(device: torch.device, processes: int = 1) -> int:
    """Return how many bytes of features to cache: a third of the free memory of the device, at most 3 GiB.

    Args:
        device: Where the features are.
        processes: How many processes share that memory.
    """
    if device.type == "cuda":
        import torch

        free = torch.cuda.mem_get_info(device)[0]
    else:
        free = available() // max(processes, 1)
    return min(MOST, free // 3)


def available() -> int:
    """Return how many bytes this process can still use, as far as the system reports it; otherwise 2 GiB."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found += [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError):
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
    for path in _GROUP_LIMITS:
        try:
            found.append(int(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):  # No such group, or "max".
            continue
    return min(found, default=2 << 30)


def peak_memory(device: torch.device | None = None) -> int:
    """Return the largest memory of this process so far, in bytes; for a graphics card, what torch has used there."""
    if device is not None and device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def resident() -> int:
    """Return the memory of this process now, in bytes; Linux alone."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def freed_memory_kept(device: torch.device) -> Iterator[Callable[[], None]]:
    """Reuse freed memory instead of returning it to the system; only for a CPU under glibc.

    Tensors of some megabytes are made and freed all the time. By default each gets memory from the system and returns
    it, so every page is mapped and zeroed anew: 29,000 pages for one prediction of ASNet, a fifth of its time. The
    arenas of single threads consist of pieces of 64 MiB that are returned as soon as they are empty, so threads that
    start now share one arena. At the end all free memory is returned to the system.

    Not where the system limits the address space (`ulimit -v`): there, what is kept counts as used, and is lacking to
    oneDNN, which asks the system itself.

    Yields:
        What is called between steps: it returns free memory to the system if the process has more than `WHOLE`. DCAMA's
        supports lie between what was freed since, so that 48 of them took 0.7 GiB more than they are.
    """
    library = _glibc() if device.type == "cpu" else None
    if library is None or _limited():
        yield lambda: None
        return
    trim, limit = library.malloc_trim, WHOLE

    def settle() -> None:
        nonlocal limit
        if resident() > limit:
            trim(0)
            limit = max(WHOLE, resident() + _GROWN)

    for parameter, value in _KEPT.items():
        library.mallopt(parameter, value)
    try:
        yield settle
    finally:
        return_freed_memory()


def _limited() -> bool:
    """Return whether the system limits the address space of this process (`ulimit -v`); Linux alone."""
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def return_freed_memory() -> None:
    """Return freed memory to the system, now and from here on; only under glibc.

    Where memory has run out, freed memory that is kept is of no use to what asks the system itself: oneDNN for the code
    that it compiles.
    """
    library = _glibc()
    if library is not None:
        for parameter, value in _USUAL.items():
            library.mallopt(parameter, value)
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
