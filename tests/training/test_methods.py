"""Every method that can be trained, in every form: it trains, its log is whole, its weights answer, it resumes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import fssbench
from fssbench.checkpoints import load_into, stated_options
from fssbench.episode import Episode
from fssbench.methods.catalogue import method_info
from fssbench.protocols.rules import protocol
from fssbench.training.plan import Plan, plan
from fssbench.training.request import Request
from fssbench.training.run import run_plan
from fssbench.training.state import Step
from tests.methods.forms import marks_of
from tests.training.tiny import Indexed, Squares

FORMS = [
    (name, variant)
    for name in fssbench.list_methods()
    if method_info(name).trainable
    for variant in method_info(name).tasks
]
STATEFUL = ["pfenet", "bam", "mmt", "ntrenet"]
"""Methods whose training is more than parameters: dropout, stages, a memory that training writes."""
MOVES_BACKBONE = {"panet", "ppnet", "mlc", "oslsm", "ssp", "fptrans"}
"""Methods whose backbone learns too on the embedded data set, so that all of it is in their weights."""
RULES = replace(protocol("shapes"), datasets=("squares",), input=(160, 160))
ASKED = [Episode("11_0", (1,), (("12_1",),), 1), Episode("22_1", (2,), (("22_2",),), 2)]


class Killed(BaseException):
    """Stands for a kill between two steps."""


@pytest.fixture(scope="module")
def half_weights(backbone_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a backbone in the precision in which the recipes store them."""
    path = tmp_path_factory.mktemp("half") / "small.safetensors"
    state = load_file(backbone_weights)
    save_file({key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in state.items()}, path)
    return path


@pytest.fixture(autouse=True)
def _squares(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny data set under the name of the embedded one."""
    monkeypatch.setattr("fssbench.training.plan.open_dataset", lambda name, root: Squares())


def _plan(name: str, folder: Path, weights: Path, *, variant: str | None = None, steps: int = 2, ways: int = 1) -> Plan:
    """A run of a few steps, as the recipe on the embedded data set says, without validation."""
    start = None if "small" in method_info(name).random_start else weights
    request = Request(
        "shapes20i", 0, name, variant, backbone_weights=start, ways=ways, steps=steps, batch=2, out=folder
    )
    planned = plan(request)
    return replace(
        planned, recipes={stage: replace(recipe, validation=None) for stage, recipe in planned.recipes.items()}
    )


def _rows(name: str, variant: str, *files: Path) -> pd.DataFrame:
    method = fssbench.build(name, "small", variant or None, **stated_options(files[0]))
    load_into(method, *files)
    frame = fssbench.evaluate(method, Indexed(), ASKED, protocol=replace(RULES, task=method.task)).frame
    return frame[["intersection", "union", "present"]]


@pytest.mark.parametrize(("name", "variant"), [pytest.param(*form, marks=marks_of(*form)) for form in FORMS])
def test_it_trains_and_its_weights_answer(name: str, variant: str, tmp_path: Path, half_weights: Path) -> None:
    file = run_plan(_plan(name, tmp_path, half_weights, variant=variant))
    logs = [pd.read_csv(path) for path in tmp_path.glob("log*.csv")]
    assert len(logs) == len(fssbench.build(name, "small", variant or None).training_stages)
    for log in logs:
        assert list(log.columns[:4]) == ["step", "learning_rate", "loss", "validation"]
        assert list(log["step"]) == [1, 2]
        losses = log[list(log.columns[4:])]
        assert not losses.isna().any(axis=None)
        assert list(losses.sum(axis=1)) == pytest.approx(list(log["loss"]), abs=1e-4)
    rows = _rows(name, variant, file)
    head = tmp_path / "head.safetensors"
    assert head.exists() == (name not in MOVES_BACKBONE)
    if head.exists():
        assert load_file(head).keys() < load_file(file).keys()
        pd.testing.assert_frame_equal(_rows(name, variant, head, half_weights), rows)


@pytest.mark.parametrize("name", STATEFUL)
def test_a_killed_run_ends_as_if_it_had_not_been(
    name: str, tmp_path: Path, half_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_file(run_plan(_plan(name, tmp_path / "whole", half_weights, steps=4)))
    monkeypatch.setattr("fssbench.training.loop.SAVE_EVERY", 2)
    planned = _plan(name, tmp_path / "killed", half_weights, steps=4)
    last = fssbench.build(name, backbone="small").training_stages[-1]

    def kill(stage: str, steps: int, done: Step) -> None:
        if (stage, done.step) == (last, 3):
            raise Killed

    with pytest.raises(Killed):
        run_plan(planned, kill)
    seen: list[tuple[str, int]] = []
    file = run_plan(replace(planned, resume=True), lambda stage, steps, done: seen.append((stage, done.step)))
    assert seen == [(last, 3), (last, 4)], "what was done is not done again, neither steps nor stages"
    ended = load_file(file)
    assert ended.keys() == whole.keys()
    assert [key for key in whole if not torch.equal(ended[key], whole[key])] == []
    for log in (tmp_path / "whole").glob("log*.csv"):
        assert (tmp_path / "killed" / log.name).read_text() == log.read_text()


@pytest.mark.parametrize("name", [name for name, variant in FORMS if method_info(name).tasks[variant] == "fscs"])
def test_two_ways(name: str, tmp_path: Path, half_weights: Path) -> None:
    planned = _plan(name, tmp_path, half_weights, variant=method_info(name).variant_for("fscs"), ways=2)
    assert planned.way == 2
    run_plan(planned)
    assert pd.read_csv(tmp_path / "log.csv")["loss"].gt(0).all()
