"""Two optimisers in one training: CyCTR's SGD for convolutions and AdamW for its transformer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import fssbench
from fssbench.errors import UsageError
from fssbench.training.loop import fit
from fssbench.training.optimisers import make_optimiser
from fssbench.training.recipe import Apart, Optimiser, Recipe
from fssbench.training.recipes import recipe
from fssbench.training.recorded import recipe_of, same_recipe
from fssbench.training.state import StageFiles


def _net() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({"head": nn.Linear(2, 1), "transformer": nn.Linear(2, 1)})


def _recipe(steps: int, apart: Apart | None) -> Recipe:
    optimiser = Optimiser(0.1, "poly", 0.01, "sgd", apart=apart)
    return Recipe(name="m/d", source="", batch=1, picture=(64, 64), view=(64, 64), steps=steps, optimiser=optimiser)


def _train(net: nn.ModuleDict, steps: int, folder: Path, *, resume: bool = False) -> None:
    chosen = _recipe(steps, Apart("transformer.", 1e-2, 0.5, 0.0))
    inputs = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    fit(
        net,
        lambda step: {
            "a": net["head"](inputs).square().mean() + net["transformer"](inputs).square().mean() * (step + 1)
        },
        chosen,
        StageFiles(folder, {"recipe": "same"}),
        resume=resume,
    )


def test_each_part_is_trained_as_by_an_optimiser_of_its_own(tmp_path: Path) -> None:
    net, expected = _net(), _net()
    _train(net, 4, tmp_path)
    sgd = torch.optim.SGD(expected["head"].parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    adamw = torch.optim.AdamW(
        [
            {"params": [expected["transformer"].weight], "weight_decay": 0.5},
            {"params": [expected["transformer"].bias], "weight_decay": 0.0},
        ],
        lr=1e-2,
    )
    inputs = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    for step in range(4):
        sgd.param_groups[0]["lr"] = 0.1 * (1 - (step + 1) / 4) ** 0.9
        loss = expected["head"](inputs).square().mean() + expected["transformer"](inputs).square().mean() * (step + 1)
        sgd.zero_grad()
        adamw.zero_grad()
        loss.backward()
        sgd.step()
        adamw.step()
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(net.state_dict()[name], value, msg=name)


def test_a_training_that_was_stopped_goes_on_with_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _net()
    _train(whole, 6, tmp_path / "whole")
    monkeypatch.setattr("fssbench.training.loop.SAVE_EVERY", 3)
    stopped, calls = _net(), 0

    def stop(self: nn.Linear, x: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls > 2 * 4:
            raise KeyboardInterrupt
        return nn.functional.linear(x, self.weight, self.bias)

    with monkeypatch.context() as patch:
        patch.setattr(nn.Linear, "forward", stop)
        with pytest.raises(KeyboardInterrupt):
            _train(stopped, 6, tmp_path / "killed")
    resumed = _net()
    _train(resumed, 6, tmp_path / "killed", resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_a_prefix_that_no_parameter_has_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no parameter of the network begins with 'encoder\.'"):
        make_optimiser(_net(), Optimiser(apart=Apart("encoder.", 1e-3)))


def test_a_recorded_recipe_without_a_part_apart_is_the_same_training() -> None:
    current = repr(_recipe(5, None))
    assert same_recipe(current.replace(", apart=None", ""), current)
    apart = repr(_recipe(5, Apart("transformer.", 1e-3)))
    assert not same_recipe(current, apart)
    assert recipe_of(apart) is not None


def test_the_groups_of_sccan_are_those_of_its_release() -> None:
    method = fssbench.build("sccan", "small", width=16, side=16, blocks=1)
    made = make_optimiser(method, recipe("sccan", "pascal5i").optimiser)
    names = {id(parameter): name for name, parameter in method.named_parameters()}
    groups = {
        (group["lr"], group["weight_decay"], "factor" in group): {
            names[id(one)].split(".")[0] for one in group["params"]
        }
        for group in made.param_groups
    }
    others = {name for name, _ in method.named_children() if name not in ("backbone", "transformer")}
    assert groups == {(6e-5, 1e-2, False): {"transformer"}, (5e-2, 1e-4, True): others}


def test_the_groups_of_cyctr_are_those_of_its_release() -> None:
    method = fssbench.build("cyctr", "small", width=16)
    made = make_optimiser(method, recipe("cyctr", "pascal5i").optimiser)
    names = {id(parameter): name for name, parameter in method.named_parameters()}
    groups = {
        (group["lr"], group["weight_decay"], "factor" in group): {names[id(one)] for one in group["params"]}
        for group in made.param_groups
    }
    transformer = {name for name in names.values() if "transformer" in name}
    biases = {name for name in transformer if "bias" in name}
    assert groups[1e-4, 1e-2, False] == transformer - biases
    assert groups[1e-4, 0.0, False] == biases
    trained = {name for name, one in method.named_parameters() if one.requires_grad}
    assert groups[3.75e-2, 1e-4, True] == trained - transformer
    assert len(groups) == 3
