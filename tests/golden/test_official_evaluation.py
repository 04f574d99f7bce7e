"""The whole path, photos to counts, against what the released evaluators count on real photos.

`official_rows.json` holds what the released data loaders, models and evaluators give with formula weights on episodes
of their own lists whose photos are in the shared sample; it holds names and counts, no pixel.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import fssbench
from tests.golden import formula

CASES = json.loads((Path(__file__).parent / "official_rows.json").read_text())


def _parameter(case: dict[str, Any]) -> Any:
    """Return a case as a parameter; of several shots at the original size is long: both have cases of their own."""
    long = case["build"].get("shot", 1) > 1
    name = f"{case['build']['method']}-{case['protocol']}-{case['build'].get('shot', 1)}shot"
    return pytest.param(case, id=name, marks=[pytest.mark.long] if long else [])


@pytest.mark.parametrize("case", [_parameter(case) for case in CASES])
def test_counts_equal_the_released_evaluators(case: dict[str, Any], shared: Path) -> None:
    arguments = dict(case["build"])
    method = fssbench.build(arguments.pop("method"), **arguments)
    shapes = {key: tuple(value.shape) for key, value in method.state_dict().items()}
    fssbench.load_release(method, formula.state(shapes, case["bias"]))
    dataset = fssbench.open_dataset("pascal5i", root=shared / "data" / "VOC2012")
    episodes = [
        fssbench.Episode(e["query"], tuple(e["classes"]), tuple(map(tuple, e["supports"])), e["classes"][0])
        for e in case["episodes"]
    ]

    frame = fssbench.evaluate(method, dataset, episodes, protocol=case["protocol"]).frame

    for row, expected in zip(frame.itertuples(), case["episodes"], strict=True):
        # Which side a pixel falls on where two scores tie differs between machines: the golden cases' bound.
        bound = sum(expected["union"][:1]) // 1000
        for ours, theirs in ((row.intersection, expected["intersection"]), (row.union, expected["union"])):
            assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) <= bound
        assert list(row.truth) == expected.get("truth", [True])
        if "present" in expected:
            assert list(row.present) == expected["present"]
