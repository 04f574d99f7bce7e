"""Does it pay to compile heads by torch? Time and labels of the forms of a method, each on the same episodes in turn.

    OMP_NUM_THREADS=1 python benchmarks/speed/heads.py --method hsnet,pfenet --limit 24 --out benchmarks/speed/heads.csv

Fold 0 of shapes-20i with the small networks. Three forms condition every support and predict every episode one after
the other, so that what else the machine does meets all alike: the fast form, the plain form, and the plain form whose
steps of fixed shapes are compiled. The clock is the processor time of this process, of which the median is kept; what
happens in the first calls (compiling) is apart, by the wall clock, as the C++ compiler is a process of its own.

Fast forms are not compiled on a processor: how much they compute depends on the mask of each support, so nearly each
episode would be compiled anew. On a graphics card `--compile-heads` compiles their parts of fixed shapes; gpu.py and
gpu_engine.py time these.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from kernels import processor
from measured import keep
from torch import Tensor

from fssbench.engine.compiled_heads import compiled_head
from fssbench.engine.fold_methods import fold_methods
from fssbench.engine.loop import rows_of
from fssbench.engine.order import order_of_work
from fssbench.engine.runner import build_planned
from fssbench.errors import MissingError
from fssbench.fast.form import fast_form, shallow_copy
from fssbench.methods.base.method import Method, Prediction
from fssbench.planning.plan import Plan, plan
from fssbench.planning.request import Request
from fssbench.planning.settings import Settings

PLAIN = {
    "hsnet": ("condition", "score"),
    "asnet": ("condition", "score"),
    "pfenet": ("condition", "read_query", "score_ways"),
    "panet": ("condition", "prototypes"),
    "hdmnet": ("condition", "read_query", "score"),
}
"""Steps of plain forms whose tensors have the same shapes in every episode; sizes of photos are no part of them."""


class InTurn(Method[Any, Any]):
    """Forms of a method that take each step one after the other; the first one's predictions are counted.

    Attributes:
        seconds: Of each form and step the seconds of all calls, by the processor's clock and by the wall clock.
        changed: Of each form how many labels are unlike the first one's.
        pixels: How many there were.
    """

    def __init__(self, forms: dict[str, Method[Any, Any]]) -> None:
        super().__init__()
        first = next(iter(forms.values()))
        self.task, self.way, self.shot = first.task, first.way, first.shot
        self.forms = forms
        self.seconds: dict[tuple[str, str], list[tuple[float, float]]] = {}
        self.changed, self.pixels = dict.fromkeys(forms, 0), 0

    def encode(self, image: Tensor) -> Any:  # noqa: ANN401 - of all forms
        """Return the features of each form."""
        return tuple(form.encode(image) for form in self.forms.values())

    def prepare_query(self, features: Any) -> Any:  # noqa: ANN401 - as above
        """Return the queries of each form."""
        return self._each("prepare_query", [(one,) for one in features])

    def condition(self, features: Any, mask: Tensor) -> Any:  # noqa: ANN401 - as above
        """Return the supports of each form."""
        return self._each("condition", [(one, mask) for one in features])

    def predict(self, query: Any, supports: Sequence[Sequence[Any]], size: tuple[int, int]) -> Prediction:  # noqa: ANN401
        """Return the prediction of the first form, and count in what the others differ."""
        given = [
            (one, [[shot[place] for shot in shots] for shots in supports], size) for place, one in enumerate(query)
        ]
        predicted = self._each("predict", given)
        first = predicted[0]
        for name, one in zip(self.forms, predicted, strict=True):
            self.changed[name] += int((one.labels != first.labels).sum())
        self.pixels += first.labels.numel()
        return first

    def _each(self, step: str, given: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
        found = []
        for (name, form), arguments in zip(self.forms.items(), given, strict=True):
            began, wall = time.process_time(), time.perf_counter()
            found.append(getattr(form, step)(*arguments))
            taken = time.process_time() - began, time.perf_counter() - wall
            self.seconds.setdefault((name, step), []).append(taken)
        return tuple(found)

    def milliseconds(self, form: str) -> float:
        """Return what an episode with one support takes once everything is compiled: a median of each step."""
        halves = [calls[len(calls) // 2 :] for (name, _), calls in self.seconds.items() if name == form]
        return 1e3 * sum(statistics.median(cpu for cpu, _ in calls) for calls in halves)

    def first_calls(self, form: str) -> float:
        """Return the seconds of the first three calls of each step by the wall clock, beyond the median of all."""
        steps = [[wall for _, wall in calls] for (name, _), calls in self.seconds.items() if name == form]
        return sum(max(sum(calls[:3]) - 3 * statistics.median(calls), 0.0) for calls in steps)


def planned(name: str, limit: int, out: Path) -> Plan:
    """Return the plan of a method on shapes-20i; weights are random where none are shipped."""
    request = Request(
        name, "shapes20i", fold="0", backbone="small", shots=1, limit=limit, device="cpu", out=out,
    )  # fmt: skip
    try:
        return plan(request)
    except MissingError:
        return plan(Request(**{**vars(request), "random_weights": True}))


def compiled(plain: Method[Any, Any], backend: str) -> Method[Any, Any]:
    """Return a plain form whose steps of fixed shapes are compiled."""
    own = shallow_copy(plain)
    steps = PLAIN["" if own.built is None else own.built.name]
    vars(own)["fixed_shapes"] = steps
    return compiled_head(own, partial(torch.compile, dynamic=False, backend=backend))


def measured(one: Plan, backend: str) -> dict[str, object]:
    """Return the row of a method."""
    name, (episodes,) = one.info.name, one.lists
    plain = fold_methods(build_planned(one), one.sources).method_of(0).eval()
    forms = {"fast": fast_form(plain), "plain": plain, "compiled": compiled(plain, backend)}
    turns = InTurn(forms)
    numbers = order_of_work(episodes.episodes)[: one.request.limit]
    settings = Settings(workers=0, batch_size=1)
    list(rows_of(turns, one.dataset, episodes, one.protocol, numbers, torch.device("cpu"), settings=settings))
    spent = {form: turns.milliseconds(form) for form in forms}
    return {
        "method": name,
        "episodes": len(numbers),
        **{f"{form}_ms": f"{took:.2f}" for form, took in spent.items()},
        "rate_by_plain": f"{spent['plain'] / spent['compiled']:.2f}",
        "rate_by_fast": f"{spent['fast'] / spent['compiled']:.2f}",
        "first_calls_s": f"{turns.first_calls('compiled'):.0f}",
        "pixels": turns.pixels,
        "plain_unlike_fast": turns.changed["plain"],
        "compiled_unlike_fast": turns.changed["compiled"],
        "threads": torch.get_num_threads(),
        "machine": processor(),
        "torch": torch.__version__,
    }


def main() -> None:
    """Measure, print, and add rows to the CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default=",".join(PLAIN), help="Names, with commas.")
    parser.add_argument("--limit", type=int, default=24)
    parser.add_argument("--backend", default="inductor", help="Of torch.compile.")
    parser.add_argument("--out", type=Path, help="CSV to which rows are added.")
    given = parser.parse_args()
    for name in given.method.split(","):
        with tempfile.TemporaryDirectory() as folder:
            torch.compiler.reset()
            keep(measured(planned(name, given.limit, Path(folder) / "run"), given.backend), given.out)


if __name__ == "__main__":
    main()
