"""Every method answers as its release does, for the same weights and inputs."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import fssbench
from fssbench.fast.form import FastForm, fast_form
from fssbench.methods.base.method import Method
from fssbench.methods.base.staged import StagedMethod
from tests.golden import formula
from tests.golden.first_cases import forms_of_cases

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))


def inputs(case: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    def support_mask(support: dict[str, Any]) -> Tensor:
        mask = formula.mask(support["mask_seed"], *support["size"])
        if support["inverted"]:
            mask = 1 - mask
        if support["ignore_from_row"] is not None:
            mask[support["ignore_from_row"] :] = 255
        if "ignore_outside" in support:
            top, bottom, left, right = support["ignore_outside"]
            outside = torch.ones_like(mask, dtype=torch.bool)
            outside[top:bottom, left:right] = False
            mask[outside] = 255
        return mask

    drawn = formula.picture if case.get("pictures") else formula.image
    images = [[drawn(s["image_seed"], *s["size"]) for s in way] for way in case["supports"]]
    masks = [[support_mask(s) for s in way] for way in case["supports"]]
    query = drawn(*case["query"])
    return query, torch.stack([torch.stack(way) for way in images]), torch.stack([torch.stack(way) for way in masks])


def built(case: dict[str, Any], **options: object) -> Method[Any, Any]:
    """Return the method of a case with the formula's weights, loaded as a checkpoint of its release."""
    arguments = dict(case["build"]) | options
    # All cases are of the releases' configurations for PASCAL-5i.
    method = fssbench.build(arguments.pop("method"), trained_on="pascal5i", **arguments)
    if "release_shapes" in case:
        state = formula.release_state(case["release_shapes"], case["overrides"])
    else:
        shapes = {key: tuple(value.shape) for key, value in method.state_dict().items()}
        assert len(shapes) == case["parameters"]
        state = formula.state(shapes, case["overrides"])
    return fssbench.load_release(method, {f"module.{key}": value for key, value in state.items()})


SHARING = {
    *("asgnet", "asnet", "asnet-hm", "bam", "cyctr", "dcama", "hdmnet", "hsnet", "mmnet", "ntrenet", "panet", "pfenet"),
    *("mianet", "sccan", "scl"),
}
"""Methods that have cases with the same backbone, weights and images as others, of their own or of another method."""
STEPS = {"backbone": ("forward",), "encoder": ("forward",), "feature_extractor": ("with_finer",)}
"""By the name that a method gives its backbone: what encodes with it."""


@pytest.fixture(scope="module")
def known_maps() -> Iterator[dict[tuple[object, ...], Any]]:
    """What backbones returned, by their layers, weights and image."""
    known: dict[tuple[object, ...], Any] = {}
    yield known
    known.clear()


def share_backbone(method: Method[Any, Any], known: dict[tuple[object, ...], Any], patch: pytest.MonkeyPatch) -> None:
    """Let cases whose backbones have the same weights and images compute the backbone's maps once.

    Encoding takes nearly all of a case's time.
    """
    backbone: nn.Module
    steps: tuple[str, ...]
    if isinstance(method, StagedMethod):
        backbone, steps = method.stages, ("shallow", "deep")
    else:
        name = next(name for name in STEPS if hasattr(method, name))
        backbone, steps = method.get_submodule(name), STEPS[name]
    weights = 0
    for key, value in backbone.state_dict().items():
        weights = zlib.crc32(value.numpy().tobytes(), zlib.crc32(key.encode(), weights))
    of = (repr(backbone), weights)
    for step in steps:
        patch.setattr(backbone, step, remembered(getattr(backbone, step), (*of, step), known))


def remembered(step: Callable[..., Any], of: tuple[object, ...], known: dict[tuple[object, ...], Any]) -> Any:
    """Return a step that looks up what it returned for the same tensor and options before."""

    def look_up(tensor: Tensor, *options: object) -> Any:
        key = (*of, tensor.shape, zlib.crc32(tensor.numpy().tobytes()), options)
        if key not in known:
            known[key] = step(tensor, *options)
        return known[key]

    return look_up


def _labels(case: dict[str, Any]) -> np.ndarray:
    raw = np.frombuffer(zlib.decompress(base64.b64decode(case["labels"]["packed"])), np.uint8)
    height, width = case["size"]
    flat = raw if case["labels"]["rule"] == "uint8" else np.unpackbits(raw)[: height * width]
    assert zlib.crc32(flat.tobytes()) == case["labels"]["crc32"]
    return flat.reshape(height, width)


