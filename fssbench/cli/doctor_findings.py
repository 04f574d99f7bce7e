"""What `fssbench doctor` finds: each part on its own, so that what is broken in one is told and hides no other."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

Findings = dict[str, Any]
"""Of each part what was found, as JSON takes it; `problems` has what went wrong, with what mends it."""

_LIBRARIES = ("torch", "numpy", "pandas", "opencv-python", "pillow", "pycocotools", "pydantic", "typer", "safetensors")
_TABLES = ("pascal5i", "coco20i")
"""The data sets of the papers' main tables."""


def examine() -> Findings:
    """Return what is here and what is missing. Nothing is raised: an error becomes an entry of `problems`."""
    problems: list[dict[str, str | None]] = []
    parts: dict[str, Callable[[], Any]] = {
        "versions": _versions,
        "system": _system,
        "devices": _devices,
        "config": _config,
        "data": _data,
        "caches": _caches,
        "checkpoints": _checkpoints,
        "extras": _extras,
        "tables": _tables,
    }
    found: Findings = {name: _tried(name, find, problems) for name, find in parts.items()}
    return found | {"problems": problems}


def _tried(part: str, find: Callable[[], Any], problems: list[dict[str, str | None]]) -> Any:  # noqa: ANN401 - any JSON
    """Return what a part finds; None if it fails, whatever the reason: a doctor does not fall ill himself."""
    try:
        return find()
    except Exception as error:
        message = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
        entry = {"part": part, "problem": message, "remedy": getattr(error, "remedy", None)}
        if message not in {one["problem"] for one in problems}:
            problems.append(entry)
        return None


def _versions() -> dict[str, str | None]:
    from fssbench.version import __version__

    found: dict[str, str | None] = {"fssbench": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        found[name] = None
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    if found["opencv-python"] is None:
        with suppress(metadata.PackageNotFoundError):
            found["opencv-python"] = metadata.version("opencv-python-headless")
    return found


def _system() -> dict[str, Any]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "platform": platform.platform(),
        "fssbench": str(Path(__file__).parents[1]),
        "python": sys.executable,
        "cores": os.cpu_count(),
        "usable_cores": usable,
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
    }


def _devices() -> dict[str, Any]:
    import torch

    cards = []
    for number in range(torch.cuda.device_count()) if torch.cuda.is_available() else ():
        card = torch.cuda.get_device_properties(number)
        cards.append({"device": f"cuda:{number}", "name": card.name, "bytes": card.total_memory})
    return {"torch_threads": torch.get_num_threads(), "cuda_of_torch": torch.version.cuda, "cards": cards}


def _config() -> dict[str, Any]:
    from fssbench.config import config_file
    from fssbench.datasets.roots import DATA_VARIABLE, configured_roots

    file = config_file()
    found = {"file": str(file), "there": file.is_file(), "FSSBENCH_DATA": os.environ.get(DATA_VARIABLE)}
    return found | {"data": {name: str(path) for name, path in configured_roots().items()}}


def _data() -> list[dict[str, Any]]:
    from fssbench.datasets.fetching.listing import listed

    return [
        {
            "dataset": one.name,
            "title": one.title,
            "folder": None if one.folder is None else str(one.folder),
            "needs_files": one.kind != "rendered",
            "holdings": [{"files": hold.pattern, "here": hold.here, "whole": hold.whole} for hold in one.holdings],
        }
        for one in listed()
    ]


def _caches() -> list[dict[str, Any]]:
    from fssbench.config import FEATURE_STORE_VARIABLE, cache_folder, user_data_folder
    from fssbench.hub.snapshots import cache_folder as hub_folder

    own = cache_folder()
    places = {"index": own / "index", "checkpoints": own / "checkpoints", "arriving": own / "arriving"}
    places |= {"imported lists": user_data_folder() / "splits", "Hugging Face hub": Path(hub_folder())}
    if store := os.environ.get(FEATURE_STORE_VARIABLE):
        places["feature store"] = Path(store)
    return [{"cache": name, "folder": str(folder), **_size(folder)} for name, folder in places.items()]


def _size(folder: Path) -> dict[str, Any]:
    """Return bytes and number of the files in a folder; with `error` if some of it can't be read."""
    errors: list[OSError] = []
    total = files = 0
    for place, _, names in os.walk(folder, onerror=errors.append):
        for name in names:
            with suppress(OSError):
                total += (Path(place) / name).lstat().st_size
                files += 1
    unread = [error for error in errors if not isinstance(error, FileNotFoundError)]
    return {"bytes": total, "files": files, "error": f"{unread[0].filename}: {unread[0].strerror}" if unread else None}


def _checkpoints() -> dict[str, Any]:
    from fssbench.checkpoints.fetching import present
    from fssbench.checkpoints.registry import records, user_registry

    known = records()
    here = [record for record in known if present(record)]
    sets: dict[str, int] = {}
    for record in here:
        name = " ".join(filter(None, (record.method or "backbone", record.variant, record.backbone, record.dataset)))
        sets[name] = sets.get(name, 0) + 1
    return {"registry": str(user_registry()), "registered": len(known), "here": len(here), "sets": sets}


def _extras() -> list[dict[str, Any]]:
    """Return the extras of the package, each with those of its packages that are not installed."""
    needed: dict[str, list[str]] = {}
    for line in metadata.requires("fssbench") or []:
        if found := re.match(r"([\w.-]+).*;.*extra\s*==\s*['\"]([\w-]+)['\"]", line):
            needed.setdefault(found[2], []).append(found[1])
    return [
        {"extra": extra, "missing": [name for name in names if not _installed(name)]}
        for extra, names in needed.items()
        if extra != "dev"
    ]


def _installed(package: str) -> bool:
    with suppress(metadata.PackageNotFoundError):
        metadata.version(package)
        return True
    return False


def _tables() -> list[dict[str, Any]]:
    """Return for each result of the papers' main tables what is missing to measure it."""
    from fssbench.publications.weights import row_weights

    data = {name: _missing_data(name) for name in _TABLES}
    rows = []
    for row in row_weights(datasets=_TABLES):
        if row.task not in ("fss", "fscs"):
            continue
        measurable = row.released in ("registered", "public networks")
        missing = list(data[row.dataset]) if measurable else []
        if measurable and row.here < row.folds:
            missing.append({"what": f"checkpoints ({row.here} of {row.folds} here)", "command": row.command})
        rows.append(
            {
                "dataset": row.dataset,
                "task": row.task,
                "method": row.method,
                "variant": row.variant,
                "backbone": row.backbone,
                "shot": row.shot,
                "measurable": measurable,
                "why_not": "" if measurable else row.note or row.released,
                "missing": missing,
            }
        )
    return rows


def _missing_data(dataset: str) -> list[dict[str, str]]:
    from fssbench.datasets.fetching.listing import listed

    [one] = [found for found in listed() if found.name == dataset]
    get = f"fssbench data fetch {dataset} --root DIR"
    if one.folder is None:
        return [{"what": "data", "command": get}]
    missing = []
    if files := [hold for hold in one.holdings if hold.what != "lists" and hold.here < hold.whole]:
        counts = ", ".join(f"{hold.here} of {hold.whole} {hold.pattern}" for hold in files)
        missing.append({"what": f"a part of the data ({counts})", "command": get})
    for hold in one.holdings:
        if hold.what == "lists" and hold.here < hold.whole:
            what = f"the release's lists ({hold.here} of {hold.whole} here)"
            missing.append({"what": what, "command": f"fssbench data import-splits {dataset} --from DIR"})
    return missing
