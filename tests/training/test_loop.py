"""The loop on a network of two numbers: optimisers, rates, the choice of weights, resuming, what is frozen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fssbench.errors import BrokenFileError, UsageError
from fssbench.training.episodic import freeze, training_mode
from fssbench.training.loop import Hooks, _is_validated, fit, learning_rate
from fssbench.training.recipe import Optimiser, Recipe, Validation
from fssbench.training.state import StageFiles, Step


class Two(nn.Module):
    """Two numbers, a batch norm, and a count that only the method's own state keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.ones(()))
        self.b = nn.Parameter(torch.ones(()))
        self.norm = nn.BatchNorm1d(1)
        self.count = 0

    def losses(self, step: int) -> dict[str, Tensor]:
        self.count += 1
        noise = torch.rand(4, 1)
        moved = self.norm(noise).square().mean()
        return {"a": self.a * (1.0 + noise.mean()), "b": self.b + 0.0 * moved}

    def training_state(self) -> dict[str, object]:
        return {"count": self.count}

    def load_training_state(self, state: dict[str, int]) -> None:
        self.count = state["count"]


ADAM = Optimiser(0.1)


def _recipe(steps: int = 4, optimiser: Optimiser = ADAM, **changes: object) -> Recipe:
    made = Recipe("two/none", "test", 1, (32, 32), (32, 32), steps=steps, optimiser=optimiser)
    return replace(made, **changes)


def _place(folder: Path) -> StageFiles:
    return StageFiles(folder, {"what": "two"})


def test_sgd_moves_by_gradient_momentum_and_decay(tmp_path: Path) -> None:
    net = Two()
    optimiser = Optimiser(0.1, kind="sgd", momentum=0.5, weight_decay=0.01)
    fit(net, lambda step: {"a": 2.0 * net.a, "b": net.b}, _recipe(2, optimiser), _place(tmp_path))
    velocity = 2.0 + 0.01
    a = 1.0 - 0.1 * velocity
    a -= 0.1 * (0.5 * velocity + 2.0 + 0.01 * a)
    assert net.a.item() == pytest.approx(a)


def test_the_longest_beginning_decides_the_rate(tmp_path: Path) -> None:
    net = nn.ModuleDict({"head": nn.ModuleDict({"x": nn.Linear(1, 1, bias=False), "y": nn.Linear(1, 1, bias=False)})})
    start = {name: its.item() for name, its in net.named_parameters()}
    optimiser = Optimiser(0.01, kind="sgd", rates={"head.": 10.0, "head.y": 0.0})
    fit(net, lambda step: {"sum": sum(p.sum() for p in net.parameters())}, _recipe(1, optimiser), _place(tmp_path))
    moved = {name: start[name] - its.item() for name, its in net.named_parameters()}
    assert moved == pytest.approx({"head.x.weight": 0.1, "head.y.weight": 0.0})


def test_poly_and_drops() -> None:
    poly = Optimiser(0.1, "poly", power=0.9)
    assert learning_rate(poly, 0, 10) == pytest.approx(0.1 * 0.9**0.9)
    assert learning_rate(poly, 9, 10) == 0.0
    drops = Optimiser(0.1, "drops", milestones=(2, 4))
    assert [learning_rate(drops, step, 6) for step in range(6)] == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_a_state_holds_momentum_statistics_and_what_the_method_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = _recipe(5, Optimiser(0.1, kind="sgd"))
    whole = Two()
    fit(whole, whole.losses, recipe, _place(tmp_path / "whole"))
    monkeypatch.setattr("fssbench.training.loop.SAVE_EVERY", 2)
    torch.manual_seed(5)
    first, place = Two(), _place(tmp_path / "killed")

    def kill(stage: str, steps: int, done: Step) -> None:
        if done.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(first, first.losses, recipe, place, hooks=Hooks(callback=kill))
    second = Two()
    steps = fit(second, second.losses, recipe, place, resume=True)
    assert [its.step for its in steps] == [1, 2, 3, 4, 5]
    assert second.count == 5
    for key, tensor in whole.state_dict().items():
        assert torch.equal(second.state_dict()[key], tensor), key
    assert place.log.read_text() == _place(tmp_path / "whole").log.read_text()


@pytest.mark.parametrize("resume", [False, True])
def test_a_state_that_another_command_wrote_meanwhile_stays(tmp_path: Path, resume: bool) -> None:
    place, other = _place(tmp_path), Two()

    def meanwhile(stage: str, steps: int, done: Step) -> None:
        if done.step == 1:
            fit(other, other.losses, _recipe(2), place)

    net = Two()
    with pytest.raises(UsageError, match="another command has trained in"):
        fit(net, net.losses, _recipe(3), place, resume=resume, hooks=Hooks(callback=meanwhile))
    assert len(place.log.read_text().splitlines()) == 3
    kept = Two()
    assert len(fit(kept, kept.losses, _recipe(2), place, resume=True)) == 2
    assert torch.equal(kept.a, other.a)


