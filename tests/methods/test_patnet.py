"""PATNet: what the transformation does, what the fine-tuning moves, and by which protocol it evaluates."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.fast.patnet import root_of
from fssbench.methods.catalogue import method_info
from fssbench.methods.patnet import PATNet, PATNetSupport, in_pairs, transform, unit
from tests.methods.narrow import narrow


def _drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _method(variant: str) -> PATNet:
    method = narrow("patnet", variant, 1, 2)
    assert isinstance(method, PATNet)
    return method


def _episode(method: PATNet) -> tuple[tuple[Tensor, ...], list[PATNetSupport], Tensor]:
    """Return a query's maps, two supports, and a label map."""
    images, mask = _drawn(3, 3, 64, 64), torch.zeros(2, 64, 64, dtype=torch.uint8)
    mask[0, 10:40, 8:30], mask[1, 20:60, 30:] = 1, 1
    shots = [method.condition(method.encode(images[n, None]), mask[n, None]) for n in (0, 1)]
    labels = torch.zeros(64, 64, dtype=torch.uint8)
    labels[30:50, 12:44] = 1
    return method.encode(images[2, None]), shots, labels


def test_prototypes_become_the_anchors() -> None:
    prototypes, reference = 3 * _drawn(2, 2, 16), _drawn(2, 2, 16, seed=1)
    moved = transform(unit(prototypes).mT[..., None], prototypes, reference)
    torch.testing.assert_close(moved[..., 0], unit(reference).mT, atol=1e-5, rtol=0)


def test_a_side_without_a_pixel_is_left_out() -> None:
    prototypes, features = _drawn(1, 2, 128), _drawn(1, 128, 5, seed=1)
    for missing in (0, 1):
        alone = prototypes.clone()
        alone[:, missing] = 0
        pairs = in_pairs(features, alone)
        torch.testing.assert_close(pairs[0, missing], torch.zeros(5))
        expected = unit(prototypes[0, 1 - missing]) @ features[0]
        torch.testing.assert_close(pairs[0, 1 - missing], expected, atol=1e-4, rtol=1e-4)


def test_the_root_has_the_products_of_the_anchors() -> None:
    reference = unit(_drawn(3, 2, 32))
    reference[1, 1] = reference[1, 0]
    root = root_of(reference)
    torch.testing.assert_close(root @ root.mT, reference @ reference.mT, atol=1e-6, rtol=0)
    assert (root[:, 0, 1] == 0).all()


def _apart(method: PATNet, query: tuple[Tensor, ...], support: PATNetSupport, labels: Tensor) -> float:
    """Return how far the foregrounds of query and support are, over the maps of the first level."""
    own = method.condition(query, labels[None]).prototypes
    total = 0.0
    for place in range(method.backbone.levels[0]):
        both = torch.stack([own[place][:, 1], support.prototypes[place][:, 1]], dim=2)[..., None]
        ours, theirs = transform(both, support.prototypes[place], support.references[place])[0, :, :, 0].unbind(1)
        total += F.kl_div(ours.log_softmax(dim=0), theirs.softmax(dim=0), reduction="sum").item()
    return total


@torch.inference_mode()
def test_fine_tuning_brings_the_foregrounds_nearer_and_moves_the_first_layer_alone() -> None:
    method = _method("tfi-1e-3")
    method.steps = 50
    query, shots, labels = _episode(method)
    trained = method.reference_layer1.weight.clone()
    tuned = method.fine_tuned(query, shots, labels)
    assert torch.equal(method.reference_layer1.weight, trained)
    before, after = (sum(_apart(method, query, shot, labels) for shot in kept) for kept in (shots, tuned))
    assert after < 0.9 * before
    first = method.backbone.levels[0]
    for place, (old, new) in enumerate(zip(shots[0].references, tuned[0].references, strict=True)):
        assert torch.equal(old, new) == (place >= first)


@torch.inference_mode()
def test_each_episode_starts_from_the_trained_anchors() -> None:
    plain, tfi = _method("plain"), _method("tfi-1e-3")
    tfi.load_state_dict(plain.state_dict())
    query, shots, _ = _episode(plain)
    first, again = (tfi.predict(query, [shots], (64, 64)) for _ in range(2))
    assert torch.equal(first.logits, again.logits)
    coarse = plain.predict(query, [shots], (64, 64))
    assert not torch.equal(first.logits, coarse.logits)
    tuned = tfi.fine_tuned(query, shots, coarse.labels)
    torch.testing.assert_close(first.logits, plain.predict(query, [tuned], (64, 64)).logits)


def test_both_rates_are_the_steps_of_adam() -> None:
    moved = {}
    for variant in ("tfi-1e-3", "tfi-5e-5"):
        method = _method(variant)
        method.steps = 1
        query, shots, labels = _episode(method)
        (new, *_), (old, *_) = method.fine_tuned(query, shots, labels)[0].references, shots[0].references
        moved[variant] = (new - old).abs().max().item()
    # Adam's first step is the rate itself wherever there is a gradient.
    assert moved == {"tfi-1e-3": pytest.approx(1e-3, rel=1e-3), "tfi-5e-5": pytest.approx(5e-5, rel=1e-2)}


def test_gradients_reach_the_anchors_through_the_supports() -> None:
    method = _method("plain")
    query, shots, _ = _episode(method)
    method.score(query, replace(shots[0])).sum().backward()
    for number in (1, 2, 3):
        gradient = method.get_parameter(f"reference_layer{number}.weight").grad
        assert gradient is not None
        assert gradient.abs().max() > 0


def test_the_release_s_data_sets_have_its_protocol() -> None:
    info = method_info("patnet")
    found = {name: info.protocol_for("fss", None, name) for name in ("deepglobe", "isic2018", "chestxray", "fss1000")}
    assert set(found.values()) == {"patnet"}
    assert info.protocol_for("fss", "tfi-5e-5", "fss1000") == "patnet"
    assert {info.protocol_for("fss", "plain", name) for name in ("pascal5i", "coco20i")} == {"hsnet"}
    assert method_info("hsnet").protocol_for("fss", None, "fss1000") == "hsnet"


def test_the_ledger_says_that_fine_tuning_sees_the_query() -> None:
    info = method_info("patnet")
    assert info.facts().adapts == info.facts(variant="plain").adapts == "none"
    assert {info.facts(variant=name).adapts for name in ("tfi-1e-3", "tfi-5e-5")} == {"support and query"}
