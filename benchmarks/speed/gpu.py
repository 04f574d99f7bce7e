"""Time the steps of methods on a graphics card by form and precision; `make gpu` keeps them in gpu.csv.

Forms are the plain one, the fast one, and the fast one whose head is compiled (`--compile-heads`). Images are random,
masks are ellipses, weights are random: what is timed is the network, not the reading of photos. As many images are
encoded, and as many episodes predicted, in a call as the engine takes on a card. `first_predict_s` has the calls before
the timed ones, in which heads are compiled.

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
from itertools import product
from pathlib import Path
from typing import Any, get_args

import torch
from kernels import SIDES, ellipse
from measured import card_or_exit
from torch import Tensor

import fssbench
from fssbench.engine.compiled_heads import compiled_head
from fssbench.fast.form import FastForm, fast_form
from fssbench.methods.base.method import Method
from fssbench.planning.settings import Precision, Settings

METHODS = ("hsnet", "asnet", "pfenet", "bam")
PRECISIONS = tuple(one for one in get_args(Precision) if one != "float16-features")
"""Without that in which the engine rounds what it keeps: steps are those of float32."""
WARMING = 4
"""So many calls are not timed: shapes are compiled at the second, and a CUDA graph is recorded at the next ones."""


def timed(call: Callable[[], object], device: torch.device, repeats: int) -> tuple[float, float]:
    """Return the median seconds of a call, the card waited for, and those of all `WARMING` calls before."""
    seconds = []
    for _ in range(WARMING + repeats):
        torch.cuda.synchronize(device)
        start = time.perf_counter()
        call()
        torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[WARMING:]), sum(seconds[:WARMING])


def steps(method: Method[Any, Any], images: Tensor, masks: Tensor, repeats: int) -> dict[str, float]:
    """Return milliseconds to encode an image, to make a support ready, and to predict an episode; seconds before it.

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
    found = {step: (*timed(call, device, repeats), each) for step, (call, each) in calls.items()}
    milliseconds = {step: round(median / each * 1e3, 3) for step, (median, _, each) in found.items()}
    return {**milliseconds, "first_predict_s": round(found["predict_ms"][1], 1)}


def rows(args: argparse.Namespace, card: torch.device) -> Iterator[dict[str, object]]:
    """Yield a row for each method, number of shots, form and precision."""
    machine = {"card": torch.cuda.get_device_name(card), "torch": torch.__version__, "cuda": torch.version.cuda}
    for name in args.method or METHODS:
        side = SIDES.get(name, 473)
        for shot in (1, 5):
            torch.manual_seed(0)
            plain = fssbench.build(name, backbone=args.backbone, shot=shot).to(card)
            fast = fast_form(plain)
            forms = {"plain": plain}
            if isinstance(fast, FastForm):
                forms["fast"] = fast
            if fast.fixed_shapes:
                forms["compiled"] = fast
            for (title, form), precision in product(forms.items(), PRECISIONS):
                settings = Settings(precision=precision)
                count = settings.batch_on(card)
                images = torch.randn(count, 3, side, side, device=card)
                masks = ellipse(side, 0.2).expand(count, -1, -1).to(card)
                torch.cuda.reset_peak_memory_stats(card)
                used = compiled_head(form) if title == "compiled" else form  # anew, as graphs take memory
                with torch.inference_mode(), settings.autocast(card):
                    found = steps(used, images, masks, args.repeats)
                peak = torch.cuda.max_memory_allocated(card) >> 20
                row = {"method": name, "backbone": args.backbone, "shot": shot, "side": side}
                row |= {"form": title, "precision": precision}
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
