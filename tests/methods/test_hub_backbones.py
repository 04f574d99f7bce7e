"""Methods with a free pyramid on a backbone from the hub: built, trained, saved and loaded again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.checkpoints import load_into
from fssbench.checkpoints.hashes import weights_in_memory
from fssbench.checkpoints.naming import preloaded
from fssbench.errors import CheckpointError, UsageError
from fssbench.fast.form import fast_form
from fssbench.training.plan import plan
from fssbench.training.request import Request
from fssbench.training.run import HEAD_FILE, run_plan
from tests.hub.models import saved
from tests.training.tiny import Squares

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for kind in ("dinov2", "convnext"):
        saved(kind, folder / kind)
    return folder


def episode(size: int) -> tuple[Tensor, Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(0)
    masks = torch.zeros(1, 1, size, size)
    masks[..., size // 4 : size // 2, size // 4 : size // 2] = 1
    return torch.randn(3, size, size, generator=drawn), torch.randn(1, 1, 3, size, size, generator=drawn), masks


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("prototype", "dinov2"),
        ("hsnet", "dinov2"),
        ("asnet", "convnext"),
        *(
            pytest.param(name, kind, marks=pytest.mark.slow)
            for name, kind in [("prototype", "convnext"), ("hsnet", "convnext"), ("asnet", "dinov2")]
        ),
        *(pytest.param("asnet-hm", kind, marks=pytest.mark.slow) for kind in ("dinov2", "convnext")),
    ],
)
def test_every_method_with_a_free_pyramid_predicts_at_the_size_of_its_protocol(
    models: Path, name: str, kind: str
) -> None:
    torch.manual_seed(0)
    method = fssbench.build(name, f"hf:{models / kind}")
    plain, fast = method.segment(*episode(400)), fast_form(method).segment(*episode(400))
    assert plain.logits.shape[-2:] == (400, 400)
    assert plain.logits.std() > 0
    torch.testing.assert_close(fast.logits, plain.logits, rtol=1e-4, atol=1e-5)


def test_prototypes_are_of_the_last_block_and_a_pyramid_needs_three_maps(models: Path) -> None:
    def features(name: str) -> Tensor:
        method: Any = fssbench.build("prototype", f"hf:{models / name}")
        (feature,) = method.encode(episode(70)[0][None])
        return feature

    torch.testing.assert_close(features("dinov2"), features("dinov2#4"))
    torch.testing.assert_close(features("convnext"), features("convnext#3"))
    assert (features("dinov2") < 0).any(), "no ReLU follows a block"
    for name in ("hsnet", "asnet"):
        with pytest.raises(UsageError, match="needs three maps or more") as caught:
            fssbench.build(name, f"hf:{models / 'dinov2'}#2,4")
        assert caught.value.remedy == "#2,3,4"


def test_other_methods_take_no_backbone_of_the_hub(models: Path) -> None:
    for name in ("pfenet", "bam", "panet"):
        with pytest.raises(UsageError, match=f"{name} has no backbone 'hf:"):
            fssbench.build(name, f"hf:{models / 'dinov2'}")
    with pytest.raises(UsageError, match=r"and any model of the hub that is named hf:OWNER/NAME"):
        fssbench.build("hsnet", "resnet18")


def test_a_head_is_loaded_onto_the_backbone_that_the_name_names_and_on_no_other(models: Path) -> None:
    method, other = (fssbench.build("hsnet", f"hf:{models / 'dinov2'}") for _ in range(2))
    given = preloaded(method)
    assert given
    head = {key: value for key, value in method.state_dict().items() if key not in given}
    fssbench.load_release(other, head)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in method.state_dict().items())
    whole = {key: value.half() if value.is_floating_point() else value for key, value in method.state_dict().items()}
    fssbench.load_release(other, whole)
    changed = dict(method.state_dict())
    key = next(key for key in given if key.endswith("weight"))
    changed[key] = changed[key] + 1
    with pytest.raises(CheckpointError, match="trained on another backbone"):
        fssbench.load_release(other, changed)
    with pytest.raises(CheckpointError, match="trained on another backbone"):
        fssbench.load_release(fssbench.build("hsnet", f"hf:{models / 'dinov2'}#1,2,3"), method.state_dict())
    head.pop(next(iter(head)))
    with pytest.raises(CheckpointError, match="missing"):
        fssbench.load_release(other, head)


def test_weights_in_memory_name_the_model(models: Path) -> None:
    (model,) = weights_in_memory(fssbench.build("prototype", f"hf:{models / 'dinov2'}#2,4")).hub
    assert (model.repository, model.precision, model.layers) == ("", "float32", (2, 4))
    assert weights_in_memory(fssbench.build("prototype", "small")).hub == ()


def test_a_head_is_trained_and_evaluated_on_a_backbone_of_the_hub(models: Path, tmp_path: Path) -> None:
    name = f"hf:{models / 'dinov2'}"
    options: dict[str, Any] = {"steps": 1, "batch": 1, "device": "cpu", "out": tmp_path / "run", "seed": 3}
    planned = plan(Request("shapes20i", 0, method="hsnet", backbone=name, **options))
    assert planned.backbone_weights is None
    assert planned.hub is not None
    method = fssbench.build("hsnet", name, **planned.options)
    torch.testing.assert_close(preloaded(method), preloaded(fssbench.build("hsnet", planned.pinned_backbone)))
    recipes = {stage: replace(recipe, validation=None) for stage, recipe in planned.recipes.items()}
    weights = run_plan(replace(planned, dataset=Squares(), recipes=recipes, rules=None))
    for file in (weights, tmp_path / "run" / HEAD_FILE):
        load_into(method, file)
    from fssbench.checkpoints.files import file_metadata

    stated = file_metadata(weights)
    assert (stated["backbone_sha256"], stated["backbone_layers"]) == (planned.hub.sha256, "2,3,4")
    with pytest.raises(UsageError, match="--backbone-weights others"):
        plan(Request("shapes20i", 0, method="hsnet", backbone=name, backbone_weights=weights))
