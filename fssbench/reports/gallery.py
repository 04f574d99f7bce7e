"""Which episodes are shown, and their pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fssbench.episode.files import episode_id
from fssbench.reports.cases import Case
from fssbench.reports.pictures import (
    class_colours,
    error_layer,
    jpeg,
    mask_layer,
    photo_part,
    shown_labels,
    shown_photo,
    shown_size,
)
from fssbench.reports.predictions import Predicted, repeat_command

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Label
    from fssbench.figures.palette import RGB
    from fssbench.reports.runs import Compared, Key
    from fssbench.reports.scene import Scene
    from fssbench.results.rows import Row

SIZES = (("tiny", 1.0), ("small", 5.0), ("medium", 15.0), ("large", 100.0))
"""The name of each size of an object, and the share of the query in per cent up to which it is called so."""


SUPPORT_SIDE = 240
"""Longer side of the picture of a support, in pixels."""
OTHER_PREDICTION = "its counts are not those of the run: this is another prediction than the one of the number"


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture or a layer: its file's content, its kind, and what it shows in words."""

    content: bytes
    kind: str
    alt: str


@dataclass(frozen=True, eq=False)
class Support:
    """A support: its photo, and the outline of the class."""

    photo: Picture
    mask: Picture
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Shown:
    """The prediction of one method.

    Attributes:
        iou: Mean IoU of the episode in per cent.
        kinds: The kind of error of each class.
        prediction: The predicted classes; None if there is no prediction.
        errors: Where it is right and wrong.
        origin: Where the prediction is from.
        fault: Why it is not the prediction of the row; empty if it is.
    """

    iou: float
    kinds: tuple[str, ...]
    prediction: Picture | None = None
    errors: Picture | None = None
    origin: str = ""
    fault: str = ""