def assert_close(actual: Tensor, expected: dict[str, Any], tolerance: float) -> None:
    assert list(actual.shape) == expected["shape"]
    flat = actual.double().flatten().numpy()
    at = np.random.Generator(np.random.PCG64(0)).integers(0, flat.size, size=256)
    # The stored values have seven digits.
    rounding = 1e-6 * max(abs(expected["min"]), abs(expected["max"]))
    sampled = min(96, max(32, len(expected["values"])))  # some cases have only the first 32
    np.testing.assert_allclose(flat[at][:sampled], expected["values"], rtol=0, atol=tolerance + rounding)
    moments = [flat.mean(), flat.std(), flat.min(), flat.max()]
    np.testing.assert_allclose(
        moments, [expected[k] for k in ("mean", "std", "min", "max")], rtol=0, atol=tolerance + rounding
    )


@pytest.mark.parametrize(("form", "path"), forms_of_cases(CASES))
def test_predicts_as_the_release_does(
    form: str, path: Path, known_maps: dict[tuple[object, ...], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = json.loads(path.read_text())
    method = built(case)
    if form == "fast":
        method = fast_form(method)
        assert isinstance(method, FastForm)
    if case["build"]["method"] in SHARING:
        share_backbone(method, known_maps, monkeypatch)
    by_shot: list[Tensor] = []
    if case["shots_apart"]:
        merge = method.merge
        monkeypatch.setattr(method, "merge", lambda logits, size: by_shot.extend(logits) or merge(logits, size))

    query, images, masks = inputs(case)
    size = tuple(case["size"])
    ignored = None
    if "query_ignored_from_row" in case:
        ignored = torch.zeros(query.shape[1:], dtype=torch.bool)
        ignored[case["query_ignored_from_row"] :] = True
    names = case.get("class_names")
    answer = method.segment(query, images, masks, size=size, query_ignored=ignored, class_names=names)

    expected = _labels(case)
    assert int((answer.labels.numpy() != expected).sum()) <= case["differing_pixels"]
    assert answer.labels.dtype == torch.uint8
    if case["present"] is not None:
        assert answer.present.tolist() == case["present"]
    for other in case.get("further", ()):
        changed = built(case, **other["options"]).segment(query, images, masks, size=tuple(other["size"]))
        assert int((changed.labels.numpy() != _labels(other)).sum()) <= other["differing_pixels"]
    if "scores" not in case:  # its scores are of another kind, and are compared with other steps of its method
        return
    scores = answer.logits
    if case["shots_apart"]:
        scores = torch.stack([merge(logits[None], size).logits for logits in by_shot])
    assert_close(scores, case["scores"], case["tolerance"])


@pytest.mark.parametrize("name", ["hsnet-resnet50-1shot", pytest.param("hsnet-vgg16-1shot", marks=pytest.mark.slow)])
def test_intermediate_tensors_agree(name: str) -> None:
    case = json.loads((Path(__file__).parent / "cases" / f"{name}.json").read_text())
    arguments = dict(case["build"])
    method = fssbench.build(arguments.pop("method"), **arguments)
    shapes = {key: tuple(value.shape) for key, value in method.state_dict().items()}
    method.load_state_dict(formula.state(shapes, case["overrides"]))
    query, images, masks = inputs(case)

    from fssbench.layers.hypercorrelation import hypercorrelation

    with torch.inference_mode():
        features = method.encode(query[None])
        support = method.condition(method.encode(images[0]), masks[0])
        pyramid = hypercorrelation(features, support, method.backbone.levels)
    for tensor, key in ((features[0], "query_feature_first"), (pyramid[0], "corr_l4"), (pyramid[2], "corr_l2")):
        assert list(tensor.shape) == case[key]["shape"]
        assert tensor.mean().item() == pytest.approx(case[key]["mean"], abs=1e-5)
        assert tensor.double().std(correction=0).item() == pytest.approx(case[key]["std"], abs=1e-5)


def test_the_precision_of_the_mask_resize_matters() -> None:
    """The trap that moves thousands of pixels: float32 leaves 1e-6 beside the object, float64 leaves 0."""
    from fssbench.layers.masks import resize_mask

    masks = torch.stack([formula.mask(seed, 400, 400) for seed in range(21, 26)])
    kept = resize_mask(masks, torch.empty(1, 1, 50, 50))
    exact = F.interpolate(masks[:, None].double(), (50, 50), mode="bilinear", align_corners=True)
    assert kept.dtype == torch.float32
    assert ((kept > 0) & (kept < 1e-4)).any()
    assert not ((exact > 1e-12) & (exact < 1e-4)).any()
