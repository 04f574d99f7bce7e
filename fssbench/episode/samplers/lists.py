"""The image lists that samplers draw from, and the function that draws an item."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar, cast

import numpy as np

from fssbench.datasets.release_lists import PhotoObjects
from fssbench.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.datasets.dataset import Dataset, Split

T = TypeVar("T")

ListRule = Literal["data set's", "2048 pixels", "large objects", "any pixel", "every image", "objects"]

MIN_PIXELS = 2 * 32 * 32
"""PFENet's area rule: an image is listed under a class from this many pixels on, at the original size."""


@dataclass(frozen=True)
class ImageLists:
    """The image lists of one fold and split of a data set, in the order that the draws index into.

    Attributes:
        entries: (image name, label value) pairs in list order.
        by_class: The image names of each class of the fold, in list order; classes are sorted.
        held: For each listed image, the classes of the fold that have any pixel in it, sorted. Only for lists that are
            made by counting pixels.
        mixed: For each image of any class, in order, whether it has a pixel of a base class. Only if every image is a
            query.
        objects: The photos of each class and the objects in them. Only if objects are drawn; `by_class` then has the
            images of the objects.
        episodes: Number of episodes of the whole list, if the data set limits it.
    """

    entries: tuple[tuple[str, int], ...]
    by_class: dict[int, tuple[str, ...]]
    held: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    mixed: Mapping[str, bool] = field(default_factory=dict)
    objects: Mapping[int, tuple[PhotoObjects, ...]] = field(default_factory=dict)
    episodes: int | None = None

    def sizes(self) -> dict[int, int]:
        """Return how many different photos each class has."""
        if self.objects:
            return {c: len({one.photo for one in photos if any(one.images)}) for c, photos in self.objects.items()}
        return {class_id: len(set(names)) for class_id, names in self.by_class.items()}

    def without(self, classes: Collection[int]) -> ImageLists:
        """Return the lists with some classes left out."""
        entries = tuple(entry for entry in self.entries if entry[1] not in classes)
        listed = {name for name, _ in entries}
        return ImageLists(
            entries=entries,
            by_class={c: names for c, names in self.by_class.items() if c not in classes},
            held={
                name: tuple(c for c in held if c not in classes) for name, held in self.held.items() if name in listed
            },
            # An image without any remaining class can't be a query.
            mixed={name: mixed for name, mixed in self.mixed.items() if mixed or name in listed},
            objects={c: photos for c, photos in self.objects.items() if c not in classes},
            episodes=self.episodes,
        )


def read_lists(dataset: Dataset, fold: int, split: Split, classes: Sequence[int], rule: ListRule) -> ImageLists:
    """Return the image lists of some classes of a fold.

    Args:
        dataset: The opened data set.
        fold: The fold.
        split: The split that the images come from.
        classes: The label values to list, sorted.
        rule: "data set's": the data set's own lists. "2048 pixels" (PFENet) and "any pixel" (PANet): the images in the
            order of the data set, listed under each class with that many pixels at the original size. "large objects"
            (FSSDINO): the images with an annotation of that area; "2048 pixels" where objects are not annotated one by
            one. "every image" (BAM's generalised evaluation): listed by any pixel, with all other images in addition
            (`mixed`). "objects" (PASCAL-Part, PACO-Part): the objects in the photos of each class.

    Raises:
        UsageError: If the data set is not listed object by object, and the rule is "objects".
    """
    if rule == "objects":
        choices = dataset.object_choices(fold)
        if choices is None:
            raise UsageError(f"{dataset.name} is not listed object by object", "fssbench list protocols")
        frame = dataset.entries(fold, split)
        by_photo = {c: tuple(names) for c, names in sorted(dataset.class_lists(fold, split).items())}
        return ImageLists(_pairs(frame), by_photo, objects=dict(choices.by_class), episodes=choices.episodes)
    if rule == "large objects":
        objects = dataset.object_lists(split)
        if objects is None:
            return read_lists(dataset, fold, split, classes, "2048 pixels")
        by_object = {c: tuple(objects[c]) for c in classes}
        return ImageLists(tuple((name, c) for c, names in by_object.items() for name in names), by_object)
    if rule == "data set's":
        frame = dataset.entries(fold, split)
        by_list = {c: tuple(names) for c, names in sorted(dataset.class_lists(fold, split).items())}
        return ImageLists(_pairs(frame), by_list)
    whole = dataset.index(split).sort_values(["name", "class_id"])
    if order := dataset.image_order(split):
        rank = {name: place for place, name in enumerate(order.names)}
        whole = whole[whole["name"].isin(rank)]
        whole = whole.sort_values("name", key=lambda names: names.map(rank), kind="stable")
    novel = whole["class_id"].isin(classes)
    frame = whole[novel]
    admitted = frame[frame["pixels"] >= (MIN_PIXELS if rule == "2048 pixels" else 1)]
    entries = _pairs(admitted)
    by_class: dict[int, list[str]] = {c: [] for c in classes}
    held: dict[str, list[int]] = {name: [] for name, _ in entries}
    for name, class_id in entries:
        by_class[class_id].append(name)
    for name, class_id in _pairs(frame):
        if name in held:
            held[name].append(class_id)
    mixed: dict[str, bool] = {}
    if rule == "every image":
        others = set(whole.loc[~novel, "name"])
        mixed = {cast("str", name): name in others for name in whole["name"]}
    return ImageLists(
        entries, {c: tuple(names) for c, names in by_class.items()}, {name: tuple(c) for name, c in held.items()}, mixed
    )


def area_rule(rule: ListRule, dataset: Dataset, split: Split, classes: Collection[int]) -> str:
    """Return as text how many images the rule of 2048 pixels leaves out; empty for other rules.

    Args:
        rule: How images are listed.
        dataset: The opened data set.
        split: The split that the images come from.
        classes: The label values with too few images.
    """
    if rule not in ("2048 pixels", "large objects"):
        return ""
    index = dataset.index(split)
    small = index["pixels"][index["class_id"].isin(list(classes)) & (index["pixels"] < MIN_PIXELS)]
    if small.empty:
        return ""
    return (
        f"PFENet and later releases list an image under a class from {MIN_PIXELS} pixels on, at its own size, which "
        f"leaves out {len(small)} images here, with up to {small.max()} pixels"
    )


def _pairs(frame: pd.DataFrame) -> tuple[tuple[str, int], ...]:
    return tuple(
        (cast("str", name), int(class_id)) for name, class_id in zip(frame["name"], frame["class_id"], strict=True)
    )


def draw_one(random: np.random.RandomState, choices: Sequence[T]) -> T:
    """Draw one of `choices` as the releases do.

    `np.random.choice(choices, 1, replace=False)` permutes all choices and takes the first, so how far the stream
    advances depends on the number of choices. The permutation here gives the same item without copying the list.
    """
    return choices[int(random.permutation(len(choices))[0])]