@dataclass(frozen=True, eq=False)
class Card:
    """An episode in the gallery.

    Attributes:
        name: Its id, e.g. "fold0-00017".
        fold: The fold.
        classes: The names of its classes.
        sizes: The size of each class in words; empty if it is not known.
        share: The share of the query that its classes have, in per cent; None if it is not known.
        supports: The supports of each class.
        query: The photo of the query.
        truth: The true classes.
        frame: (height, width) of the pictures of the query.
        shown: What each method predicts.
        spread: Largest difference of two methods' IoU.
        mean: Mean IoU of the methods.
        order: Its place in a random order.
        command: The command that shows it again.
        notes: What a viewer must know.
    """

    name: str
    fold: int
    classes: tuple[str, ...]
    sizes: tuple[str, ...]
    share: float | None
    supports: tuple[tuple[Support, ...], ...]
    query: Picture
    truth: Picture
    frame: tuple[int, int]
    shown: tuple[Shown, ...]
    spread: float
    mean: float
    order: int
    command: str
    notes: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Size of all pictures."""
        methods = [picture for one in self.shown for picture in (one.prediction, one.errors) if picture]
        supports = [picture for each in self.supports for one in each for picture in (one.photo, one.mask)]
        return sum(len(picture.content) for picture in (self.query, self.truth, *methods, *supports))


def size_word(share: float) -> str:
    """Return the word for an object with a share of the query, in per cent."""
    return next(word for word, most in SIZES if share <= most)


def episode_values(cases: Sequence[Case]) -> dict[Key, tuple[float, ...]]:
    """Return the IoU of each episode by each method, in per cent: the mean over its counted classes."""
    by_key: dict[Key, list[tuple[float, ...]]] = {}
    for case in cases:
        by_key.setdefault(case.key, []).append(case.ious)
    found = {}
    for key, ious in by_key.items():
        known = np.array([one for one in ious if not np.isnan(one).any()])
        found[key] = tuple(known.mean(axis=0).tolist()) if len(known) else (float("nan"),) * len(ious[0])
    return found


def choose(cases: Sequence[Case], count: int, rows: Mapping[Key, Row] | None = None, seed: int = 0) -> list[Key]:
    """Return episodes to look at, each once.

    First the worst of each class; then in turn the worst, the best, the one on which methods differ most, a random one.

    Args:
        cases: The cases of all episodes.
        count: How many.
        rows: Their rows: an episode that a list has several times is then shown once.
        seed: Of the random ones.
    """
    values = {key: value for key, value in episode_values(cases).items() if not np.isnan(value).any()}
    mean = {key: float(np.mean(value)) for key, value in values.items()}
    worst = sorted(mean, key=lambda key: (mean[key], key))
    differing = sorted(values, key=lambda key: (min(values[key]) - max(values[key]), key))
    keys = sorted(values)
    drawn = [keys[place] for place in np.random.default_rng(seed).permutation(len(keys))]
    of_class: dict[int, Key] = {}
    rank = {key: place for place, key in enumerate(worst)}
    for case in sorted((case for case in cases if case.key in rank), key=lambda case: rank[case.key]):
        of_class.setdefault(case.class_id, case.key)
    chosen: dict[Key, None] = {}
    seen: set[object] = set()

    def take(key: Key) -> None:
        row = None if rows is None else rows[key]
        same = key if row is None else (row.query, row.classes, row.supports)
        if len(chosen) < count and same not in seen:
            seen.add(same)
            chosen.setdefault(key)

    for key in of_class.values():
        take(key)
    orders = [worst, worst[::-1], drawn] + ([differing] if any(len(value) > 1 for value in values.values()) else [])
    for places in zip(*orders, strict=True):
        for key in places:
            take(key)
    return list(chosen)


def card(
    key: Key,
    runs: Compared,
    scene: Scene,
    cases: Sequence[Case],
    predicted: Sequence[Mapping[Key, Predicted]],
    order: int = 0,
) -> Card:
    """Return an episode with its pictures.

    Args:
        key: The episode.
        runs: The runs.
        scene: Their data, with the photos.
        cases: The cases of this episode.
        predicted: The predictions of each method.
        order: Its place in a random order.

    Raises:
        MissingError: If a photo or mask is missing.
        BrokenFileError: If one can't be read.
    """
    row = runs.methods[0].rows[key]
    names = tuple(scene.class_names.get(class_id, str(class_id)) for class_id in row.classes)
    colours = class_colours(len(names))
    photo, label = scene.dataset.image(row.query), scene.label(row)
    frame = shown_size((photo.shape[0], photo.shape[1]))
    truth = _part(scene.truth(row, label).label, photo.shape[:2], frame, scene)
    by_value = {class_id: colours[n] for n, class_id in enumerate(row.classes, 1)}
    values = episode_values(cases)[key]
    wanted = f"query {row.query}"
    shown = []
    for number, method in enumerate(runs.methods):
        kinds = tuple(str(case.categories[number] or "") if case.categories else "" for case in cases)
        one = predicted[number].get(key)
        if one is None:
            shown.append(Shown(values[number], kinds))
            continue
        labels = _part(one.labels, photo.shape[:2], frame, scene)
        said = f"IoU {values[number]:.1f} %"
        layer = mask_layer(labels, colours, rim=False)
        errors = error_layer(labels.astype(np.uint8), truth, row.classes)
        fault = "" if one.verified else OTHER_PREDICTION
        shown.append(
            Shown(
                values[number],
                kinds,
                Picture(layer.png(), "png", f"{method.name} predicts {', '.join(names)} in {wanted}; {said}"),
                Picture(errors.png(), "png", f"errors of {method.name} in {wanted}: {_joined(kinds) or said}"),
                one.origin,
                fault,
            )
        )
    seen = [case.found for case in cases if case.found is not None]
    fault = scene.photo_fault(row)
    return Card(
        name=episode_id(*key),
        fold=key[0],
        classes=names,
        sizes=tuple(size_word(one.size) for one in seen if one.size),
        share=sum(one.size for one in seen) if seen else None,
        supports=tuple(
            tuple(_support(name, class_id, names[place], colours[place + 1], scene) for name in row.supports[place])
            for place, class_id in enumerate(row.classes)
        ),
        query=Picture(jpeg(shown_photo(photo, frame)), "jpg", wanted),
        truth=Picture(
            mask_layer(truth, by_value).png(),
            "png",
            f"truth: {_joined(_present(row, names)) or 'no class'} in {wanted}",
        ),
        frame=frame,
        shown=tuple(shown),
        spread=max(values) - min(values),
        mean=float(np.mean(values)),
        order=order,
        command=repeat_command([method.folder for method in runs.methods], episode_id(*key)),
        notes=(fault,) if fault else (),
    )


def _joined(words: Iterable[str]) -> str:
    return ", ".join(word for word in words if word)


def _present(row: Row, names: Iterable[str]) -> list[str]:
    return [name for name, present in zip(names, row.truth, strict=True) if present]


def _part(labels: Label, photo: tuple[int, ...], frame: tuple[int, int], scene: Scene) -> Label:
    """Return the part of a counted label map on which the photo lies, at the size of the picture."""
    height, width = photo_part(labels, (photo[0], photo[1]), scene.rules)
    return shown_labels(np.ascontiguousarray(labels[:height, :width]), frame)


def _support(name: str, class_id: int, class_name: str, colour: RGB, scene: Scene) -> Support:
    photo, label = scene.dataset.image(name), scene.dataset.label(name)
    size = shown_size((photo.shape[0], photo.shape[1]), SUPPORT_SIDE)
    mask = mask_layer(shown_labels(label, size), {class_id: colour}, tint=60)
    return Support(
        Picture(jpeg(shown_photo(photo, size)), "jpg", f"support {name}"),
        Picture(mask.png(), "png", f"{class_name} outlined in support {name}"),
        size,
    )
