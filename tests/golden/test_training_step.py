"""Every method learns as its release does: losses, gradients and running statistics of one step, in float64."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fssbench
from fssbench.methods.catalogue import method_info
from fssbench.training.episodic import freeze, training_mode
from tests.golden import training_step
from tests.golden.first_cases import first_of_each_method

CASES = sorted((Path(__file__).parent / "training").glob("*.json"))

TOLERANCE = 1e-7
"""Part of a loss, or of a tensor's norm, that a figure may differ by."""
NOISE = 1e-12
"""Part of the norm of all tensors that a figure may differ by in any case: what should be 0 is not quite."""


@pytest.mark.parametrize("path", first_of_each_method(CASES))
def test_a_step_is_the_release_s(path: Path) -> None:
    case = json.loads(path.read_text())
    arguments = dict(case["build"])
    method = fssbench.build(arguments.pop("method"), **arguments)
    training_step.fill(method, case["overrides"])
    if "stage" in case:
        method.enter_training_stage(case["stage"])
    freeze(method, tuple(case.get("frozen", ())))
    before = {name: its.clone() for name, its in method.named_buffers()}
    training_mode(method, case.get("batch_norm", "method"))
    torch.manual_seed(0)  # of what is drawn besides dropout: places and first prototypes
    with training_step.dropout_by_number(case.get("first_dropout_of_values", 1 << 30)):
        losses = method.losses(training_step.batch(case))
        torch.stack(list(losses.values())).sum().backward()

    assert {name: its.item() for name, its in losses.items()} == pytest.approx(case["losses"], rel=TOLERANCE)
    _assert_close(training_step.gradients(method.named_parameters()), case["gradients"])
    _assert_close(training_step.statistics(method.named_buffers(), before), case["statistics"])


NOT_RUN = {"oslsm"}
"""Released for Caffe, which was not run."""


def test_every_method_with_a_release_has_a_case() -> None:
    held = set()
    for path in CASES:
        build = json.loads(path.read_text())["build"]
        tasks = method_info(build["method"]).tasks
        held.add((build["method"], tasks[build.get("variant", next(iter(tasks)))], build.get("weak", False)))
    # Each task stands for its released form: rows of an ablation have no code.
    for name in fssbench.list_methods():
        info = method_info(name)
        if info.trainable and "@" in info.source and name not in NOT_RUN:
            wanted = {(name, task, False) for task in info.tasks.values()}
            wanted |= {(name, "fscs", True)} if info.weak else set()
            assert wanted <= held, f"no training step is held of {wanted - held}"


def _assert_close(found: dict[str, list[float]], expected: dict[str, Any]) -> None:
    """Hold figures of tensors against the stored ones; a tensor without figures is zero."""
    whole = float(np.linalg.norm([norm for norm, *_ in expected.values()]))
    nothing = [0.0] * (1 + training_step.SAMPLED)
    wrong = {}
    for name in sorted(found.keys() | expected.keys()):
        ours, theirs = np.array(found.get(name, nothing)), np.array(expected.get(name, nothing))
        if not np.allclose(ours, theirs, rtol=0.0, atol=max(TOLERANCE * theirs[0], NOISE * whole)):
            wrong[name] = (ours.tolist(), theirs.tolist())
    assert wrong == {}
