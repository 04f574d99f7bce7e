"""Weights are read without running anything and loaded strictly or not at all."""

from __future__ import annotations

import argparse
import os
import pickle
import sys
import types
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.checkpoints import load_into, load_release, read_state
from fssbench.errors import BrokenFileError, CheckpointError
from fssbench.methods.base.method import Method

CHANNELS = (4, 4, 4)


def _method(seed: int = 0, variant: str = "fss") -> Method[Any, Any]:
    torch.manual_seed(seed)
    return fssbench.build("hsnet", backbone="small", variant=variant, channels=CHANNELS)


def _same(first: Method[Any, Any], second: Method[Any, Any]) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return all(torch.equal(ours[key], theirs[key]) for key in ours)


def _wrapped(state: dict[str, Tensor], how: str) -> object:
    prefixed = {f"module.{key}": value for key, value in state.items()}
    return {
        "plain": state,
        "data-parallel": prefixed,
        "lightning": {"epoch": 3, "state_dict": state, "optimizer_states": []},
        "pfenet": {"epoch": 3, "state_dict": prefixed, "optimizer": {"lr": 0.1}},
        "twice": {"model": {"state_dict": state}},
    }[how]


@pytest.mark.parametrize("how", ["plain", "data-parallel", "lightning", "pfenet", "twice"])
@pytest.mark.parametrize("legacy", [False, True])
def test_wrappers_are_taken_off(how: str, legacy: bool, tmp_path: Path) -> None:
    source, target = _method(1), _method(2)
    path = tmp_path / "model.pt"
    torch.save(_wrapped(source.state_dict(), how), path, _use_new_zipfile_serialization=not legacy)
    load_into(target, path)
    assert _same(source, target)


def test_a_lightning_checkpoint_names_classes_that_are_not_here(tmp_path: Path) -> None:
    """Old Lightning keys the state of its callbacks by their classes, and keeps the arguments as a Namespace."""
    module = types.ModuleType("common.callbacks")
    callback = type("CustomCheckpoint", (), {"__module__": "common.callbacks"})
    module.CustomCheckpoint = callback  # type: ignore[attr-defined]
    source, target = _method(1), _method(2)
    content = {
        "state_dict": source.state_dict(),
        "callbacks": {callback: {"best_model_score": torch.tensor(0.5)}},
        "hyper_parameters": argparse.Namespace(lr=1e-3, logs=PurePosixPath("logs"), best=np.float64(0.5)),
    }
    sys.modules |= {"common": types.ModuleType("common"), "common.callbacks": module}
    try:
        torch.save(content, tmp_path / "best_model.ckpt")
    finally:
        del sys.modules["common"], sys.modules["common.callbacks"]
    load_into(target, tmp_path / "best_model.ckpt")
    assert _same(source, target)
    assert "common.callbacks" not in sys.modules


class _Malicious:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("legacy", [False, True])
def test_nothing_in_a_checkpoint_is_run(legacy: bool, tmp_path: Path) -> None:
    path, proof = tmp_path / "model.pt", tmp_path / "was-run"
    content = {"state_dict": {"a": torch.zeros(1)}, "extra": _Malicious(f"touch {proof}")}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match="not run"):
        read_state(path)
    assert not proof.exists()


def test_a_bare_pickle_is_not_run(tmp_path: Path) -> None:
    path, proof = tmp_path / "model.pt", tmp_path / "was-run"
    path.write_bytes(pickle.dumps(_Malicious(f"touch {proof}"), protocol=2))
    with pytest.raises((CheckpointError, BrokenFileError)):
        read_state(path)
    assert not proof.exists()


def test_damage_inside_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(_method().state_dict(), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(BrokenFileError, match="damaged"):
        read_state(path)


def test_a_flipped_byte_is_told_though_no_hash_is_known(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"weight": torch.zeros(10_000)}, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BrokenFileError, match="does not match its checksum"):
        read_state(path)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}, {"state_dict": {"a": 1}}, torch.zeros(2)])
def test_what_holds_no_state_dict_is_told(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="no state dict"):
        read_state(tmp_path / "model.pt")


def test_a_safetensors_file_without_a_tensor_holds_no_state_dict(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="no state dict: its entries are none"):
        read_state(tmp_path / "model.safetensors")


def test_half_precision_and_arrays_are_cast_to_the_parameter() -> None:
    source, target = _method(1), _method(2)
    half = {k: v.half() if v.is_floating_point() else v for k, v in source.state_dict().items()}
    load_release(target, {key: value.numpy() for key, value in half.items()})
    for key, value in target.state_dict().items():
        assert value.dtype == source.state_dict()[key].dtype
        assert torch.equal(value, half[key].to(value.dtype))


