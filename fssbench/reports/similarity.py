"""How alike a class looks in the query and in the supports: the cosine of its mean features in each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from fssbench.errors import FSSBenchError
from fssbench.progress import tracked
from fssbench.reports.pictures import shown_labels

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Image
    from fssbench.reports.cases import Case
    from fssbench.reports.runs import Compared
    from fssbench.reports.scene import Scene

    Mask = npt.NDArray[np.bool_]
    Vector = npt.NDArray[np.float32]

MOST = 300
"""Episodes that are looked at at most: the first of a fixed random order."""
_SIDE = 224
_BINS = 6


@dataclass(frozen=True)
class Features:
    """What similarity is measured by.

    Attributes:
        name: In words.
        of: Returns the mean features of the pixels of a mask in a photo, (C,).
    """

    name: str
    of: Callable[[Image, Mask], Vector]


def features() -> Features:
    """Return the features of EfficientNet-Lite0 if its package is installed, or else a histogram of colours."""
    try:
        return Features("EfficientNet-Lite0, ImageNet weights", _network())
    except FSSBenchError:
        return Features(f"colours in {_BINS} x {_BINS} x {_BINS} bins of RGB", colour_histogram)


def colour_histogram(photo: Image, mask: Mask) -> Vector:
    """Return the share of each bin of colours among the pixels of a mask, float32 (bins,)."""
    places = photo[mask].astype(np.int64) * _BINS // 256
    flat = (places[:, 0] * _BINS + places[:, 1]) * _BINS + places[:, 2]
    counts = np.bincount(flat, minlength=_BINS**3)
    return np.asarray(counts / max(counts.sum(), 1), dtype=np.float32)


def _network() -> Callable[[Image, Mask], Vector]:
    from fssbench.checkpoints import locate, records
    from fssbench.errors import MissingError

    entry = next((one for one in records() if one.id == "efficientnet-lite0-imagenet"), None)
    if entry is None:
        raise MissingError("no weights of EfficientNet-Lite0 are registered")
    path = locate(entry)[0]

    import torch

    from fssbench.backbones import backbone
    from fssbench.checkpoints.loading import read_state
    from fssbench.protocols.transforms import input_image

    network = backbone("efficientnet-lite0")
    network.load_state_dict(read_state(path))
    network.eval()

    def of(photo: Image, mask: Mask) -> Vector:
        with torch.inference_mode():
            maps = network(input_image(photo, (_SIDE, _SIDE))[None])
            chosen = maps[network.compared[-1]][0].numpy()
        weight = cv2.resize(mask.astype(np.float32), chosen.shape[:0:-1], interpolation=cv2.INTER_AREA)
        total = float(weight.sum())
        pooled = (chosen * weight).sum(axis=(1, 2)) / total if total else chosen.mean(axis=(1, 2))
        return np.asarray(pooled, dtype=np.float32)

    return of


def with_similarity(cases: Sequence[Case], runs: Compared, scene: Scene, by: Features) -> list[Case]:
    """Return the cases with the similarity of their class in query and supports, the mean over the supports.

    A case keeps None where the class is not in the query, or the episode is not among the first `MOST`.

    Raises:
        MissingError: If a photo is missing.
        BrokenFileError: If a photo can't be read.
    """
    order = np.random.default_rng(0).permutation(len(runs.keys))[:MOST]
    chosen = {runs.keys[place] for place in order}

    @lru_cache(maxsize=20_000)
    def vector(name: str, class_id: int) -> Vector:
        photo, label = scene.dataset.image(name), scene.dataset.label(name)
        if photo.shape[:2] != label.shape:
            label = shown_labels(label, (photo.shape[0], photo.shape[1]))
        return by.of(photo, label == class_id)

    found = []
    for case in tracked(list(cases), "comparing queries and supports", "classes"):
        if case.key not in chosen or not case.present:
            found.append(case)
            continue
        row = runs.methods[0].rows[case.key]
        query = vector(row.query, case.class_id)
        alike = [cosine(query, vector(name, case.class_id)) for name in row.supports[case.place]]
        found.append(replace(case, similarity=float(np.mean(alike))))
    return found


def cosine(one: Vector, other: Vector) -> float:
    """Return the cosine of the angle between two vectors; 0 if one of them is 0."""
    lengths = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float(one @ other) / lengths if lengths else 0.0
