"""Change files at random for as long as is wanted, and keep those that end in anything but one of fssbench's errors.

`make fuzz MINUTES=60` runs it. What it finds goes to tests/fuzz/findings, where the tests read it again.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from types import FrameType

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.changes import CHANGES, Change, changed
from tests.fuzz.readers import READERS
from tests.fuzz.test_fuzz import FINDINGS, attempt, seeds

ROUND = 200
"""Files of one reader before it is the turn of the next."""
SECONDS = 10
"""A reader that takes longer hangs."""
MEMORY = 8 << 30
"""Bytes of address space that a reader may fill, with all libraries."""


class HangError(Exception):
    """A reader took too long."""


def _hang(signal_number: int, frame: FrameType | None) -> None:
    raise HangError


def fuzz(name: str, folder: Path, seen: set[tuple[str, str]], counts: Counter[str]) -> None:
    """Try one reader with a number of files; each kind of failure is kept once."""

    @settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(seeds(name)), CHANGES)
    def check(seed: bytes, changes: list[Change]) -> None:
        content = changed(seed, changes)
        counts["files"] += 1
        signal.alarm(SECONDS)
        try:
            counts["refused"] += attempt(name, content, folder) is not None
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            kind = (name, f"{type(error).__name__} {Path(last.filename).name}:{last.lineno}")
            if kind not in seen:
                seen.add(kind)
                path = FINDINGS / name / hashlib.sha256(content).hexdigest()[:12]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                sys.stdout.write(f"{name}: {type(error).__name__}: {str(error)[:150]!r}, in {path}\n")
                traceback.print_exc(limit=-4)
        finally:
            signal.alarm(0)

    check()


def main() -> int:
    """Fuzz all readers in turn until the time is over; return 1 if something was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long")
    parser.add_argument("--only", choices=READERS, nargs="*", default=list(READERS), help="these readers alone")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _hang)
    counts: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    end = time.monotonic() + 60 * args.minutes
    with tempfile.TemporaryDirectory() as folder:
        for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            os.environ[variable] = str(Path(folder) / variable)
        while time.monotonic() < end:
            for name in args.only:
                if time.monotonic() < end:
                    fuzz(name, Path(folder) / name, seen, counts)
    tried, refused = counts["files"], counts["refused"]
    sys.stdout.write(f"{tried} files for {len(args.only)} readers: {refused} refused, {len(seen)} failures\n")
    return bool(seen)


if __name__ == "__main__":
    sys.exit(main())
