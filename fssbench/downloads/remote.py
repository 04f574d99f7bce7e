"""A file on a host, and whether a file here is that one."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fssbench.errors import UsageError

MIRROR_VARIABLE = "FSSBENCH_MIRROR"
"""Environment variable: the address of a copy of the hosts, as `wget -x` makes one (ADDRESS/HOST/PATH)."""


BUCKETS = "s3.amazonaws.com/"
"""A host with certificates for buckets that are named as hosts which have none, such as images.cocodataset.org."""


@dataclass(frozen=True)
class Remote:
    """A file on a host.

    Attributes:
        url: The address.
        name: What it is called in messages and in the folder of downloads.
        size: Bytes; None if nobody states them.
        sha256: Hex; empty if nobody states it.
        md5: Hex; empty if nobody states it.
        most: A host that sends more bytes is refused; default the size, if it is known.
    """

    url: str
    name: str
    size: int | None = None
    sha256: str = ""
    md5: str = ""
    most: int | None = None

    @property
    def limit(self) -> float:
        """The most bytes that are taken from the host."""
        return next((number for number in (self.size, self.most) if number is not None), math.inf)

    @property
    def hashed(self) -> bool:
        """Whether a hash is known."""
        return bool(self.sha256 or self.md5)

    @property
    def host(self) -> str:
        """The name of the host."""
        return host_of(self.url)


def host_of(url: str) -> str:
    """Return the name of the host of an address; of a bucket that is named as a host, that name."""
    found = urlsplit(url)
    return found.path.split("/")[1] if f"{found.netloc}/" == BUCKETS and "/" in found.path else found.netloc


def mirrored(url: str, mirror: str | None = None) -> str:
    """Return where a file is on the mirror: ADDRESS/HOST/PATH; the address itself if there is no mirror.

    A bucket that is named as a host is on the mirror under that name: ADDRESS/images.cocodataset.org/PATH.

    Args:
        url: The address on the official host.
        mirror: The address of the mirror; default that of the environment variable.

    Raises:
        UsageError: If the mirror is no address.
    """
    base = mirror or os.environ.get(MIRROR_VARIABLE, "")
    if base and not base.startswith(("http://", "https://")):
        raise UsageError(
            f"a mirror is an address, not '{base}'", "--mirror http://HOST, or the same as FSSBENCH_MIRROR"
        )
    return f"{base.rstrip('/')}/{url.partition('://')[2].removeprefix(BUCKETS)}" if base else url


def difference(path: Path, remote: Remote) -> str:
    """Return how a file differs from the recorded one, e.g. "its md5 begins ..."; empty if it does not.

    What nobody states can't differ.

    Raises:
        OSError: If it can't be read.
    """
    size = path.stat().st_size
    if remote.size is not None and size != remote.size:
        return f"it has {size} bytes, not {remote.size}"
    for kind, expected in (("sha256", remote.sha256), ("md5", remote.md5)):
        if expected:
            found = digest(path, kind)
            return "" if found == expected else f"its {kind} begins {found[:12]}, not {expected[:12]}"
    return ""


def digest(path: Path, kind: str = "sha256") -> str:
    """Return the hex hash of a file.

    Raises:
        OSError: If it can't be read.
    """
    with path.open("rb") as file:
        # Of old files the hosts and libraries state an md5 only; it tells damage, not malice.
        return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
