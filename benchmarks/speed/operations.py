"""Compare what methods do in each step with benchmarks/speed/operations.csv: exact counts, see counting.py.

    python benchmarks/speed/operations.py [--method hsnet,asnet] [--accept]

Exit code 1 if anything grew or fell, or a method is not listed. --accept writes the counts of now: with a change that
is meant to do more, or that does less, so that it stays so. `make check-speed` runs this, `make check-speed ACCEPT=1`
with --accept.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from counting import COUNTED, Case, Counts, cases, count

BASELINE = Path(__file__).with_suffix(".csv")
KEYS = ("method", "backbone", "side", "shots", "step")
ACCEPT = "make check-speed ACCEPT=1"

Key = tuple[str, ...]
Known = dict[Key, Counts]
"""Counts by the values of `KEYS`."""


def read(path: Path = BASELINE) -> tuple[Known, str]:
    """Return the counts of a file, and the version of torch of which calls and bytes are."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    known = {tuple(row[key] for key in KEYS): Counts(**{name: int(row[name]) for name in COUNTED}) for row in rows}
    return known, rows[0]["torch"] if rows else torch_version()


def write(known: Known, path: Path = BASELINE) -> None:
    """Write counts, those of a method together."""
    order = {tuple(map(str, (case.method, case.backbone, case.side, case.shots))): n for n, case in enumerate(cases())}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*KEYS, *COUNTED, "torch"])
        # The steps of a case stay in the order in which they run.
        for key in sorted(known, key=lambda key: order.get(key[:-1], len(order))):
            if key[:-1] in order:
                writer.writerow([*key, *asdict(known[key]).values(), torch_version()])


def torch_version() -> str:
    """Return the version of torch as far as it decides which operations run, e.g. "2.13"."""
    return ".".join(torch.__version__.split(".")[:2])


def keyed(case: Case, counts: Mapping[str, Counts]) -> Known:
    """Return the counts of a case's steps by their keys."""
    return {(case.method, case.backbone, str(case.side), str(case.shots), step): one for step, one in counts.items()}


def changes(case: Case, known: Known, torch_of_known: str, counts: Mapping[str, Counts]) -> list[str]:
    """Return a line for each step of a case that does more or less than is known; none if all is equal.

    Args:
        case: The case.
        known: From `read`. A step that is not in it is a change.
        torch_of_known: Under another version of torch only floating-point operations are compared.
        counts: What `count` found.
    """
    names = COUNTED if torch_of_known == torch_version() else ("operations",)
    lines = []
    for key, found in keyed(case, counts).items():
        if key not in known:
            lines.append(f"{case}, {key[-1]}: not in {BASELINE.name}")
            continue
        before, now = asdict(known[key]), asdict(found)
        changed = [_change(name, before[name], now[name]) for name in names if before[name] != now[name]]
        if changed:
            lines.append(f"{case}, {key[-1]}: {', '.join(changed)}")
    return lines


def grew(lines: Iterable[str]) -> bool:
    """Return whether a line of `changes` says that something is more than it was."""
    return any("(+" in line for line in lines)


def _change(name: str, before: int, now: int) -> str:
    share = f"{100 * (now - before) / before:+.2g} %" if before else f"+{now:,}"
    return f"{name.replace('_', ' ')} {before:,} to {now:,} ({share})"


def main() -> int:
    """Count, compare and print what changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", help="Names, with commas; default all.")
    parser.add_argument("--accept", action="store_true", help="Write what was counted.")
    given = parser.parse_args()
    known, version = read() if BASELINE.exists() else ({}, torch_version())
    if version != torch_version():
        print(f"{BASELINE.name} is of torch {version}: of torch {torch_version()} only operations are compared")
    lines: list[str] = []
    found: Known = {}
    chosen = cases(given.method.split(",") if given.method else None)
    for case in chosen:
        counts = count(case)
        found |= keyed(case, counts)
        for line in changes(case, known, version, counts):
            lines.append(line)
            print(line, flush=True)
    steps = f"{len(found)} steps of {len({case.method for case in chosen})} methods"
    if not lines:
        print(f"{steps} do exactly what {BASELINE.name} has")
        return 0
    if given.accept:
        # Of a whole list only what is still there is kept; of a torch of now all has to be counted anew.
        if given.method and version != torch_version():
            print(f"error: {BASELINE.name} is of torch {version}\n  try: {ACCEPT}, for all methods", file=sys.stderr)
            return 2
        write((known if given.method else {}) | found)
        print(f"{BASELINE}: {len(lines)} of {steps} are new or changed")
        return 0
    what = "do more" if grew(lines) else "have changed, none to more"
    meant = "if that is meant" if grew(lines) else "so that they stay so"
    print(f"error: {len(lines)} of {steps} {what}\n  try: {ACCEPT}, {meant}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
