"""Time the steps of fast forms in units of a matrix product of the same run, against benchmarks/speed/ratios.csv.

    OMP_NUM_THREADS=1 python benchmarks/speed/ratios.py [--method hsnet,asnet] [--shots 1] [--repeats 5] [--accept]

For eyes, not for CI: `make check-speed RATIOS=1`. The product is timed before and after each step, so that what else
the machine does slows both; the clock is the processor time of this process. Of several repeats the middle and the
lowest are kept. "slower" is said only where the lowest of now is above the middle of then by more than a quarter; where
only the middle is, that is "unclear, repeat it". A ratio belongs to a kind of processor: those of another are shown
without a verdict.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from counting import Case, cases, each_step
from kernels import ellipse, processor

import fssbench
from fssbench.fast.form import fast_form
from fssbench.methods.base.method import Method

BASELINE = Path(__file__).with_suffix(".csv")
METHODS = "hsnet,asnet,pfenet"
SLOWER = 1.25
_SIDE = 1024


@dataclass(frozen=True)
class Timed:
    """How long a step takes, as a multiple of a product of two square matrices of side 1024.

    Attributes:
        method: Its name.
        backbone: That of the method.
        side: Of the images, in pixels.
        shots: K.
        step: Of the method.
        ratio: The middle one of all repeats.
        lowest: The lowest of them.
        repeats: How many there were.
        machine: The processor.
        threads: How many torch used.
        torch: Its version.
    """

    method: str
    backbone: str
    side: int
    shots: int
    step: str
    ratio: float
    lowest: float
    repeats: int
    machine: str
    threads: int
    torch: str

    @property
    def key(self) -> tuple[object, ...]:
        """What has to be equal in two that are compared."""
        return self.method, self.backbone, self.side, self.shots, self.step, self.machine, self.threads


def timed(case: Case, repeats: int) -> Iterator[Timed]:
    """Yield the ratio of each step of a case."""
    torch.manual_seed(0)
    method = fast_form(fssbench.build(case.method, case.backbone, shot=case.shots))
    images, mask = torch.randn(2, 3, case.side, case.side), ellipse(case.side, 0.2)
    taken: dict[str, list[float]] = {}
    with torch.inference_mode():
        # What is done for the first time (choosing kernels) is not counted.
        for repeat in range(repeats + 1):
            for step, ratio in _episode(method, images, mask).items():
                if repeat:
                    taken.setdefault(step, []).append(ratio)
    for step, ratios in taken.items():
        middle, lowest = round(statistics.median(ratios), 3), round(min(ratios), 3)
        yield Timed(
            case.method, case.backbone, case.side, case.shots, step, middle, lowest, repeats, processor(),
            torch.get_num_threads(), torch.__version__,
        )  # fmt: skip


def _episode(method: Method[Any, Any], images: torch.Tensor, mask: torch.Tensor) -> dict[str, float]:
    left, right = (torch.rand(_SIDE, _SIDE) for _ in range(2))
    ratios: dict[str, float] = {}

    def seconds(call: Callable[[], object]) -> float:
        start = time.process_time()
        call()
        return time.process_time() - start

    def timed_step(step: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - each step returns something else
        kept = []
        before = seconds(lambda: left @ right)
        here = seconds(lambda: kept.append(call()))
        ratios[step] = here / ((before + seconds(lambda: left @ right)) / 2)
        return kept[0]

    each_step(method, method.encode(images[:1]), images[1:], mask, timed_step)
    return ratios


def verdict(now: Timed, then: Timed | None) -> str:
    """Return what can be said of a ratio beside the one that was kept."""
    if then is None:
        return "nothing to compare with on this processor"
    if now.ratio <= SLOWER * then.ratio:
        return f"{then.ratio:.2f} before"
    return f"{then.ratio:.2f} before: " + ("slower" if now.lowest > SLOWER * then.ratio else "unclear, repeat it")


def read() -> list[Timed]:
    """Return the ratios that were kept."""
    if not BASELINE.exists():
        return []
    kinds: dict[str, Callable[[str], object]] = {"int": int, "float": float, "str": str}
    with BASELINE.open(newline="", encoding="utf-8") as file:
        return [
            Timed(*(kinds[str(field.type)](row[field.name]) for field in fields(Timed))) for row in csv.DictReader(file)
        ]


def main() -> int:
    """Time, print, and keep what is accepted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default=METHODS, help="Names, with commas; default a few.")
    parser.add_argument("--shots", type=int, choices=(1, 5), default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--accept", action="store_true", help="Keep the ratios of now.")
    given = parser.parse_args()
    known = {one.key: one for one in read()}
    found: dict[tuple[object, ...], Timed] = {}
    slower = 0
    full = {case.method: case for case in cases(given.method.split(",")) if case.shots == given.shots}
    for case in full.values():
        for one in timed(case, given.repeats):
            found[one.key] = one
            judged = verdict(one, known.get(one.key))
            slower += judged.endswith("slower")
            print(f"{case}, {one.step}: {one.ratio:.2f} products (at least {one.lowest:.2f}); {judged}", flush=True)
    if given.accept:
        with BASELINE.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(field.name for field in fields(Timed))
            writer.writerows(map(astuple, (known | found).values()))
    return 1 if slower and not given.accept else 0


if __name__ == "__main__":
    sys.exit(main())
