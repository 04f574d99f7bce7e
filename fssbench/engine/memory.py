"""How much memory there is, and how much was used at most."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

MOST = 4 << 30
"""What the store of features takes at most unless told otherwise, in bytes."""
_GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def default_budget(device: torch.device, processes: int = 1) -> int:
    """Return how many bytes of features to keep: a third of the free memory of the device, 4 GiB at most.

    Args:
        device: Where they are kept.
        processes: How many share that memory.
    """
    if device.type == "cuda":
        import torch

        free = torch.cuda.mem_get_info(device)[0]
    else:
        free = available() // max(processes, 1)
    return min(MOST, free // 3)


def available() -> int:
    """Return how many bytes this process may still take, as far as the system says; 2 GiB where it does not."""
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
    """Return the most bytes that this process has had in memory; on a graphics card, that torch has had there."""
    if device is not None and device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
