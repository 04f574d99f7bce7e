"""Time the steps of methods on a graphics card, plain and fast, in each precision; `make gpu` keeps them in gpu.csv.

Images are random, masks are ellipses, weights are random: what is timed is the network, not the reading of photos. As
many images are encoded, and as many episodes predicted, in a call as the engine takes on a card.

    python benchmarks/speed/gpu.py --out benchmarks/speed/gpu.csv
"""

from __future__ import annotations

import argparse
import copy
import csv
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import torch
from kernels import SIDES, ellipse
from measured import card_or_exit
from torch import Tensor

import fssbench
from fssbench.fast.form import FastForm, fast_form
from fssbench.methods.base.method import Method
from fssbench.planning.settings import Precision, Settings

METHODS = ("hsnet", "asnet", "pfenet", "bam")


def timed(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Return the median seconds of a call, the card waited for; the first call is not counted."""
    seconds = []
    for repeat in range(repeats + 1):
        torch.cuda.synchronize(device)
        start = time.perf_counter()
        call()
        torch.cuda.synchronize(device)
        if repeat:
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def steps(method: Method[Any, Any], images: Tensor, masks: Tensor, repeats: int) -> dict[str, float]:
    """Return milliseconds to encode an image, to make a support ready, and to predict an episode.

    Args:
        method: On a card.
        images: float32 (B, 3, H, W), each the query of an episode and a support of all.
        masks: uint8 (B, H, W).
        repeats: How often each step is timed.
    """
    device, count, size = images.device, len(images), (images.shape[-2], images.shape[-1])
    queries = [method.as_query(method.encode(image[None])) for image in images]
    raw = method.encode(images[:1])
    # Copies, because a method may store results in the features.
    first = method.condition(copy.copy(raw), masks[:1])
    supports = [[[first] * method.shot] for _ in queries]
    calls: dict[str, tuple[Callable[[], object], int]] = {
        "encode_ms": (lambda: method.encode(images), count),
        "condition_ms": (lambda: method.condition(copy.copy(raw), masks[:1]), 1),
        "predict_ms": (lambda: method.predict_many(queries, supports, [size] * count), count),
    }
    return {step: round(timed(call, device, repeats) / each * 1e3, 3) for step, (call, each) in calls.items()}


def rows(args: argparse.Namespace, card: torch.device) -> Iterator[dict[str, object]]:
    """Yield a row for each method, number of shots, form and precision."""
    machine = {"card": torch.cuda.get_device_name(card), "torch": torch.__version__, "cuda": torch.version.cuda}
    for name in args.method or METHODS:
        side = SIDES.get(name, 473)
        for shot in (1, 5):
            torch.manual_seed(0)
            plain = fssbench.build(name, backbone=args.backbone, shot=shot).to(card)
            fast = fast_form(plain)
            for form in (plain, fast) if isinstance(fast, FastForm) else (plain,):
                for precision in get_args(Precision):
                    settings = Settings(precision=precision)
                    count = settings.batch_on(card)
                    images = torch.randn(count, 3, side, side, device=card)
                    masks = ellipse(side, 0.2).expand(count, -1, -1).to(card)
                    torch.cuda.reset_peak_memory_stats(card)
                    with torch.inference_mode(), settings.autocast(card):
                        found = steps(form, images, masks, args.repeats)
                    peak = torch.cuda.max_memory_allocated(card) >> 20
                    row = {"method": name, "backbone": args.backbone, "shot": shot, "side": side}
                    row |= {"form": "fast" if form is fast and form is not plain else "plain", "precision": precision}
                    yield {**row, "batch": count, **found, "peak_mib": peak, "repeats": args.repeats, **machine}


def main() -> None:
    """Time what is asked for; without a card nothing is written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--method", action="append", help="name; may be given several times; default a few")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path, help="CSV to write; default the terminal")
    args = parser.parse_args()
    card = card_or_exit()
    found = list(rows(args, card))
    with args.out.open("w", newline="") if args.out else open(sys.stdout.fileno(), "w", closefd=False) as file:
        writer = csv.DictWriter(file, fieldnames=list(found[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)


if __name__ == "__main__":
    main()
