"""The long form: hundreds of kills of all commands, with the count printed.

    python -m tests.reliability.soak [--minutes 10] [--seed 0]

`make soak` runs it. Moments are random, by the clock and by the number of what was done; the same seed has
the same ones, but for the clock.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.downloads.host import serving as hosting
from tests.reliability.killing import Killing
from tests.reliability.processes import Server, serving
from tests.reliability.works import CONTENT, works


def _prepared(server: Server, address: str, place: Path) -> list[Killing]:
    """Return all commands, each done once undisturbed by a process that had to import nothing."""
    found = []
    for number, work in enumerate(works(address)):
        first = Killing(server, work, place / f"first{number}")
        server.warm(work.order(first.fresh_folder()))
        found.append(Killing(server, work, place / f"work{number}"))
        print(f"{work.name}: {found[-1].undisturbed.events} events", flush=True)
    return found


def main() -> int:
    """Kill until the time is over; return 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ["NO_PROXY"] = "127.0.0.1"
    generator, faults = random.Random(given.seed), 0
    with tempfile.TemporaryDirectory(prefix="fssbench-soak-") as name, serving() as server, hosting() as host:
        host.files["/a.zip"] = CONTENT
        killed = _prepared(server, f"{host.address}/a.zip", Path(name))
        end = time.monotonic() + 60 * given.minutes
        while time.monotonic() < end:
            for one in killed:
                try:
                    one.at_random(generator)
                except AssertionError as error:
                    faults += 1
                    print(f"FAULT {one.work.name}: {error}", flush=True)
        for one in killed:
            print(f"{one.work.name}: {one.kills} kills, continued {one.ended} times")
    total, ended = sum(one.kills for one in killed), sum(one.ended for one in killed)
    print(f"{total} kills, {ended} times continued to the end, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
