"""Whether the number of threads, or of images in a call, changes what a backbone makes of an image: on a processor.

    python benchmarks/speed/encodings.py --method hsnet --backbone small --side 192 --out benchmarks/speed/encodings.csv

The same images, with random weights, in calls of one image by one thread, and in others. A row counts the numbers that
are not the same bit for bit, and the largest difference as a share of the largest number of its map. It is a count, so
other work on the machine changes nothing. A feature store counts on both: its names have neither.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from measured import keep

import fssbench
from fssbench.engine.features.store import taken_apart
from fssbench.fast.form import fast_form
from fssbench.fast.pytree import split_batch
from fssbench.results.environment import environment


def main() -> None:
    """Measure, print, and add rows to the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="hsnet")
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--side", type=int, required=True, help="Of the images, in pixels.")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--out", type=Path, help="CSV to which rows are added.")
    given = parser.parse_args()
    torch.manual_seed(0)
    method = fast_form(fssbench.build(given.method, given.backbone).eval())
    images = torch.randn(given.images, 3, given.side, given.side)

    def encoded(threads: int, batch: int) -> list[torch.Tensor]:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            calls = [split_batch(method.encode(some), len(some)) for some in images.split(batch)]
        found = [taken_apart(one) for call in calls for one in call]
        return [tensor for one in found if one is not None for tensor in one[1]]

    usual = encoded(1, 1)
    for threads in given.threads:
        for batch in given.batches:
            pairs = list(zip(usual, encoded(threads, batch), strict=True))
            row = {
                "method": given.method,
                "backbone": given.backbone,
                "side": given.side,
                "threads": threads,
                "batch": batch,
                "images": given.images,
                "numbers": sum(one.numel() for one, _ in pairs),
                "changed": sum(int((one != other).sum()) for one, other in pairs),
                "largest": f"{max(float((one - other).abs().max() / one.abs().max()) for one, other in pairs):.1e}",
                "machine": environment(torch.device("cpu"), None).device_name,
                "torch": torch.__version__,
            }
            keep(row, given.out)


if __name__ == "__main__":
    main()
