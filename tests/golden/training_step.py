"""One training step as figures: the batch of a stored case by formula, and what a step gave, as a case stores it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fssbench.methods.base.method import TrainingBatch
from tests.golden import formula

SAMPLED = 3
"""Values kept of a tensor, beside its norm."""


def picture(case: Mapping[str, Any], size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return an image float64 (3, H, W) and its mask uint8 (H, W).

    The ellipse of the seed, if there is one, is in the middle; it is moved by `shift`, and what leaves on one side
    comes in on the other. `rim` names rows labelled 255.
    """
    mask = torch.zeros(*size, dtype=torch.uint8) if case["mask"] is None else formula.mask(case["mask"], *size)
    mask = torch.roll(mask, tuple(case.get("shift", (0, 0))), (0, 1))
    first, stop = case.get("rim", (0, 0))
    mask[first:stop] = 255
    return formula.image(case["image"], *size).double(), mask


def batch(case: Mapping[str, Any]) -> TrainingBatch:
    """Return the batch of a case, in float64.

    A query's masks are those of its supports' classes: its own ellipse is the class of the way `class`, or of none
    where that is 0.
    """
    size, episodes = case["size"], case["episodes"]
    ways = len(episodes[0]["supports"])
    queries, masks, supports, support_masks = [], [], [], []
    for episode in episodes:
        image, mask = picture(episode["query"], size)
        queries.append(image)
        rim = mask == 255
        shown = episode["query"].get("class", 1)
        masks.append(torch.stack([torch.where(rim | (n == shown), mask, 0) for n in range(1, ways + 1)]))
        drawn = [[picture(shot, size) for shot in way] for way in episode["supports"]]
        supports.append(torch.stack([torch.stack([its[0] for its in way]) for way in drawn]))
        support_masks.append(torch.stack([torch.stack([its[1] for its in way]) for way in drawn]))
    return TrainingBatch(
        query=torch.stack(queries),
        query_masks=torch.stack(masks),
        supports=torch.stack(supports),
        support_masks=torch.stack(support_masks),
        classes=torch.tensor([episode.get("places", [0] * ways) for episode in episodes]),
        query_labels=base_labels(case),
        class_names=[episode["names"] for episode in episodes if "names" in episode],
    )


def base_labels(case: Mapping[str, Any]) -> Tensor:
    """Return label maps uint8 (B, H, W): a query's ellipse has the label 1 + the place of its class."""
    labels = []
    for episode in case["episodes"]:
        _, mask = picture(episode["query"], case["size"])
        shown = episode["query"].get("class", 1)
        place = episode.get("places", [0] * len(episode["supports"]))[shown - 1] if shown else -1
        labels.append(torch.where(mask == 1, 1 + place, mask).to(torch.uint8))
    return torch.stack(labels)


def fill(module: nn.Module, overrides: Mapping[str, Sequence[float]]) -> None:
    """Give a module the formula's weights, some entries of its state given instead, and float64."""
    shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    module.load_state_dict(formula.state(shapes, overrides))
    module.double()


def figures(tensor: Tensor, name: str) -> list[float]:
    """Return the norm of a tensor and a few of its values, at places drawn by its name."""
    flat = tensor.detach().double().flatten()
    places = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))).integers(0, len(flat), size=SAMPLED)
    return [flat.norm().item(), *flat[torch.from_numpy(places)].tolist()]


def gradients(named: Iterable[tuple[str, nn.Parameter]]) -> dict[str, list[float]]:
    """Return the figures of the gradients of those parameters that have one."""
    return {name: figures(its.grad, name) for name, its in named if its.grad is not None}


def statistics(named: Iterable[tuple[str, Tensor]], before: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """Return the figures of those running statistics that a step has moved."""
    kept = {name: its for name, its in named if name.endswith(("running_mean", "running_var"))}
    return {name: figures(its, name) for name, its in kept.items() if not torch.equal(its, before[name])}


@contextmanager
def dropout_by_number(first_of_values: int = 1 << 30) -> Iterator[None]:
    """Let each call of dropout drop what its number draws, whatever the generator of the machine.

    Dropout of channels and dropout of single values are numbered apart, the latter from `first_of_values`.
    """
    channels, values = iter(range(1 << 30)), iter(range(first_of_values, first_of_values + (1 << 30)))

    def kept(number: int, shape: Sequence[int], p: float) -> Tensor:
        draw = np.random.Generator(np.random.PCG64(number)).random(tuple(shape))
        return torch.from_numpy((draw >= p) / (1.0 - p))

    def of_channels(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or p == 0:
            return x
        return x * kept(next(channels), x.shape[:2], p).to(x.dtype)[:, :, None, None]

    def of_values(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        return x * kept(next(values), x.shape, p).to(x.dtype) if training and p else x

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.nn.functional.dropout2d", of_channels)
        patch.setattr("torch.nn.functional.dropout", of_values)
        yield
