"""The steps of training-free methods agree with their releases, where a mask would hide a difference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fssbench.methods.base.method import Method
from fssbench.methods.fssdino import FSSDino, gram_matrix
from fssbench.methods.insid3 import INSID3
from fssbench.methods.seggpt import SegGPT
from tests.golden.first_cases import first_of_each_method
from tests.golden.test_golden import CASES, assert_close, built, inputs

STAGED = [path for path in CASES if "stages" in json.loads(path.read_text())]


def _supports(method: Method[Any, Any], images: Tensor, masks: Tensor) -> list[Any]:
    return [method.condition(method.encode(image[None]), mask[None]) for image, mask in zip(images, masks, strict=True)]


@torch.inference_mode()
def _fssdino(method: FSSDino, query: Tensor, images: Tensor, masks: Tensor) -> dict[str, Any]:
    target = method.encode(query[None])
    supports = [_supports(method, *way) for way in zip(images, masks, strict=True)]
    classes = method.class_patches(supports)
    prototypes = method.prototypes(classes)
    every = [target, *(method.encode(image[None]) for image in images.flatten(0, 1))]
    return {
        "features": torch.cat([maps.features.flatten(2).transpose(1, 2) for maps in every]),
        "class_patches": [len(patches) for patches in classes],
        "prototypes": torch.cat(prototypes),
        "gram": torch.stack([gram_matrix(patches) for patches in classes]),
        "similarity_maps": torch.cat(
            [
                method.similarity_maps(target.features[0], centres, patches)
                for centres, patches in zip(prototypes, classes, strict=True)
            ]
        ),
        "pixel_scores": method.scores(target, supports).amax(dim=0),
    }


@torch.inference_mode()
def _insid3(method: INSID3, query: Tensor, images: Tensor, masks: Tensor) -> dict[str, Any]:
    target = method.encode(query[None])
    references = _supports(method, images[0], masks[0])
    prototype = method.prototype(references)
    names: dict[int, int] = {}
    return {
        "features": method.backbone.network(torch.cat([images[0], query[None]])),
        "projector": method.backbone.projector(query[None]),
        "debiased_target": target.debiased[0],
        "prototype": prototype,
        "forward_similarity": torch.einsum("chw,c->hw", target.debiased[0], prototype),
        "candidates": method.candidates(target.debiased[0], references, prototype).flatten().int().tolist(),
        # Named by first appearance.
        "clusters": [names.setdefault(one, len(names)) for one in method.clusters(target.features[0]).tolist()],
        "mask_patches": method.mask(target, references).flatten().int().tolist(),
    }


@torch.inference_mode()
def _seggpt(method: SegGPT, query: Tensor, images: Tensor, masks: Tensor) -> dict[str, Any]:
    target = method.encode(query[None])
    prompts = _supports(method, images[0], masks[0])
    painted = method.painted(target, prompts)
    return {
        "latent": torch.stack(method.latent(method.embedded(target, prompts))),
        "raw": painted,
        "output": method.colours(painted).permute(1, 2, 0),
    }


STEPS = {"fssdino": _fssdino, "insid3": _insid3, "seggpt": _seggpt}


@pytest.mark.parametrize("path", first_of_each_method(STAGED))
def test_each_step_is_that_of_the_release(path: Path) -> None:
    case = json.loads(path.read_text())
    name = case["build"]["method"]
    found = STEPS[name](built(case), *inputs(case))  # type: ignore[operator]
    assert found.keys() == case["stages"].keys() | case["exact"].keys()
    for step, expected in case["stages"].items():
        assert_close(found[step], expected, expected["tolerance"])
    for step, expected in case["exact"].items():
        np.testing.assert_array_equal(found[step], expected, err_msg=step)
