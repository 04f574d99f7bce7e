"""The machine and the package versions that a run was computed with."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.results.record import Environment, Start

if TYPE_CHECKING:
    import torch


PACKAGES = ("torch", "numpy", "pandas", "pillow", "opencv-python", "pycocotools")


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that results depend on, without importing them."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def environment(device: torch.device | None, root: Path | None) -> Environment:
    """Return the record of this machine.

    Args:
        device: The device of the method; None if no method runs, as for predictions that are read from files.
        root: Folder of the data.
    """
    name, threads = _processor(), 1
    if device is not None:
        import torch

        threads = torch.get_num_threads()
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else name
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        packages=package_versions(),
        device="cpu" if device is None else str(device),
        device_name=name,
        threads=threads,
        root=None if root is None else str(root.resolve()),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine() or "unknown"


def start(
    command: tuple[str, ...], device: torch.device | None, root: Path | None, computed: tuple[str, ...] = ()
) -> Start:
    """Return the record of a start: the time, the command and this machine.

    Args:
        command: The command line.
        device: As for `environment`.
        root: Folder of the data.
        computed: As in `Start`.
    """
    from fssbench.version import __version__

    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Start(now, command, __version__, environment(device, root), computed=computed)
