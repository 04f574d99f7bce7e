"""Which version of somebody else's package a method or a data set comes from, as pip has noted it."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import Distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fssbench.registry import Registry
from fssbench.results.method_record import PackageRecord

_COMMIT = re.compile(r"[0-9A-Za-z]{1,64}")
_MAX_BYTES = 1 << 20
"""A larger direct_url.json is not read."""


def package_record(registry: Registry[Any], name: str) -> PackageRecord | None:
    """Return the record of the package that a registered name comes from; None for fssbench's own and other names."""
    point = registry.entry_point(name)
    if point is None or point.dist is None:
        return None
    commit, editable = _installed_from(point.dist)
    file = _file_of(point.module)
    return PackageRecord(
        name=point.dist.name,
        version=point.dist.version or "",
        commit=commit,
        editable=editable,
        file=None if file is None else _below_package(file, point.module),
        sha256=None if file is None else _sha256_when_used(file),
    )


def _installed_from(distribution: Distribution) -> tuple[str | None, bool]:
    """Return the commit in direct_url.json (PEP 610), if there is one, and whether it is an editable install."""
    text = distribution.read_text("direct_url.json") or ""
    try:
        stated = json.loads(text) if len(text) <= _MAX_BYTES else None
    except ValueError:
        stated = None
    commit = _part(stated, "vcs_info").get("commit_id")
    editable = _part(stated, "dir_info").get("editable") is True
    return commit if isinstance(commit, str) and _COMMIT.fullmatch(commit) else None, editable


def _part(stated: object, name: str) -> Mapping[str, object]:
    found = stated.get(name) if isinstance(stated, dict) else None
    return found if isinstance(found, dict) else {}


def _file_of(module: str) -> Path | None:
    """Return the file of a module, which is imported already if its method or data set is used."""
    loaded = sys.modules.get(module)
    try:
        spec = loaded.__spec__ if loaded is not None else find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin and spec.has_location else None


def _below_package(file: Path, module: str) -> str:
    depth = module.count(".") + (file.name == "__init__.py")
    return "/".join(file.parts[-depth - 1 :])


@cache
def _sha256_when_used(file: Path) -> str | None:
    """Return the hash of a file at its first use; later changes of the file are not run."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None
