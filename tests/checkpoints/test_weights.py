"""Tensors that load without an error and can be no weights are refused by name, and the method stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import fssbench
from fssbench.checkpoints import load_into, load_release, read_state
from fssbench.errors import BrokenFileError, CheckpointError
from fssbench.methods.base.method import Method
from fssbench.training.run import load_backbone

KERNEL, BIAS, COUNTER = (
    "hpn_learner.decoder2.2.weight",
    "hpn_learner.decoder2.2.bias",
    "backbone.stem.1.num_batches_tracked",
)


def _method(seed: int = 0) -> Method[Any, Any]:
    torch.manual_seed(seed)
    return fssbench.build("hsnet", backbone="small", channels=(4, 4, 4))


@pytest.fixture(scope="module")
def sound() -> dict[str, Tensor]:
    return dict(_method(1).state_dict())


def _filled(value: float, dtype: torch.dtype | None = None) -> Callable[[Tensor], Tensor]:
    def change(weight: Tensor) -> Tensor:
        changed = weight.to(dtype or weight.dtype, copy=True)
        changed.view(-1)[-1] = value
        return changed

    return change


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        (BIAS, _filled(float("nan")), r"decoder2.2.bias is not finite: 1 of its 2 values"),
        (BIAS, _filled(float("-inf")), r"decoder2.2.bias is not finite: 1 of its 2 values"),
        (KERNEL, _filled(float("inf"), torch.float16), r"decoder2.2.weight is not finite: 1 of its"),
        (KERNEL, _filled(1e300, torch.float64), r"decoder2.2.weight is not finite: 1 of its"),
        ("backbone.stem.1.running_var", _filled(float("nan")), r"running_var is not finite: 1 of its"),
        (COUNTER, lambda w: w.float() * float("nan"), r"num_batches_tracked is not finite: 1 of its 1 values"),
        (COUNTER, lambda w: w.float() + 0.5, r"num_batches_tracked holds float32 where the method has int64"),
        (COUNTER, lambda w: w.bool(), r"num_batches_tracked holds bool where the method has int64"),
        (KERNEL, lambda w: w.to(torch.int8), r"decoder2.2.weight holds int8 where the method has float32"),
        (KERNEL, lambda w: w.to(torch.uint16), r"decoder2.2.weight holds uint16 where the method has float32"),
        (KERNEL, lambda w: w > 0, r"decoder2.2.weight holds bool where the method has float32"),
        (KERNEL, lambda w: w.to(torch.float8_e4m3fn), r"decoder2.2.weight holds float8_e4m3fn, whose scale"),
        (KERNEL, lambda w: w.to(torch.float8_e5m2), r"decoder2.2.weight holds float8_e5m2, whose scale"),
        (KERNEL, lambda w: w.to(torch.complex64), r"decoder2.2.weight holds complex numbers"),
        (KERNEL, lambda w: w.to_sparse(), r"decoder2.2.weight is not a dense tensor \(sparse_coo\)"),
        (KERNEL, lambda w: w.reshape(2, -1).to_sparse_csr(), r"decoder2.2.weight is not a dense tensor \(sparse_csr\)"),
        (KERNEL, lambda w: w.to("meta"), r"decoder2.2.weight has a shape but no values"),
    ],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_what_can_be_no_weight_is_refused_by_name(
    key: str, change: Callable[[Tensor], Tensor], message: str, sound: dict[str, Tensor], tmp_path: Path
) -> None:
    target = _method(2)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    state = {**sound, key: change(sound[key])}
    with pytest.raises(CheckpointError, match=message):
        load_release(target, state)
    torch.save(state, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=rf"model.pt: .*{message}"):
        load_into(target, tmp_path / "model.pt")
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_quantised_weights_are_refused(sound: dict[str, Tensor], tmp_path: Path) -> None:
    state = {**sound, KERNEL: torch.quantize_per_tensor(sound[KERNEL], 0.1, 0, torch.qint8)}
    torch.save(state, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"decoder2.2.weight is quantised \(qint8\)"):
        load_into(_method(2), tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("", "all weights of the backbone are zero"),
        ("backbone.", "all weights of the backbone are zero"),
        ("hpn_learner.", "all weights of the network behind the backbone are zero"),
    ],
)
def test_weights_that_are_zero_throughout_are_refused(where: str, message: str, sound: dict[str, Tensor]) -> None:
    state = {key: torch.zeros_like(value) if key.startswith(where) else value for key, value in sound.items()}
    with pytest.raises(CheckpointError, match=message):
        load_release(_method(2), state)


def test_an_empty_classifier_does_not_hide_an_empty_backbone() -> None:
    method = fssbench.build("prototype", backbone="resnet50")
    state = {key: torch.zeros_like(value) for key, value in method.state_dict().items()}
    with pytest.raises(CheckpointError, match="all weights of the backbone are zero"):
        load_release(method, state | {"backbone.fc.weight": torch.ones_like(state["backbone.fc.weight"])})


def test_a_kernel_that_is_zero_is_named_and_counters_in_floating_point_are_taken(
    sound: dict[str, Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    load_release(_method(2), sound)
    assert caplog.messages == []
    target = _method(2)
    state = {**sound, KERNEL: torch.zeros_like(sound[KERNEL]), COUNTER: torch.tensor(100.0)}
    load_release(target, state)
    assert not target.state_dict()[KERNEL].any()
    assert target.state_dict()[COUNTER] == 100
    kernels = sum(value.ndim >= 2 for value in sound.values())
    assert caplog.messages == [f"1 of {kernels} kernels are zero throughout, the first {KERNEL}"]


def test_values_whose_sum_is_too_large_are_finite(sound: dict[str, Tensor]) -> None:
    large = torch.full_like(sound[KERNEL], 3e38)
    load_release(_method(2), {**sound, KERNEL: large.double() * 1e-300, BIAS: large.view(-1)[:2]})
    with pytest.raises(CheckpointError, match="not finite: 2 of its 2 values"):
        load_release(_method(2), {**sound, BIAS: torch.full((2,), 1.7e308, dtype=torch.float64)})


def test_a_file_without_a_record_is_looked_at_as_well(sound: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({"any": torch.tensor([1.0, float("nan")])}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"model.pt: any is not finite: 1 of its 2 values"):
        read_state(tmp_path / "model.pt")


def test_a_tensor_may_not_claim_more_values_than_the_file_has_bytes(tmp_path: Path) -> None:
    torch.save({"any": torch.zeros(1).expand(10**6, 10**6)}, tmp_path / "model.pt")
    with pytest.raises(BrokenFileError, match="claims 1000000000000 values"):
        read_state(tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w * 0, "backbone.pt: all weights of the backbone are zero"),
        (lambda w: w.int(), "backbone.pt: backbone.stem.0.weight holds int32"),
        (lambda w: w * float("inf"), "backbone.pt: stem.0.weight is not finite"),
    ],
)
def test_training_refuses_such_a_backbone(
    change: Callable[[Tensor], Tensor], message: str, sound: dict[str, Tensor], tmp_path: Path
) -> None:
    bare = {key.removeprefix("backbone."): value for key, value in sound.items() if key.startswith("backbone.")}
    torch.save({key: change(value) for key, value in bare.items()}, tmp_path / "backbone.pt")
    with pytest.raises(CheckpointError, match=message):
        load_backbone(_method(2), "small", tmp_path / "backbone.pt")
