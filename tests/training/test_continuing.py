"""A finished or killed training that is given more steps: what it equals, what it says, what is recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from fssbench.errors import CheckpointError, UsageError
from fssbench.training.continuing import (
    Continued,
    continued_from,
    depends_on_length,
    history_text,
    note,
    read_history,
)
from fssbench.training.plan import Plan, state_file
from fssbench.training.recipe import Optimiser, Ramp, Validation
from fssbench.training.recipes import recipe
from fssbench.training.run import run_plan
from fssbench.training.state import Step
from tests.training.tiny import tiny_plan, tiny_recipe


def plan_of(folder: Path, steps: int, schedule: str, *, resume: bool = False, network: str = "small") -> Plan:
    of = replace(tiny_recipe(network, steps), optimiser=Optimiser(1e-2, schedule, 0.01))  # type: ignore[arg-type]
    return tiny_plan(network, folder, recipes={"": of}, resume=resume)


def metadata(file: Path) -> dict[str, str]:
    with safe_open(file, "pt") as opened:
        return dict(opened.metadata())


def equal(one: Path, other: Path) -> bool:
    a, b = load_file(one), load_file(other)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("killed", [False, True])
def test_with_a_constant_rate_it_is_the_longer_training(killed: bool, tmp_path: Path, monkeypatch) -> None:
    whole = run_plan(plan_of(tmp_path / "whole", 5, "constant"))
    monkeypatch.setattr("fssbench.training.loop.SAVE_EVERY", 1)

    def kill(stage: str, steps: int, done: Step) -> None:
        if killed and done.step == 3:
            raise KeyboardInterrupt

    if killed:
        with pytest.raises(KeyboardInterrupt):
            run_plan(plan_of(tmp_path / "short", 3, "constant"), kill)
    else:
        run_plan(plan_of(tmp_path / "short", 3, "constant"))
    said: list[str] = []
    file = run_plan(plan_of(tmp_path / "short", 5, "constant", resume=True), say=said.append)
    assert equal(file, whole)
    assert (tmp_path / "short" / "log.csv").read_text() == (tmp_path / "whole" / "log.csv").read_text()
    done = 2 if killed else 3
    assert said == [f"continued after step {done} of 3, to 5 steps: the same as a training of 5 steps from the start"]
    assert metadata(file)["continued"] == f"{done}/3 5"
    assert metadata(file)["steps"] == "5"
    assert "continued" not in metadata(whole)


def test_a_schedule_that_depends_on_the_length_is_told_and_recorded(tmp_path: Path) -> None:
    run_plan(plan_of(tmp_path, 2, "half-cosine"))
    rates = pd.read_csv(tmp_path / "log.csv")["learning_rate"].tolist()
    said: list[str] = []
    file = run_plan(plan_of(tmp_path, 4, "half-cosine", resume=True), say=said.append)
    (line,) = said
    assert "not the same as a training of 4 steps from the start, as the learning rate (half-cosine) depends" in line
    after = pd.read_csv(tmp_path / "log.csv")["learning_rate"].tolist()
    assert after[:2] == rates, "what was done keeps its rates"
    assert after[2:] == pytest.approx([5e-3, 1e-2 * 0.5 * (1 - 2**-0.5)], rel=1e-4), "then those of four steps"
    assert f"the learning rate goes from {rates[1]:.3g} to 0.005" in line
    assert metadata(file)["continued"] == "2/2 4"
    # A second time, and the record keeps both; where nothing is left to do, nothing is said again.
    run_plan(plan_of(tmp_path, 5, "half-cosine", resume=True), say=said.append)
    again = run_plan(plan_of(tmp_path, 5, "half-cosine", resume=True), say=said.append)
    assert len(said) == 2
    assert metadata(again)["continued"] == "2/2 4/4 5"


def test_fewer_steps_and_other_changes_are_refused(tmp_path: Path) -> None:
    run_plan(plan_of(tmp_path, 2, "constant"))
    with pytest.raises(UsageError, match="training of 2 steps, of which 2 are done") as refused:
        run_plan(plan_of(tmp_path, 1, "constant", resume=True))
    assert str(refused.value.remedy).startswith("--steps 2 or more")
    with pytest.raises(CheckpointError, match="another training, which differs in recipe"):
        run_plan(plan_of(tmp_path, 4, "poly", resume=True))
    with pytest.raises(CheckpointError, match="differs in seed"):
        run_plan(replace(plan_of(tmp_path, 4, "constant", resume=True), seed=3))


def test_a_stage_that_a_later_one_builds_on_is_not_continued(
    tmp_path: Path, backbone_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(plan_of(tmp_path, 1, "constant", network="hsnet"), backbone_weights=backbone_weights)
    run_plan(plan)
    more = replace(plan_of(tmp_path, 2, "constant", resume=True, network="hsnet"), backbone_weights=backbone_weights)
    monkeypatch.setattr("fssbench.methods.hsnet.HSNet.training_stages", ("", "meta"))
    (tmp_path / state_file("meta")).write_bytes(b"begun")
    with pytest.raises(UsageError, match="stage meta has begun") as refused:
        run_plan(more)
    assert "another --out" in str(refused.value.remedy)


def test_what_depends_on_the_length() -> None:
    plain = replace(tiny_recipe("hsnet"), optimiser=Optimiser(schedule="constant"), foreground_weight=1.0)
    assert depends_on_length(plain) == []
    assert depends_on_length(replace(plain, optimiser=Optimiser(schedule="drops", milestones=(1,)))) == []
    for schedule in ("cosine", "half-cosine", "poly"):
        assert depends_on_length(replace(plain, optimiser=Optimiser(schedule=schedule))) == [
            f"the learning rate ({schedule})"
        ]
    assert depends_on_length(replace(plain, foreground_weight=Ramp(1.0, 2.0, 0.5))) == ["the ramp of foreground_weight"]
    best = replace(plain, validation=Validation(every=1, choose="best"))
    assert depends_on_length(best)[0].startswith("which weights are chosen")
    assert "the same as" in note(replace(plain, steps=4), Continued(2, 2), (0.1, 0.1))


def test_the_history_is_read_as_it_was_written() -> None:
    history = (Continued(60, 100), Continued(150, 200))
    assert history_text(history, 400) == "60/100 150/200 400"
    assert read_history(history_text(history, 400)) == history
    assert read_history("0") == ()
    of = recipe("hsnet", "shapes20i")
    longer = replace(of, steps=(of.steps or 0) + 1)
    assert continued_from(str(of), str(longer), 7, "x") == Continued(7, of.steps or 0)
    assert continued_from(str(of), str(of), 7, "x") is None
    assert continued_from(str(of), str(replace(longer, batch=99)), 7, "x") is None
    assert continued_from(None, str(longer), 7, "x") is None
