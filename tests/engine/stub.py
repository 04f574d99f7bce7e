"""A small data set and a small method: what an evaluation needs, in a few pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from fssbench.datasets.dataset import Dataset, Image, Label, Split
from fssbench.episode import Episode, EpisodeList
from fssbench.errors import BrokenFileError
from fssbench.methods.base.method import Method, Prediction
from fssbench.protocols.rules import Protocol, protocol

CLASSES = (1, 2, 3)


class Patches(Dataset):
    """Twelve images of 20 x 30 pixels and more; class c is a patch of its own colour, with an ignore region around it.

    Picture i holds class i % 3 + 1, and every fourth one class 1 too.
    """

    name: ClassVar[str] = "shapes20i"  # a name that the protocols know
    has_ignore: ClassVar[bool] = True
    fold_count: ClassVar[int] = 1
    root = None

    def __init__(self, fingerprint: str = "f" * 64, broken: str | None = None) -> None:
        self._fingerprint = fingerprint
        self.broken = broken
        self.read: list[str] = []

    @classmethod
    def open(cls, root: Path | None = None, **options: object) -> Self:
        return cls()

    @property
    def class_names(self) -> Mapping[int, str]:
        return {c: f"class{c}" for c in CLASSES}

    def split_fingerprint(self, split: Split) -> str:
        return self._fingerprint

    @property
    def list_order(self) -> str:
        return "by number"

    def fold_classes(self, fold: int, split: Split = "val") -> tuple[int, ...]:
        self.check_fold(fold)
        return CLASSES

    def index(self, split: Split) -> pd.DataFrame:
        return self.entries(0).assign(pixels=1)

    def entries(self, fold: int, split: Split = "val") -> pd.DataFrame:
        pairs = [(f"p{i}", i % 3 + 1) for i in range(12)]
        return pd.DataFrame(pairs, columns=["name", "class_id"])

    def image(self, name: str) -> Image:
        if name == self.broken:
            raise BrokenFileError(f"{name}.jpg is cut off")
        self.read.append(name)
        label = self.label(name)
        noise = np.random.default_rng(int(name[1:])).integers(0, 60, (*label.shape, 3))
        colours = np.zeros((256, 3), dtype=np.int64)
        colours[1:4] = np.eye(3, dtype=np.int64) * 150
        return (colours[label] + noise).astype(np.uint8)

    def label(self, name: str) -> Label:
        i = int(name[1:])
        label = np.zeros((20 + i, 30), dtype=np.uint8)
        if i % 4 == 0:
            label[12:16, 2:9] = 1
        label[3:11, 4 + i : 16 + i] = 255
        label[4:10, 5 + i : 15 + i] = i % 3 + 1
        return label


class NearestColour(Method[Tensor, Tensor]):
    """A pixel is of the class whose mean support colour it is near to."""

    def __init__(self, way: int = 1, shot: int = 1, radius: float = 1.2) -> None:
        super().__init__()
        self.task, self.way, self.shot = "fss" if way == 1 else "fscs", way, shot
        self.radius = torch.nn.Parameter(torch.tensor(radius))
        self.encoded = 0

    def encode(self, image: Tensor) -> Tensor:
        assert torch.is_inference_mode_enabled()
        assert not self.training
        self.encoded += 1
        return image

    def condition(self, features: Tensor, mask: Tensor) -> Tensor:
        inside = (mask == 1).float()[:, None]
        return (features * inside).sum(dim=(2, 3)) / inside.sum(dim=(2, 3)).clamp(min=1)

    def predict(self, query: Tensor, supports: Sequence[Sequence[Tensor]], size: tuple[int, int]) -> Prediction:
        near = [
            self.radius - (query[0] - torch.cat(list(shots)).mean(dim=0)[:, None, None]).norm(dim=0)
            for shots in supports
        ]
        logits = F.interpolate(torch.stack([torch.zeros_like(near[0]), *near])[None], size, mode="nearest")[0]
        labels = logits.argmax(dim=0).to(torch.uint8)
        present = torch.stack([(labels == n).any() for n in range(1, len(supports) + 1)])
        return Prediction(logits, labels, present)


def rules(name: str = "shapes") -> Protocol:
    """A protocol at the size of the images."""
    return replace(protocol(name), input=(24, 24))


def questions(way: int = 1, shot: int = 1, count: int = 12, seed: int = 0) -> EpisodeList:
    """Episodes with each image in turn as the query."""
    generator = np.random.default_rng(seed)
    images = {c: [f"p{i}" for i in range(12) if i % 3 + 1 == c] for c in CLASSES}
    episodes = []
    for number in range(count):
        query, own = f"p{number % 12}", number % 12 % 3 + 1
        others = [int(c) for c in generator.permutation([c for c in CLASSES if c != own])]
        classes = tuple([own, *others][:way])
        supports = tuple(tuple(str(n) for n in generator.choice(images[c], shot)) for c in classes)
        episodes.append(Episode(query, classes, supports, own))
    return EpisodeList(
        episodes=tuple(episodes),
        dataset="shapes20i",
        fold=0,
        split="val",
        way=way,
        shot=shot,
        protocol="shapes" if way == 1 else "ifsl-fscs",
        seed=seed,
        list_order="by number",
        data_fingerprint="f" * 64,
    )
