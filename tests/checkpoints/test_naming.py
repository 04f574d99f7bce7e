"""Weights whose names have a prefix, or that have no batch counters, load as what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.checkpoints import load_into, load_release
from fssbench.errors import CheckpointError
from fssbench.methods.base.method import Method
from fssbench.training.run import load_backbone

State = dict[str, Tensor]


def _method(seed: int = 0) -> Method[Any, Any]:
    torch.manual_seed(seed)
    return fssbench.build("hsnet", backbone="small", channels=(4, 4, 4))


@pytest.fixture(scope="module")
def sound() -> State:
    return dict(_method(1).state_dict())


def _under(prefix: str, state: State) -> State:
    return {f"{prefix}{key}": value for key, value in state.items()}


def _part(state: State, *, backbone: bool) -> State:
    return {key: value for key, value in state.items() if key.startswith("backbone.") == backbone}


def _same(method: Method[Any, Any], state: State) -> bool:
    own = method.state_dict()
    return all(torch.equal(own[key], value) for key, value in state.items())


PREFIXES = ["model.", "net.", "module.module.", "model.module.", "module.model.", "_orig_mod.", "student.network."]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_that_all_names_share_is_taken_off(prefix: str, sound: State, tmp_path: Path) -> None:
    target = _method(2)
    load_release(target, _under(prefix, sound))
    assert _same(target, sound)
    target = _method(2)
    torch.save({"state_dict": _under(prefix, sound)}, tmp_path / "model.pt")
    load_into(target, tmp_path / "model.pt")
    assert _same(target, sound)


@pytest.mark.parametrize("prefix", ["", *PREFIXES])
def test_a_backbone_kept_apart_may_have_another_prefix(prefix: str, sound: State, tmp_path: Path) -> None:
    bare = {key.removeprefix("backbone."): value for key, value in _part(sound, backbone=True).items()}
    torch.save(_under("net.", _part(sound, backbone=False)), tmp_path / "head.pt")
    torch.save(_under(prefix, bare), tmp_path / "backbone.pt")
    target = _method(2)
    load_into(target, tmp_path / "head.pt", tmp_path / "backbone.pt")
    assert _same(target, sound)
    target = _method(2)
    load_backbone(target, "small", tmp_path / "backbone.pt")
    assert _same(target, _part(sound, backbone=True))


def test_vggs_own_names_are_no_prefix(tmp_path: Path) -> None:
    method = fssbench.build("panet", backbone="vgg16")
    own = {key: torch.full_like(value, number) for number, (key, value) in enumerate(method.state_dict().items(), 1)}
    names = [f"features.{number}.{kind}" for number in range(len(own) // 2) for kind in ("weight", "bias")]
    torch.save({f"model.{name}": value for name, value in zip(names, own.values(), strict=True)}, tmp_path / "vgg.pt")
    load_into(method, tmp_path / "vgg.pt")
    assert _same(method, own)


def test_a_prefix_of_some_names_only_is_no_prefix(sound: State) -> None:
    with pytest.raises(CheckpointError, match=r"missing: hpn_learner.* unexpected: model.hpn_learner"):
        load_release(_method(2), _part(sound, backbone=True) | _under("model.", _part(sound, backbone=False)))


@pytest.mark.parametrize("prefix", ["", "model."])
def test_a_checkpoint_without_batch_counters_is_whole(prefix: str, sound: State, tmp_path: Path) -> None:
    bare = {key: value for key, value in sound.items() if not key.endswith("num_batches_tracked")}
    assert len(bare) < len(sound)
    target = _method(2)
    for buffer in target.buffers():
        buffer.fill_(7)
    torch.save(_under(prefix, bare), tmp_path / "model.pt")
    load_into(target, tmp_path / "model.pt")
    own = target.state_dict()
    assert _same(target, bare)
    assert all(own[key] == 0 for key in own.keys() - bare.keys())
    target = _method(2)
    load_release(target, bare)
    assert _same(target, bare)


def test_a_backbone_without_counters_fits_a_head_with_them(tmp_path: Path) -> None:
    torch.manual_seed(1)
    state = dict(fssbench.build("bam", backbone="small", width=8, base_width=8).state_dict())
    learner = [key for key in state if key.startswith("learner_base.") and key.endswith("num_batches_tracked")]
    assert learner
    bare = {
        key: value
        for key, value in state.items()
        if not (key.startswith("backbone.") and key.endswith("num_batches_tracked"))
    }
    target = fssbench.build("bam", backbone="small", width=8, base_width=8)
    load_release(target, bare | {key: torch.tensor(5) for key in learner})
    assert _same(target, {key: value for key, value in bare.items() if key not in learner})
    assert target.state_dict()[learner[0]] == 5


def test_what_is_missing_of_a_backbone_that_is_there_is_not_sent_to_another_file(sound: State) -> None:
    gone = "backbone.stem.0.weight"
    with pytest.raises(CheckpointError, match=f"missing: {gone}") as told:
        load_release(_method(2), {key: value for key, value in sound.items() if key != gone})
    assert "--backbone-weights" not in str(told.value.remedy)
    with pytest.raises(CheckpointError, match=r"missing: backbone.stem") as told:
        load_release(_method(2), _part(sound, backbone=False))
    assert "--backbone-weights" in str(told.value.remedy)


def test_a_head_without_the_layers_of_its_backbone_is_sent_to_their_file() -> None:
    method = fssbench.build("pfenet", backbone="resnet50")
    head = {key: value for key, value in method.state_dict().items() if not key.startswith("layer")}
    with pytest.raises(CheckpointError, match="missing: layer0") as told:
        load_release(method, head)
    assert "--backbone-weights" in str(told.value.remedy)
