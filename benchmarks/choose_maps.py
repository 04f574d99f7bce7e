"""Compare maps of a backbone, alone and in sums, under the method prototype, and choose without the tested fold.

The candidates are the last maps of the stages, up to three together. For each fold the choice is the one with the best
mean over the lists of the other folds, all of whose classes are base classes of that fold. Classes with too few photos
are left out.

Usage: python benchmarks/choose_maps.py efficientnet-lite0 pascal5i ROOT [EPISODES]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import fssbench
from fssbench.checkpoints import find, load_into, locate
from fssbench.datasets.dataset import Dataset
from fssbench.fast.form import fast_form
from fssbench.label_values import IGNORE
from fssbench.methods.floors import PrototypeCosine
from fssbench.protocols.label_maps import input_label
from fssbench.protocols.transforms import input_image

SIZE = (400, 400)
TOGETHER = 3

Maps = tuple[Tensor, ...]
Choice = tuple[int, ...]


class Photos:
    """The maps and label map of each photo, computed once."""

    def __init__(self, method: PrototypeCosine, dataset: Dataset) -> None:
        self.method, self.dataset = method, dataset
        self.known: dict[str, tuple[Maps, Tensor]] = {}

    def get(self, name: str) -> tuple[Maps, Tensor]:
        """Return all maps of a photo, and its label map int64 (H, W)."""
        if name not in self.known:
            maps = self.method.encode(input_image(self.dataset.image(name), SIZE)[None])
            label = torch.from_numpy(input_label(self.dataset.label(name), SIZE).astype(np.int64))
            self.known[name] = maps, label
        return self.known[name]


def miou_of_choices(photos: Photos, episodes: fssbench.EpisodeList, choices: Sequence[Choice]) -> np.ndarray:
    """Return the mean IoU over the classes of a list, in per cent, for each choice of maps."""
    counts: dict[int, np.ndarray] = {}
    for episode in episodes:
        (query, label), (support, support_label) = photos.get(episode.query), photos.get(episode.supports[0][0])
        class_id = episode.classes[0]
        conditioned = photos.method.condition(support, (support_label == class_id)[None].to(torch.uint8))
        true, counted = label == class_id, label != IGNORE
        of_class = counts.setdefault(class_id, np.zeros((2, len(choices)), dtype=np.int64))
        for place, choice in enumerate(choices):
            chosen = tuple(conditioned[layer] for layer in choice)
            prediction = photos.method.predict(tuple(query[layer] for layer in choice), [[chosen]], SIZE)
            predicted = prediction.labels == 1
            of_class[:, place] += (
                int((predicted & true & counted).sum()),
                int(((predicted | true) & counted).sum()),
            )
    return np.mean([100 * inside / union for inside, union in counts.values()], axis=0)


@torch.inference_mode()
def main() -> None:
    """Print the mean IoU of each choice on each fold, and what is chosen when a fold is left out."""
    backbone, name, root = sys.argv[1:4]
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 80
    dataset = fssbench.open_dataset(name, Path(root))
    channels = fssbench.build("prototype", backbone=backbone).get_submodule("backbone").channels
    last = [n for n, width in enumerate(channels) if n + 1 == len(channels) or channels[n + 1] != width]
    method = fssbench.build("prototype", backbone=backbone, layers=tuple(range(len(channels))))
    load_into(method, *locate(find("prototype", None, backbone, name, 0)))
    form = fast_form(method)
    assert isinstance(form, PrototypeCosine)
    choices = [choice for size in range(1, TOGETHER + 1) for choice in combinations(last, size)]
    photos = Photos(form, dataset)
    folds = [
        miou_of_choices(
            photos, fssbench.episodes(dataset, fold, 1, 1, "hsnet", count, skip_short_classes=True), choices
        )
        for fold in range(dataset.fold_count)
    ]
    for place, choice in enumerate(choices):
        print(f"{choice!s:<14}", *(f"{fold[place]:5.1f}" for fold in folds))
    for left_out in range(len(folds)):
        others = np.mean([fold for number, fold in enumerate(folds) if number != left_out], axis=0)
        best = int(others.argmax())
        told = f"{others[best]:.1f} on the others, {folds[left_out][best]:.1f} on it"
        print(f"without fold {left_out}: {choices[best]}, {told}")


if __name__ == "__main__":
    main()