@pytest.mark.parametrize("how", ["read-only", "another byte order", "reversed axes"])
def test_arrays_may_come_from_anywhere(how: str) -> None:
    def foreign(value: Tensor) -> npt.NDArray[Any]:
        array = value.numpy()
        if how == "read-only":
            return np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)
        if how == "another byte order":
            return array.astype(array.dtype.newbyteorder())
        return np.array(array, order="F")

    source, target = _method(1), _method(2)
    load_release(target, {key: foreign(value) for key, value in source.state_dict().items()})
    assert _same(source, target)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "not a tensor but a NoneType"),
        ("abc", "not a tensor but a str"),
        (torch.zeros(1, dtype=torch.cfloat), "complex"),
    ],
)
def test_what_is_no_weight_is_named(value: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_release(_method(), {**_method(1).state_dict(), "hpn_learner.decoder2.2.bias": value})


def test_a_list_is_no_state_dict() -> None:
    with pytest.raises(CheckpointError, match="this is a list"):
        load_release(_method(), [torch.zeros(1)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("hpn_learner.decoder2.2.bias"), "missing: hpn_learner.decoder2.2.bias"),
        (lambda s: s.update({"hpn_learner.extra": torch.zeros(1)}), "unexpected: hpn_learner.extra"),
        (
            lambda s: s.update({"hpn_learner.decoder2.2.bias": torch.zeros(3)}),
            r"hpn_learner.decoder2.2.bias is \(3,\) instead of \(2,\)",
        ),
    ],
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_wrong_key_is_an_error_and_changes_nothing(change: Any, message: str, prefix: str) -> None:
    target = _method(2)
    before = {key: value.clone() for key, value in target.state_dict().items()}
    state = dict(_method(1).state_dict())
    change(state)
    with pytest.raises(CheckpointError, match=message):
        load_release(target, {f"{prefix}{key}": value for key, value in state.items()})
    assert all(torch.equal(value, before[key]) for key, value in target.state_dict().items())


def test_the_cause_is_said_where_it_can_be_told() -> None:
    target = _method()
    asnet = fssbench.build("asnet", backbone="small", channels=(16, 16)).state_dict()
    with pytest.raises(CheckpointError, match="belong to asnet, not to hsnet"):
        load_release(target, asnet)
    with pytest.raises(CheckpointError, match="variant fscs"):
        load_release(target, _method(variant="fscs").state_dict())
    head = {key: value for key, value in target.state_dict().items() if not key.startswith("backbone.")}
    with pytest.raises(CheckpointError) as told:
        load_release(target, head)
    assert str(told.value.remedy).startswith("add --backbone-weights FILE")
    deeper = {k.replace("backbone.stem", "backbone.features"): v for k, v in target.state_dict().items()}
    with pytest.raises(CheckpointError, match="they are for vgg16, the method was built with small"):
        load_release(target, deeper)


def test_a_backbone_kept_apart_is_put_together_with_the_head(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    source, target = _method(1), _method(2)
    state = source.state_dict()
    save_file({k: v for k, v in state.items() if not k.startswith("backbone.")}, tmp_path / "head.safetensors")
    bare = {k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")}
    save_file(bare, tmp_path / "backbone.safetensors")
    load_into(target, tmp_path / "head.safetensors", tmp_path / "backbone.safetensors")
    assert _same(source, target)
    with pytest.raises(CheckpointError, match=r"head.safetensors: .*missing: backbone"):
        load_into(target, tmp_path / "head.safetensors")


def test_weights_that_are_in_both_files_are_refused(tmp_path: Path) -> None:
    source = _method(1)
    torch.save(source.state_dict(), tmp_path / "all.pt")
    torch.save({k: v for k, v in source.state_dict().items() if k.startswith("backbone.")}, tmp_path / "backbone.pt")
    with pytest.raises(CheckpointError, match=r"all.pt and .*backbone.pt both hold backbone.stem.0.weight"):
        load_into(_method(2), tmp_path / "all.pt", tmp_path / "backbone.pt")


def test_imagenet_weights_from_before_batch_counters_are_taken(tmp_path: Path) -> None:
    method = fssbench.build("prototype", backbone="small")
    bare = {k.removeprefix("backbone."): torch.ones_like(v) for k, v in method.state_dict().items()}
    counters = [key for key in bare if key.endswith("num_batches_tracked")]
    torch.save({key: value for key, value in bare.items() if key not in counters}, tmp_path / "imagenet.pth")
    load_into(method, tmp_path / "imagenet.pth")
    taken = method.state_dict()
    assert all(taken[f"backbone.{key}"].eq(0 if key in counters else 1).all() for key in bare)
    torch.save({key: value for key, value in bare.items() if key != counters[0]}, tmp_path / "imagenet.pth")
    with pytest.raises(CheckpointError, match=f"missing: backbone.{counters[0]}"):
        load_into(method, tmp_path / "imagenet.pth")
