"""The largest memory that tensors have in each step of a method, and what is kept of a query and a support.

    python benchmarks/speed/live.py [--method hsnet,asnet] [--shots 1 5]

Counted from the tensors that are there at a time, so it depends on no machine. Products and convolutions are not
computed (see counting.py). Not in it: torch and the program, what kernels take inside, and memory that fell idle
between two tensors; memory.py has all of that, and takes far longer. The object has a fifth of the image.
"""

from __future__ import annotations

import argparse
import csv
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from counting import Counter, _side, _tensors, conditioned, ellipse
from torch._ops import OpOverload

import fssbench
from fssbench.fast.form import fast_form
from fssbench.fast.pytree import bytes_of
from fssbench.methods.catalogue import method_info

STEPS = ("encode", "condition", "prepare_query", "predict")
COLUMNS = (
    "method",
    "backbone",
    "side",
    "shots",
    "weights_mib",
    "query_mib",
    "support_mib",
    *(f"{s}_mib" for s in STEPS),
)


class Live(Counter):
    """Counts the bytes of the tensors that were made inside its context and are still there."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.largest = 0
        self._known: dict[int, int] = {}

    def run(self, func: OpOverload, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:  # noqa: ANN401 - as torch
        """Run an operation and count what it makes."""
        out = super().run(func, args, keywords)
        for tensor in _tensors(out):
            storage = tensor.untyped_storage()
            if storage._cdata not in self._known and tensor.device.type == "cpu":
                self._known[storage._cdata] = storage.nbytes()
                weakref.finalize(storage, self._gone, storage._cdata)
                self.now += storage.nbytes()
        self.largest = max(self.largest, self.now)
        return out

    def _gone(self, key: int) -> None:
        self.now -= self._known.pop(key)


def measured(name: str, backbone: str, shots: int) -> dict[str, object]:
    """Return a row of the CSV."""
    side = _side(method_info(name))
    largest = {}

    def run(step: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - each step returns something else
        with live:
            live.largest = before = live.now
            result = call()
        largest[f"{step}_mib"] = live.largest - before
        return result

    with Counter():
        plain = fssbench.build(name, backbone, shot=shots, **method_info(name).random_with)
    live = Live()
    with torch.inference_mode():
        method = fast_form(plain)
        image, mask, size = torch.zeros(1, 3, side, side), ellipse(side, 0.2), (375, 500)
        features = run("encode", partial(method.encode, image))
        support = run("condition", partial(conditioned, method, features, mask))
        with live:
            features = method.encode(image)  # in which no step has left anything
        query = run("prepare_query", partial(method.prepare_query, features))
        del features
        run("predict", partial(method.predict_many, [query], [[[support] * shots]], [size]))
    weights = {tensor.data_ptr(): tensor.nbytes for tensor in method.state_dict().values()}
    kept = {"query_mib": bytes_of(query), "support_mib": bytes_of(support), "weights_mib": sum(weights.values())}
    of = {"method": name, "backbone": backbone, "side": side, "shots": shots}
    return {**of, **{key: round(size / 2**20, 1) for key, size in (kept | largest).items()}}


def main() -> None:
    """Count, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", help="Names, with commas; default all that have the backbone.")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"), help="CSV; rows are added.")
    given = parser.parse_args()
    every = [name for name in fssbench.list_methods() if given.backbone in method_info(name).backbones_for(None)]
    for name in given.method.split(",") if given.method else every:
        for shots in given.shots:
            row = measured(name, given.backbone, shots)
            print(row, flush=True)
            new = not given.out.exists()
            with given.out.open("a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                if new:
                    writer.writeheader()
                writer.writerow(row)


if __name__ == "__main__":
    main()
