"""No method does more in a step than benchmarks/speed/operations.csv has; `make check-speed` compares all sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from fssbench.fast.hsnet import FastHSNet
from tests.engine.profiling.speed import counting, operations, ratios

KNOWN, TORCH = operations.read()
# A method that is not in the file yet is for `make check-speed`.
BRIEF = [case for case in counting.cases({key[0]: None for key in KNOWN}) if case.brief]
OFTEN = {"hsnet", "pfenet", "canet"}
"""One of each design; what is slow runs in `make test-all`."""


def case_of(name: str) -> Any:
    return next(case for case in counting.cases([name]) if case.brief)


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.method, marks=() if case.method in OFTEN else pytest.mark.slow) for case in BRIEF],
)
def test_every_step_does_exactly_what_is_known(case: Any) -> None:
    found = operations.changes(case, KNOWN, TORCH, counting.count(case))
    assert not found, "\n".join([*found, f"if that is meant: {operations.ACCEPT}"])


def test_a_copy_and_a_product_more_are_found_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of("hsnet")
    score = FastHSNet.score

    def longer(self: FastHSNet, query: object, support: object) -> Tensor:
        logits = score(self, query, support)
        return logits.clone() + 0 * (logits.flatten(1) @ logits.flatten(1).T)

    monkeypatch.setattr(FastHSNet, "score", longer)
    (line,) = operations.changes(case, KNOWN, TORCH, counting.count(case))
    before = KNOWN["hsnet", "resnet50", "144", "1", "predict"].calls
    assert line.startswith(f"hsnet (resnet50, 144 x 144, 1-shot), predict: calls {before:,} to {before + 4:,} (+")
    assert "operations" in line
    assert "bytes copied" in line
    assert operations.grew([line])


def test_what_is_not_computed_is_counted_as_if_it_were() -> None:
    """On the small backbone with few operations, with everything computed and with products left out."""
    case = replace(case_of("pfenet"), backbone="small")
    assert counting.count(case) == counting.count(case, computing=True)


def test_calls_and_bytes_are_those_of_operations_not_of_views() -> None:
    ones, bias, square = torch.ones(2, 3, 4), torch.zeros(4), torch.ones(4, 4)
    with torch.inference_mode(), counting.Counter() as counter:
        ones.permute(0, 2, 1).flatten(1)  # one copy of 24 numbers
        ones.view(6, 4).add_(1)  # written in place
        torch.empty(100)
        torch.addmm(bias, ones[0], square)  # reads more than it writes
    assert counter.counts == counting.Counts(3, 2 * 3 * 4 * 4, 4 * (24 + 24 + 12), 4 * 24)


def test_less_is_a_change_too_and_another_torch_has_other_calls() -> None:
    case = case_of("hsnet")
    key = next(key for key in KNOWN if key[0] == "hsnet" and key[-1] == "predict")
    case = next(case for case in counting.cases(["hsnet"]) if str(case.side) == key[2])
    less = replace(KNOWN[key], calls=KNOWN[key].calls - 1)
    (line,) = operations.changes(case, KNOWN, TORCH, {"predict": less})
    assert f"calls {KNOWN[key].calls:,} to {less.calls:,} (-" in line
    assert not operations.grew([line])
    assert not operations.changes(case, KNOWN, "1.0", {"predict": less})
    assert operations.changes(case, {}, TORCH, {"predict": less}) == [f"{case}, predict: not in operations.csv"]


def test_a_step_is_called_slower_only_if_its_lower_quartile_is_too() -> None:
    then = ratios.Timed("hsnet", "resnet50", 400, 1, "predict", 10.0, 9.0, 9, "a processor", 1, "2.13")
    assert ratios.verdict(replace(then, ratio=11.4, quartile=11.3), then) == "10.00 before"
    assert ratios.verdict(replace(then, ratio=11.5, quartile=11.45), then) == "10.00 before: slower"
    assert ratios.verdict(replace(then, ratio=19.0, quartile=11.4), then) == "10.00 before: unclear, repeat it"
    assert ratios.verdict(replace(then, ratio=0.9), replace(then, ratio=0.5)) == "too short to be judged"
    assert "nothing to compare with" in ratios.verdict(then, None)
    assert replace(then, machine="another").key != then.key
