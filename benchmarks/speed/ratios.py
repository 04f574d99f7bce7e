"""Time the steps of fast forms in units of a matrix product of the same run, against benchmarks/speed/ratios.csv.

    OMP_NUM_THREADS=1 python benchmarks/speed/ratios.py [--method hsnet,asnet] [--shots 1] [--repeats 9] [--accept]

For eyes, not for CI: `make check-speed RATIOS=1`. The product is timed right before and right after each step, so that
what else the machine does slows both; the clock is the processor time of this process, in which waiting for a core does
not count. Of several repeats the median ratio and the lower quartile are kept. Two runs while other work took most of
the machine had medians that differed by 4 % at most, except for steps shorter than the product: these are taken several
times in a row, differed by up to a third, and are shown, but neither kept nor judged. "slower" is written only where
the lower quartile of now is above the median of then by more than a seventh; where only the median is, that is
"unclear, repeat it". A ratio belongs to a kind of processor: those of another are shown without a verdict.
"""

from __future__ import annotations

import argparse
import copy
import csv
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from counting import Case, cases
from kernels import ellipse, processor

import fssbench
from fssbench.engine.profiling.memory import freed_memory_kept
from fssbench.fast.form import fast_form
from fssbench.methods.base.method import Method

BASELINE = Path(__file__).with_suffix(".csv")
METHODS = "hsnet,asnet,pfenet"
SLOWER = 8 / 7
SHORT = 1.0
"""A step of fewer products is not judged."""
_SIDE = 1024
_MOST = 32
"""How often a step is taken in a row at most."""


@dataclass(frozen=True)
class Timed:
    """How long a step takes, as a multiple of a product of two square matrices of side 1024.

    Attributes:
        method: Its name.
        backbone: That of the method.
        side: Of the images, in pixels.
        shots: K.
        step: Of the method.
        ratio: The median of all repeats.
        quartile: The lower quartile of them.
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
    quartile: float
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
    with torch.inference_mode(), freed_memory_kept(torch.device("cpu")):
        first = method.encode(images[:1])
        in_a_row: dict[str, int] = {}
        # What is done for the first time (choosing kernels, new memory) is not counted, nor is what finds out how
        # often a step is taken in a row.
        for repeat in range(repeats + 2):
            for step, ratio in _episode(method, first, images[1:], mask, in_a_row).items():
                if repeat < 2:
                    in_a_row[step] = max(1, min(_MOST, round(1 / ratio)))
                else:
                    taken.setdefault(step, []).append(ratio)
    for step, ratios in taken.items():
        middle, quartile = round(statistics.median(ratios), 3), round(statistics.quantiles(ratios, n=4)[0], 3)
        yield Timed(
            case.method, case.backbone, case.side, case.shots, step, middle, quartile, repeats, processor(),
            torch.get_num_threads(), torch.__version__,
        )  # fmt: skip


def _episode(
    method: Method[Any, Any], first: object, image: torch.Tensor, mask: torch.Tensor, in_a_row: dict[str, int]
) -> dict[str, float]:
    """Return the ratio of each step that an episode takes, each taken as often as `in_a_row` has it, or once."""
    left, right, out = (torch.rand(_SIDE, _SIDE) for _ in range(3))
    ratios: dict[str, float] = {}

    def product() -> None:
        torch.mm(left, right, out=out)

    def timed_step(step: str, call: Callable[[Any], Any], given: object) -> Any:  # noqa: ANN401 - as each step
        # Copies, because a method may keep results in the features, and would have them the next time.
        copies = [copy.deepcopy(given) for _ in range(in_a_row.get(step, 1))]
        before = seconds(product)
        here = seconds(lambda: [call(one) for one in copies][-1:]) / len(copies)
        ratios[step] = here / ((before + seconds(product)) / 2)
        return call(copy.deepcopy(given))

    features = timed_step("encode", method.encode, image)
    support = timed_step("condition", lambda one: method.condition(one, mask), features)
    query = timed_step("prepare_query", method.prepare_query, first)
    supports, size = [[[support] * method.shot] * method.way], (image.shape[-2], image.shape[-1])
    timed_step("predict", lambda one: method.predict_many([one], supports, [size]), query)
    return ratios


def seconds(call: Callable[[], object]) -> float:
    """Return the processor time of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def verdict(now: Timed, then: Timed | None) -> str:
    """Return what can be said of a ratio beside the one that was kept."""
    if now.ratio < SHORT:
        return "too short to be judged"
    if then is None:
        return "nothing to compare with on this processor"
    if now.ratio <= SLOWER * then.ratio:
        return f"{then.ratio:.2f} before"
    return f"{then.ratio:.2f} before: " + ("slower" if now.quartile > SLOWER * then.ratio else "unclear, repeat it")


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
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--accept", action="store_true", help="Keep the ratios of now.")
    given = parser.parse_args()
    known = {one.key: one for one in read()}
    found: dict[tuple[object, ...], Timed] = {}
    slower = 0
    full = {case.method: case for case in cases(given.method.split(",")) if case.shots == given.shots}
    for case in full.values():
        for one in timed(case, given.repeats):
            if one.ratio >= SHORT:
                found[one.key] = one
            judged = verdict(one, known.get(one.key))
            slower += judged.endswith("slower")
            print(
                f"{case}, {one.step}: {one.ratio:.2f} products (lower quartile {one.quartile:.2f}); {judged}",
                flush=True,
            )
    if given.accept:
        with BASELINE.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(field.name for field in fields(Timed))
            writer.writerows(map(astuple, (known | found).values()))
    return 1 if slower and not given.accept else 0


if __name__ == "__main__":
    sys.exit(main())
