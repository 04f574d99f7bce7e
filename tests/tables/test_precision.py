"""A lower precision is marked with what it changes, or with that this was not measured."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from fssbench.results.record import Run
from fssbench.tables import precision
from fssbench.tables.precision import describe_precision


def run(method: str, backbone: str, name: str) -> Run:
    return cast("Run", SimpleNamespace(precision=name, method=SimpleNamespace(name=method, backbone=backbone)))


def test_the_share_of_changed_labels_is_that_which_was_measured():
    rows = [row for row in precision._measured() if row["method"] == "hsnet"]
    assert [row["precision"] for row in rows] == ["bfloat16", "float16-features"]
    share = 100 * int(rows[0]["changed_pixels"]) / int(rows[0]["pixels"])
    assert 0 < share < 1
    text = describe_precision(run("hsnet", "resnet50", "bfloat16"))
    assert text == (
        f"computed in bfloat16, which changed {share:.2f} % of labels where it was measured "
        "(small, 40 episodes of shapes20i, cpu)"
    )


def test_what_was_not_measured_is_said():
    for one in (run("hsnet", "small", "tf32"), run("nosuch", "small", "bfloat16")):
        assert describe_precision(one).endswith("; how many labels that changes was not measured for this method")