@pytest.mark.parametrize(
    ("recipe", "seconds", "kept"),
    [
        (_recipe(8, Optimiser()), 1e9, 0),
        (_recipe(8, Optimiser(), validation=Validation(every=3)), 1e9, 3),
        (_recipe(8, Optimiser()), 0.0, 4),
    ],
    ids=["neither", "a validation", "slow steps"],
)
def test_a_kill_loses_no_validation_and_not_much_time(
    recipe: Recipe, seconds: float, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fssbench.training.loop.SAVE_AFTER", seconds)

    def kill(stage: str, steps: int, done: Step) -> None:
        if done.step == 5:
            raise KeyboardInterrupt

    net, place = Two(), _place(tmp_path)
    validate = (lambda: 1.0) if recipe.validation else None
    with pytest.raises(KeyboardInterrupt):
        fit(net, net.losses, recipe, place, hooks=Hooks(validate=validate, callback=kill))
    logged = place.log.read_text().splitlines()[1:] if place.log.exists() else []
    assert len(logged) == kept


@pytest.mark.parametrize(("choose", "expected"), [("best", 0.8), ("last", 0.6)])
def test_which_weights_are_the_result(choose: str, expected: float, tmp_path: Path) -> None:
    values = iter([1.0, 3.0, 2.0, 3.0])
    validation = Validation(every=1, choose=choose)  # type: ignore[arg-type]
    recipe = _recipe(4, Optimiser(0.1, kind="sgd", momentum=0.0), validation=validation)
    net, again = Two(), Two()
    hooks = Hooks(validate=lambda: next(values))
    steps = fit(net, lambda step: {"a": net.a, "b": 0.0 * net.b}, recipe, _place(tmp_path), hooks=hooks)
    assert [its.validation for its in steps] == [1.0, 3.0, 2.0, 3.0]
    assert net.a.item() == pytest.approx(expected)
    fit(again, again.losses, recipe, _place(tmp_path), resume=True, hooks=hooks)
    assert torch.equal(again.a, net.a), "a finished run gives its result again"


def test_validation_comes_every_so_often_and_at_the_end(tmp_path: Path) -> None:
    net = Two()
    hooks = Hooks(validate=lambda: 50.0)
    recipe = _recipe(7, validation=Validation(every=3))
    steps = fit(net, net.losses, recipe, _place(tmp_path), hooks=hooks)
    assert [its.step for its in steps if its.validation is not None] == [3, 6, 7]
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0] == "step,learning_rate,loss,validation,a,b"
    assert [line.split(",")[3] for line in lines[1:]] == ["", "", "50.000", "", "", "50.000", "50.000"]


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    net = Two()
    with pytest.raises(UsageError, match=r"step 1: b is nan"):
        fit(net, lambda step: {"a": net.a, "b": net.b * float("nan")}, _recipe(), _place(tmp_path))
    assert torch.isfinite(net.a)


def test_nothing_to_move(tmp_path: Path) -> None:
    net = Two().requires_grad_(requires_grad=False)
    with pytest.raises(UsageError, match="no parameter"):
        fit(net, net.losses, _recipe(), _place(tmp_path))


def test_a_state_of_other_shape_is_refused(tmp_path: Path) -> None:
    net = Two()
    fit(net, net.losses, _recipe(), _place(tmp_path))
    state = torch.load(_place(tmp_path).state, weights_only=True)
    state["module"]["a"] = torch.zeros(3)
    torch.save(state, _place(tmp_path).state)
    with pytest.raises(BrokenFileError, match="does not fit"):
        fit(Two(), net.losses, _recipe(), _place(tmp_path), resume=True)


def test_freezing_and_batch_norms() -> None:
    net = Two()
    freeze(net, ("norm.", "b"))
    assert [name for name, its in net.named_parameters() if its.requires_grad] == ["a"]
    training_mode(net, "frozen")
    assert (net.training, net.norm.training) == (True, False)
    training_mode(net, "moving")
    assert net.norm.training
    training_mode(net.requires_grad_(requires_grad=True), "frozen")
    assert net.norm.training
    freeze(net, ())
    assert all(its.requires_grad for its in net.parameters())


def test_validation_half_way_begins_in_the_second_interval() -> None:
    recipe = Recipe("a/b", "here", 1, (32, 32), (32, 32), steps=17, validation=Validation(every=5, halfway=True))
    # round(5 / 2) is 2, and the release validates after the batch of that index, counted from 0.
    assert [step for step in range(1, 18) if _is_validated(recipe, step, 17)] == [5, 8, 10, 13, 15, 17]
    plain = replace(recipe, validation=Validation(every=5))
    assert [step for step in range(1, 18) if _is_validated(plain, step, 17)] == [5, 10, 15, 17]
