"""Fast forms on a backbone in stages against the methods themselves, and what they keep of a support."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fssbench
from fssbench.fast.form import fast_form
from fssbench.fast.prior import KeptColumns
from fssbench.fast.staged import FastStaged, SharedMaps, averaged, bounding_box
from fssbench.layers import devices
from fssbench.layers.masks import masked_average
from fssbench.methods.base.method import Prediction
from fssbench.methods.base.staged import StagedMethod, StageMaps

# Objects in the middle, at two borders, everywhere, nowhere, and of two parts, of images of 137 x 105 pixels.
OBJECTS = {
    "middle": [(60, 80, 50, 60)],
    "borders": [(0, 20, 80, 105)],
    "everywhere": [(0, 137, 0, 105)],
    "nowhere": [],
    "parts": [(10, 30, 10, 30), (90, 100, 70, 75)],
}
METHODS = [
    ("pfenet", "resnet50", "fss", 1),
    ("pfenet", "resnet50", "fscs", 2),
    ("pfenet", "vgg16", "fss", 1),
    ("pfenet", "small", "fss", 1),
    ("ntrenet", "small", "full", 1),
    ("ntrenet", "small", "baseline", 1),
    ("bam", "small", None, 1),
    ("asgnet", "small", None, 1),
    ("mmnet", "small", None, 1),
    ("mmt", "small", "full", 1),
]


def _mask(kind: str) -> Tensor:
    mask = torch.zeros(1, 137, 105, dtype=torch.uint8)
    for top, bottom, left, right in OBJECTS[kind]:
        mask[:, top:bottom, left:right] = 1
    return mask


def _drawn(method: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(2)
    for part in method.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.weight, part.bias, part.running_mean, part.running_var):
                assert tensor is not None
                with torch.no_grad():
                    tensor.copy_(0.5 * torch.rand(tensor.shape, generator=generator) + 0.3)
    return method


def _both(
    name: str, backbone: str, variant: str | None, way: int = 1, shot: int = 1, **options: Any
) -> tuple[StagedMethod[Any, Any], FastStaged]:
    """Return a method and its fast form."""
    torch.manual_seed(0)
    arguments = {} if variant is None else {"variant": variant}
    method = fssbench.build(name, backbone=backbone, way=way, shot=shot, width=8, **arguments, **options)
    assert isinstance(method, StagedMethod)
    _drawn(method)
    form = fast_form(method)
    assert isinstance(form, FastStaged)
    return method, form


def _image(seed: int, count: int = 1) -> Tensor:
    return torch.randn(count, 3, 137, 105, generator=torch.Generator().manual_seed(seed))


def _predicted(method: Any, masks: list[list[Tensor]], *, ready: bool, seed: int = 0) -> Prediction:
    supports = [
        [method.condition(method.encode(_image(seed + 2 * n + k)), mask) for k, mask in enumerate(shots)]
        for n, shots in enumerate(masks)
    ]
    query = method.encode(_image(seed + 9))
    if ready:
        query = method.prepare_query(method.prepare_query(query))
        assert not isinstance(query, StageMaps)
    prediction: Prediction = method.predict(query, supports, (61, 47))
    return prediction


@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize("backbone", ["resnet50", "vgg16", "small"])
def test_masked_layer4_is_that_of_the_whole_map(backbone: str, kind: str) -> None:
    method, form = _both("pfenet", backbone, "fss")
    with torch.inference_mode():
        whole = method.masked_layer4(method.encode(_image(0)), _mask(kind))
        kept = form.masked_layer4(form.encode(_image(0)), _mask(kind))
    assert isinstance(kept, KeptColumns)
    scale = max(whole.abs().max().item(), 1e-3)
    torch.testing.assert_close(kept.spread(), whole, atol=1e-5 * scale, rtol=0)
    if kind == "middle":
        assert kept.columns.nbytes < whole.nbytes / 5


@pytest.mark.parametrize(("name", "backbone", "variant", "way"), METHODS)
@pytest.mark.parametrize("shot", [1, 5])
def test_fast_forms_predict_as_the_methods_do(
    name: str, backbone: str, variant: str | None, way: int, shot: int
) -> None:
    if shot == 5 and backbone != "small":
        shot = 2  # merged by the same lines, in less time
    method, form = _both(name, backbone, variant, way, shot)
    kinds = ["middle", "parts", "borders", "nowhere", "everywhere"]
    masks = [[_mask(kinds[(n + k) % 5]) for k in range(shot)] for n in range(way)]
    with torch.inference_mode():
        plain = _predicted(method, masks, ready=False)
        raw, prepared = _predicted(form, masks, ready=False), _predicted(form, masks, ready=True)
    assert torch.equal(raw.logits, prepared.logits)
    scale = plain.logits.abs().max().item()
    torch.testing.assert_close(prepared.logits, plain.logits, atol=2e-4 * scale, rtol=0)
    assert (prepared.labels != plain.labels).sum() <= 3
    assert torch.equal(prepared.present, plain.present)
    if plain.base is not None:
        assert prepared.base is not None
        assert (prepared.base != plain.base).sum() <= 3


@pytest.mark.parametrize(
    ("name", "variant"), [("pfenet", "fss"), ("bam", None), ("asgnet", None), ("mmnet", None), ("ntrenet", "full")]
)
@pytest.mark.parametrize("jointly", [True, False])
@pytest.mark.usefixtures("threads_restored")
def test_several_episodes_are_predicted_as_the_method_does_each(
    name: str, variant: str | None, jointly: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, form = _both(name, "small", variant, shot=2)
    # A mask of all leaves a prior whose cosines are so much alike that float32 itself is 2e-3 from float64.
    kinds = ["middle", "borders", "parts", "borders", "nowhere", "middle"]
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        with torch.inference_mode():
            kept = [form.condition(form.encode(_image(n)), _mask(kind)) for n, kind in enumerate(kinds)]
            queries = [form.prepare_query(form.encode(_image(9 + n))) for n in range(3)]
            supports = [[[kept[n], kept[n + 3]]] for n in range(3)]
            with monkeypatch.context() as patch:
                patch.setattr(devices, "SERIAL_ON", frozenset() if jointly else frozenset({"cpu"}))
                found.append(form.predict_many(queries, supports, [(61, 47), (50, 40), (61, 47)]))
    with torch.inference_mode():
        kept = [method.condition(method.encode(_image(n)), _mask(kind)) for n, kind in enumerate(kinds)]
        for n, (one, two) in enumerate(zip(*found, strict=True)):
            plain = method.predict(method.encode(_image(9 + n)), [[kept[n], kept[n + 3]]], tuple(one.labels.shape))
            scale = plain.logits.abs().max().item()
            torch.testing.assert_close(one.logits, plain.logits, atol=2e-4 * scale, rtol=0)
            torch.testing.assert_close(two.logits, plain.logits, atol=2e-4 * scale, rtol=0)
            assert (one.labels != plain.labels).sum() <= 3
            assert torch.equal(one.labels, two.labels)


@pytest.mark.parametrize(
    ("name", "variant"), [("pfenet", "fss"), ("bam", None), ("asgnet", None), ("mmnet", None), ("ntrenet", "full")]
)
def test_in_bfloat16_a_fast_form_is_as_near_to_float32_as_its_method(name: str, variant: str | None) -> None:
    method, form = _both(name, "small", variant)
    masks = [[_mask("middle")]]
    with torch.inference_mode():
        exact = _predicted(method, masks, ready=False).logits
        with torch.autocast("cpu", torch.bfloat16):
            plain, fast = (_predicted(one, masks, ready=True).logits for one in (method, form))
    scale = exact.abs().max()
    distances = [((logits - exact).abs().mean() / scale).item() for logits in (plain, fast)]
    assert distances[1] <= 1.5 * distances[0] + 1e-3


@pytest.mark.parametrize("per_way_prior", [True, False])
def test_a_prior_of_each_way_is_that_of_the_method(per_way_prior: bool) -> None:
    method, form = _both("pfenet", "small", "fscs", 2, 2, per_way_prior=per_way_prior)
    masks = [[_mask("middle"), _mask("parts")], [_mask("borders"), _mask("middle")]]
    with torch.inference_mode():
        plain, fast = _predicted(method, masks, ready=False), _predicted(form, masks, ready=True)
    scale = plain.logits.abs().max().item()
    torch.testing.assert_close(fast.logits, plain.logits, atol=2e-4 * scale, rtol=0)


def test_layer4_is_computed_once_and_copies_share_it() -> None:
    method, form = _both("bam", "small", None)
    calls: list[int] = []
    for network in (method.stages, form.stages):
        network.get_submodule("backbone.layer4").register_forward_hook(lambda *_: calls.append(1))
    with torch.inference_mode():
        maps = form.encode(_image(0))
        other = SharedMaps(maps.layer2, maps.layer3, maps.size, maps.deep)
        assert torch.equal(form.layer4_of(maps), form.layer4_of(other))
        assert len(calls) == 1
        kept = [form.masked_layer4(part, _mask(kind)) for part in (maps, other) for kind in ("middle", "parts")]
        assert len(calls) == 3
        assert kept[0] is kept[2]
        assert kept[1] is kept[3]
        whole = method.encode(_image(0))
        assert not torch.equal(method.layer4_of(whole), torch.zeros(1))
        method.layer4_of(whole)
    assert len(calls) == 5


def test_the_base_learner_is_run_once_for_a_query() -> None:
    _, form = _both("bam", "small", None, base_width=8)
    calls: list[int] = []
    form.get_submodule("learner_base").register_forward_hook(lambda *_: calls.append(1))
    with torch.inference_mode():
        maps = form.encode(_image(0))
        support = form.condition(form.encode(_image(1)), _mask("middle"))
        assert not calls
        query = form.prepare_query(maps)
        predictions = [form.predict(query, [[support]], (40, 50)) for _ in range(2)]
    assert len(calls) == 1
    assert predictions[0].base is not None
    assert (predictions[0].base.dtype, predictions[0].base.shape) == (torch.uint8, (40, 50))


def test_a_query_made_ready_is_smaller_than_its_maps() -> None:
    _, form = _both("asgnet", "resnet50", None)
    with torch.inference_mode():
        maps = form.encode(_image(0))
        ready = form.prepare_query(maps)
    assert vars(ready).keys() == {"reduced", "size"}
    assert ready.reduced.nbytes < maps.layer3.nbytes / 10


def test_the_box_around_weights() -> None:
    weights = torch.zeros(2, 1, 6, 5)
    assert bounding_box(weights) == (0, 1, 0, 1)
    weights[0, 0, 2, 3] = 1e-7
    weights[1, 0, 4, 1] = 1
    assert bounding_box(weights) == (2, 5, 1, 4)


def test_an_average_is_the_masked_average() -> None:
    generator = torch.Generator().manual_seed(0)
    features, mask = torch.randn(2, 5, 6, 7, generator=generator), torch.rand(2, 1, 6, 7, generator=generator)
    mask[1] = 0
    torch.testing.assert_close(averaged(features, mask), masked_average(features, mask))
