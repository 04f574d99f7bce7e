"""Time the steps of a method against those of its fast form, in one run.

In the method every layer runs as its paper and release have it. In the fast form batch norm is folded, maps are kept
where a mask leaves something, and what depends on one image alone is computed once. Both are timed in turn, so that
what else the machine does meets both alike; the ratio is to be read, not the seconds.

    OMP_NUM_THREADS=2 python benchmarks/speed/kernels.py --method hsnet --method asnet --out kernels.csv
"""

from __future__ import annotations

import argparse
import csv
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import fssbench
from fssbench.fast.form import fast_form
from fssbench.methods.base.method import Method

SIDES = {"hsnet": 400, "asnet": 400, "asnet-hm": 400}
STEPS = ("encode", "condition", "as_query", "predict")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def ellipse(side: int, share: float) -> Tensor:
    """Return a mask uint8 (1, side, side) of which an ellipse in the middle has a share."""
    axis = (torch.arange(side) + 0.5) / side - 0.5
    radius = (share / torch.pi) ** 0.5
    inside: Tensor = (axis[:, None] / (radius * 1.2)) ** 2 + (axis[None] / (radius / 1.2)) ** 2 <= 1
    return inside.to(torch.uint8)[None]


def stored_bytes(value: object) -> int:
    """Return how many bytes the tensors in features or supports have."""
    if isinstance(value, Tensor):
        return value.nbytes
    parts = value if isinstance(value, tuple | list) else vars(value).values() if hasattr(value, "__dict__") else ()
    return sum(map(stored_bytes, parts))


def steps(
    method: Method[Any, Any], images: Tensor, mask: Tensor, clock: Callable[[], float]
) -> tuple[dict[str, float], dict[str, int]]:
    """Return the seconds of each step of one episode, and the bytes of what is kept of a query and a support."""
    seconds = {}
    kept: dict[str, Any] = {}

    def timed(step: str, call: Callable[[], Any]) -> None:
        start = clock()
        kept[step] = call()
        seconds[step] = clock() - start

    query = method.encode(images[:1])
    size = (mask.shape[-2], mask.shape[-1])
    timed("encode", lambda: method.encode(images[1:]))
    timed("condition", lambda: method.condition(kept["encode"], mask))
    timed("as_query", lambda: method.as_query(query))
    timed("predict", lambda: method.predict(kept["as_query"], [[kept["condition"]] * method.shot], size))
    sizes = {"condition": stored_bytes(kept["condition"]), "as_query": stored_bytes(kept["as_query"])}
    return seconds, sizes


def matmul_gflops(clock: Callable[[], float], side: int = 2048) -> float:
    """Return the rate at which square float32 matrices are multiplied, the best of several."""
    left, right, out = (torch.rand(side, side) for _ in range(3))
    best = float("inf")
    for _ in range(5):
        start = clock()
        torch.mm(left, right, out=out)
        best = min(best, clock() - start)
    return 2 * side**3 / best / 1e9


def main() -> None:
    """Time the methods that are asked for and write a row for each step."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--method", action="append", required=True, help="name; may be given several times")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--shot", type=int, default=1)
    parser.add_argument("--side", type=int, help="of the images; default 400 for HSNet and ASNet, 473 for others")
    parser.add_argument("--share", type=float, default=0.2, help="part of a support that its object covers")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu where others use the machine as well")
    parser.add_argument("--out", type=Path, help="CSV to write; default the terminal")
    args = parser.parse_args()

    clock = CLOCKS[args.clock]
    machine = {
        "machine": processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "clock": args.clock,
        "matmul_gflops": round(matmul_gflops(clock), 1),
    }
    rows = [row | machine for name in args.method for row in compare(name, args, clock)]
    with args.out.open("w", newline="") if args.out else open(sys.stdout.fileno(), "w", closefd=False) as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def compare(name: str, args: argparse.Namespace, clock: Callable[[], float]) -> list[dict[str, Any]]:
    """Return a row for each step of a method."""
    torch.manual_seed(0)
    method = fssbench.build(name, backbone=args.backbone, shot=args.shot)
    side = args.side or SIDES.get(name, 473)
    images, mask = torch.randn(2, 3, side, side), ellipse(side, args.share)
    forms = {"plain": method, "fast": fast_form(method)}
    taken: dict[str, list[dict[str, float]]] = {form: [] for form in forms}
    sizes: dict[str, dict[str, int]] = {}
    # What both do for the first time (choosing kernels) is not counted.
    for repeat in range(args.repeats + 1):
        for form, predicting in forms.items():
            with torch.inference_mode():
                seconds, sizes[form] = steps(predicting, images, mask, clock)
            if repeat:
                taken[form].append(seconds)
    rows = []
    for step in STEPS:
        medians = {form: statistics.median(seconds[step] for seconds in taken[form]) for form in forms}
        row: dict[str, Any] = {"method": name, "backbone": args.backbone, "shot": args.shot, "side": side, "step": step}
        row |= {f"{form}_seconds": round(medians[form], 4) for form in forms}
        row["ratio"] = round(medians["plain"] / medians["fast"], 2) if medians["fast"] > 1e-4 else ""
        row |= {f"{form}_megabytes": round(sizes[form].get(step, 0) / 1e6, 1) for form in forms}
        rows.append(row | {"repeats": args.repeats})
    return rows


def processor() -> str:
    """Return the name of the processor, as far as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
