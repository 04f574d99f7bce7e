"""The method of each fold: methods that share one encoder, or one method that loads one fold after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import fssbench
from fssbench.engine.fold_methods import copy_sharing_encoder, fold_methods
from fssbench.errors import CheckpointError
from fssbench.methods.base.method import Method
from fssbench.methods.catalogue import list_methods, method_info
from fssbench.planning.weights import Source
from tests.methods.narrow import OPTIONS

SHARING = {
    "hsnet": 96,
    "asnet": 144,
    "asnet-hm": 144,
    "mmt": 96,
    "pfenet": 96,
    "ntrenet": 96,
    "bam": 96,
    "hdmnet": 96,
    "asgnet": 96,
    "mianet": 96,
    "mmnet": 96,
    "cyctr": 96,
    "dcama": 96,
    "sccan": 96,
    "patnet": 96,
    "vat": 96,
    "canet": 96,
    "scl": 96,
}
"""Trained methods that say what their encoder is, and the side of images that each can take."""


def built(name: str, seed: int) -> Method[Any, Any]:
    torch.manual_seed(seed)
    return fssbench.build(name, method_info(name).small_backbone_for(), **OPTIONS.get(name, {}))


def written(folder: Path, name: str, *, one_encoder: bool, folds: int = 3) -> dict[int, Source]:
    sources = {}
    for fold in range(folds):
        method = built(name, fold)
        if one_encoder and method.shared_encoder is not None:
            encoder = built(name, 9).shared_encoder
            assert encoder is not None
            method.shared_encoder.load_state_dict(encoder.state_dict())
        path = folder / f"{fold}.pt"
        torch.save(method.state_dict(), path)
        sources[fold] = Source("checkpoint", (path,))
    return sources


def same_state(method: Method[Any, Any], source: Source) -> bool:
    own, stored = method.state_dict(), torch.load(source.paths[0])
    return own.keys() == stored.keys() and all(torch.equal(own[key], stored[key]) for key in own)


def predict_logits(method: Method[Any, Any], size: int = 96) -> torch.Tensor:
    torch.manual_seed(0)
    mask = torch.zeros(1, 1, size, size, dtype=torch.uint8)
    mask[..., 20:70, 30:80] = 1
    return method.eval().segment(torch.randn(3, size, size), torch.randn(1, 1, 3, size, size), mask).logits


def test_no_method_that_shares_its_encoder_is_left_out():
    trained = [name for name in list_methods() if method_info(name).trainable]
    assert {name for name in trained if built(name, 0).shared_encoder is not None} == set(SHARING)


@pytest.mark.parametrize("name", SHARING)
def test_folds_hold_one_encoder_and_heads_of_their_own(tmp_path: Path, name: str):
    method = built(name, 5)
    sources = written(tmp_path, name, one_encoder=True)
    found = fold_methods(method, sources)
    assert found.all_in_memory
    methods = [found.method_of(fold) for fold in sources]
    assert methods[0] is method
    for method_of_fold, source in zip(methods, sources.values(), strict=True):
        assert same_state(method_of_fold, source)
        fresh = built(name, 6)
        fresh.load_state_dict(torch.load(source.paths[0]))
        assert torch.equal(predict_logits(method_of_fold, SHARING[name]), predict_logits(fresh, SHARING[name]))
    encoder = method.shared_encoder
    assert encoder is not None
    frozen = {id(part) for part in encoder.parameters()}
    shared = [{id(part) for part in one.parameters()} for one in methods]
    assert frozen
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert shared[one] & shared[other] == frozen
    assert all(one.shared_encoder is encoder for one in methods)


@pytest.mark.parametrize("name", ["hsnet", "pfenet"])
def test_encoders_that_differ_in_the_last_fold_alone_are_held_one_at_a_time(tmp_path: Path, name: str):
    method = built(name, 5)
    sources = written(tmp_path, name, one_encoder=True)
    other = written(tmp_path, name, one_encoder=False, folds=1)
    found = fold_methods(method, sources | other)
    assert not found.all_in_memory
    for fold in (0, 2, 1, 1):
        assert found.method_of(fold) is method
        assert same_state(method, sources[fold])


def test_a_method_that_says_nothing_of_its_encoder_holds_one_fold_at_a_time(tmp_path: Path):
    method = built("panet", 5)
    assert method.shared_encoder is None
    found = fold_methods(method, written(tmp_path, "panet", one_encoder=True))
    assert not found.all_in_memory


def test_one_set_of_weights_is_one_method_for_all_folds():
    method = built("panet", 5)
    found = fold_methods(method, dict.fromkeys(range(4), Source("random", seed=5)))
    assert found.all_in_memory
    assert all(found.method_of(fold) is method for fold in range(4))


def test_weights_of_a_later_fold_that_do_not_fit_are_told_before_anything_is_done(tmp_path: Path):
    sources = written(tmp_path, "hsnet", one_encoder=True)
    torch.save({"nothing": torch.zeros(1)}, sources[2].paths[0])
    with pytest.raises(CheckpointError, match=r"2\.pt"):
        fold_methods(built("hsnet", 5), sources)


def test_a_head_that_is_moved_leaves_the_others_alone():
    method = built("hsnet", 1)
    encoder = method.shared_encoder
    assert encoder is not None
    other = copy_sharing_encoder(method, encoder)
    before = predict_logits(method)
    with torch.no_grad():
        for parameter in other.hpn_learner.parameters():
            parameter.zero_()
    assert torch.equal(predict_logits(method), before)
    assert not torch.equal(predict_logits(other), before)
