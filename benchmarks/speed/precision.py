"""How many predicted labels a lower precision changes: the shares that tables print beside a run's precision.

    python benchmarks/speed/precision.py --method hsnet,asnet --limit 40 --out fssbench/tables/precisions.csv

Fold 0 of shapes-20i with the registered weights, `--limit` episodes, once in float32 and once in each other precision
that the device has, on the same episodes. A row is the share of pixels whose label differs, and the change of mIoU.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from measured import keep
from PIL import Image

from fssbench.engine.runner import run_plans
from fssbench.planning.plan import plan
from fssbench.planning.request import Request
from fssbench.planning.settings import Precision, Settings, choose_device
from fssbench.results.environment import environment


def labels(folder: Path) -> dict[str, np.ndarray]:
    """Return the label maps that were saved, by their file."""
    return {str(path.relative_to(folder)): np.asarray(Image.open(path)) for path in sorted(folder.rglob("*.png"))}


def evaluated(
    given: argparse.Namespace, name: str, precision: Precision, out: Path
) -> tuple[dict[str, np.ndarray], float, str]:
    """Return the label maps of a method, its mIoU, and its backbone."""
    request = Request(
        name, "shapes20i", fold="0", shots=given.shots, limit=given.limit, device=given.device, out=out / precision,
        settings=Settings(precision=precision),
    )  # fmt: skip
    planned = plan(request)
    (results,) = run_plans([planned], save=out / f"{precision}-labels")
    return labels(out / f"{precision}-labels"), results.summary(draws=0).miou, planned.backbone or ""


def main() -> None:
    """Measure, print, and add rows to the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", required=True)
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", choices=get_args(Precision), help="One alone; default all that the device has.")
    parser.add_argument("--out", type=Path, help="CSV to which rows are added.")
    given = parser.parse_args()
    device = choose_device(given.device)
    on_device: list[Precision] = ["tf32", "bfloat16", "float16"] if device.type == "cuda" else ["bfloat16"]
    others: list[Precision] = [given.precision] if given.precision else [*on_device, "float16-features"]
    for name in given.method.split(","):
        with tempfile.TemporaryDirectory() as folder:
            usual, miou, backbone = evaluated(given, name, "float32", Path(folder))
            for precision in others:
                found, now, _ = evaluated(given, name, precision, Path(folder))
                pixels = sum(one.size for one in usual.values())
                changed = sum(int((usual[file] != found[file]).sum()) for file in usual)
                row = {
                    "method": name,
                    "backbone": backbone,
                    "precision": precision,
                    "device": device.type,
                    "shots": given.shots,
                    "episodes": len(usual),
                    "pixels": pixels,
                    "changed_pixels": changed,
                    "miou_float32": f"{miou:.2f}",
                    "miou": f"{now:.2f}",
                    "machine": environment(device, None).device_name,
                    "torch": torch.__version__,
                }
                keep(row, given.out)


if __name__ == "__main__":
    main()
