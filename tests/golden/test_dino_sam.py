"""GF-SAM, Matcher and PerSAM agree with their releases on the way to the mask: points, masks, scores."""

from __future__ import annotations

import json
import random
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fssbench.methods import gfsam, matcher, persam
from tests.golden.test_golden import CASES, built, inputs

Found = dict[str, Any]
WITH_OUTPUTS = [path for path in CASES if "outputs" in json.loads(path.read_text())]


def _gfsam(method: gfsam.GFSAM, query: Tensor, image: Tensor, mask: Tensor) -> Found:
    target = method.prepare_query(method.encode(query[None]))
    support = method.condition(method.encode(image[None]), mask[None])
    alignment = gfsam.align(target.tokens, [support])
    values = gfsam.point_map(alignment)
    points = gfsam.choose_points(values)
    masks = method.masks(target, points)
    clusters = gfsam.cluster(masks, points, values.shape[0])
    grown, scores = gfsam.positive_gate(masks, clusters, alignment)
    consistent = gfsam.overshooting_gate(masks, clusters, points, target.tokens)
    return {
        "reference_features": support.tokens,
        "sam_embedding": target.embedded,
        "similarity_max": alignment.maximum[None],
        "similarity_mean": alignment.positive[None],
        "negative_mean": alignment.negative[None],
        "point_map": values[None],
        "points_xy_feature": points,
        "points_xy_sam": method.sam.frame(target.size).points(points, of=(37, 37)).int(),
        "sam_mask_areas": masks.flatten(1).sum(dim=1),
        "weak_components": clusters,
        "growth_labels": grown.int(),
        "selection_labels": torch.where(grown & consistent, 1, 2 * (grown | consistent).int()),
        "cls_scores": scores,
    }


def _matcher(method: matcher.Matcher, query: Tensor, image: Tensor, mask: Tensor) -> Found:
    target = method.prepare_query(method.encode(query[None]))
    support = method.condition(method.encode(image[None]), mask[None])
    matching = method.match(target, [support])
    points = matching.points
    if not method.settings.use_points_or_centers:
        points = matcher.centres(points, method.settings.num_centers, torch.Generator().manual_seed(0))
    drawn = matcher.subsets(points, method.settings, random.Random(0))  # noqa: S311
    numbers = torch.cat([group.flatten() for group in drawn]).numpy()
    found = method.proposals(target, drawn, matching.points)
    metrics = method.measure(matching, found.masks)
    steps = {
        "reference_patches": int(support.patches.sum()),
        "reference_features": support.tokens[0],
        "similarity": support.tokens[0] @ target.tokens[0].T,
        "points_xy": matching.points,
        "prompts": {"count": len(numbers), "crc32": zlib.crc32(numbers.astype(np.int64).tobytes())},
        "areas": found.masks.flatten(1).sum(dim=1),
        "predicted_iou": found.quality,
        "stability": found.stability,
        "purity": metrics.purity,
        "coverage": metrics.coverage,
        "emd_score": metrics.emd,
    }
    return steps if method.settings.use_points_or_centers else steps | {"centers_xy": points}


def _persam(method: persam.PerSAM, query: Tensor, image: Tensor, mask: Tensor) -> Found:
    target = method.condition(method.encode(image[None]), mask[None])[0]
    features = method.encode(query[None])
    similarity = method.similarity(features, target)
    passes = method.passes(features.embedding, method.sam.frame(features.size), similarity, target)
    return {
        "similarity": similarity,
        "points_xy": persam.extremes(similarity),
        "low_res": list(passes.low),
        "scores": list(passes.quality),
        "box_xyxy": passes.box,
    }


STEPS: dict[str, Any] = {"gfsam": _gfsam, "matcher": _matcher, "persam": _persam}
DIFFERING = {"growth_labels", "selection_labels"}
"""Of these the tolerance is the number of values that may differ."""


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if "-fss" in path.stem else [])
        for path in WITH_OUTPUTS
    ],
)
def test_each_step_is_that_of_the_release(path: Path) -> None:
    case = json.loads(path.read_text())
    query, images, masks = inputs(case)
    with torch.inference_mode():
        found = STEPS[case["build"]["method"]](built(case), query, images[0, 0], masks[0, 0])
    assert found.keys() == case["outputs"].keys()
    tolerances = case["tolerances"]
    for step, expected in case["outputs"].items():
        if step in DIFFERING:
            assert int((found[step].numpy() != np.array(expected)).sum()) <= tolerances[f"{step}_differing"], step
        else:
            _compare(step, found[step], expected, tolerances.get(step, 0))


def _compare(step: str, found: Any, expected: Any, tolerance: Any) -> None:
    if isinstance(found, list):
        each = tolerance if isinstance(tolerance, list) else [tolerance] * len(found)
        for one, stored, own in zip(found, expected, each, strict=True):
            _compare(step, one, stored, own)
    elif not isinstance(found, Tensor):
        assert found == expected, step
    elif isinstance(expected, dict):
        assert list(found.shape) == expected["shape"], step
        flat = found.double().flatten().numpy()
        at = np.random.Generator(np.random.PCG64(0)).integers(0, flat.size, size=256)[: len(expected["values"])]
        moments = [flat.mean(), flat.std(), flat.min(), flat.max()]
        stored = [*expected["values"], *(expected[key] for key in ("mean", "std", "min", "max"))]
        rounding = 1e-6 * max(abs(expected["min"]), abs(expected["max"]))  # stored values have seven digits
        np.testing.assert_allclose([*flat[at], *moments], stored, rtol=0, atol=tolerance + rounding, err_msg=step)
    else:
        np.testing.assert_allclose(found.double().numpy(), expected, rtol=0, atol=tolerance + 1e-6, err_msg=step)
