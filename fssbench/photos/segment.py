"""One's own photos segmented: supports with masks, and photos in which their classes are found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import PIL.Image

from fssbench.errors import UsageError
from fssbench.photos.choice import Choice, Chosen, choose
from fssbench.photos.inputs import MaskLike, PhotoLike, mask_from, photo_from
from fssbench.photos.masks import Mask, Pointed, check_not_empty
from fssbench.photos.segmentation import Segmentation

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from fssbench.datasets.dataset import Image
    from fssbench.methods.base.method import Method

MAX_LOGITS = 4_000_000
"""Pixels of the logits: in a larger photo they have fewer pixels than the photo, and its labels are enlarged."""

ONE_CLASS = "object"
"""Name of the class if none was given; a method that reads names needs another."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A method with its weights, on its device and in eval mode.

    Attributes:
        chosen: Method, backbone, protocol and weights.
        method: The plain form of the method.
        device: Where it computes.
    """

    chosen: Chosen
    method: Method[Any, Any]
    device: torch.device


def prepared(choice: Choice, way: int, shot: int) -> Prepared:
    """Return the method that was chosen, built for N ways and K shots, with its weights.

    Raises:
        UsageError: If a name does not exist or does not fit the others.
        MissingError: If weights are missing.
        BrokenFileError: If a weight file is damaged.
        CheckpointError: If weights do not fit.
    """
    chosen = choose(choice, way, shot)

    from fssbench.engine.fold_methods import load
    from fssbench.methods import build
    from fssbench.planning.defaults import build_options
    from fssbench.planning.settings import choose_device

    device = choose_device(choice.device)
    setting, source = chosen.setting, chosen.source
    info, variant = setting.info, setting.variant
    options = build_options(info, variant, setting.backbone, chosen.trained_on, source.options)
    method = build(info.name, source.pinned(setting.backbone), variant, way, shot, trained_on=None, **options)
    load(method, source)
    return Prepared(chosen, method.to(device).eval(), device)


class Segmenter:
    """Supports that a method has seen, and that any number of photos are segmented by.

    Args:
        supports: Photos, each RGB uint8 (H, W, 3).
        masks: The mask of the class in each, uint8 (H, W) of its size: 1, 0, and 255 for neither; or how it is pointed
            at. A method with a SAM outlines what is pointed at; any other takes all pixels of a box.
        classes: The class of each support; all classes have the same number of supports.
        choice: What segments, or a function that returns it for N ways and K shots; by default the best that is
            installed and needs no training.

    Attributes:
        chosen: Method, backbone, protocol and weights.
        classes: The classes in the order of their labels, from 1.
        masks: The masks as the method has them.

    Raises:
        UsageError: If a name does not exist, classes have different numbers of supports, points are given to a method
            without a SAM, or classes without names to a method that reads them.
        MissingError: If weights are missing.
        CheckpointError: If weights do not fit.
    """

    def __init__(
        self,
        supports: Sequence[Image],
        masks: Sequence[Mask | Pointed],
        classes: Sequence[str],
        choice: Choice | Callable[[int, int], Prepared] | None = None,
    ) -> None:
        self.classes = tuple(dict.fromkeys(classes))
        shots = {name: [at for at, one in enumerate(classes) if one == name] for name in self.classes}
        counts = {name: len(found) for name, found in shots.items()}
        if len(set(counts.values())) != 1:
            raise UsageError(
                "classes have different numbers of supports: "
                + ", ".join(f"{name} {count}" for name, count in counts.items()),
                "give each class as many supports as the others",
            )
        way, shot = len(self.classes), len(classes) // len(self.classes)
        ready = choice if callable(choice) else partial(prepared, choice or Choice())
        found = ready(way, shot)

        import torch

        from fssbench.fast.form import fast_form

        self.chosen: Chosen = found.chosen
        self._device = found.device
        self._method: Method[Any, Any] = fast_form(found.method)
        self._check_names()
        with torch.inference_mode():
            self.masks = [self._outlined(*pair) for pair in zip(supports, masks, strict=True)]
            self._supports = [
                [self._condition(supports[at], self.masks[at], name) for at in found[: self._method.shots_read]]
                for name, found in shots.items()
            ]

    def __call__(self, photo: Image) -> Segmentation:
        """Return the classes found in a photo, RGB uint8 (H, W, 3)."""
        import torch

        from fssbench.protocols.label_maps import ignored_pixels
        from fssbench.protocols.transforms import framed_shape, scored_shape

        rule, (height, width) = self.chosen.setting.rules.resize, photo.shape[:2]
        shrunk = min(1.0, (MAX_LOGITS / (height * width)) ** 0.5)
        small = (max(1, round(height * shrunk)), max(1, round(width * shrunk)))
        with torch.inference_mode():
            query = self._method.prepare_query(self._method.encode(self._input(photo)))
            ignored = ignored_pixels(np.zeros((height, width), np.uint8), self.chosen.size, rule, rim=False)
            if ignored.any():
                query = self._method.leave_out(query, torch.from_numpy(ignored)[None].to(self._device))
            shape = self.chosen.size if rule == "opencv-pad-squeezed" else scored_shape(small, rule)
            prediction = self._method.predict(query, self._supports, shape)
        if rule == "opencv-pad-squeezed":
            small = framed_shape((height, width), self.chosen.size)
        labels = prediction.labels[: small[0], : small[1]].cpu().numpy()
        if labels.shape != (height, width):
            enlarged = PIL.Image.fromarray(labels).resize((width, height), PIL.Image.Resampling.NEAREST)
            labels = np.array(enlarged, dtype=np.uint8)
        return Segmentation(labels, self.classes, self.chosen.name)

    def _input(self, photo: Image) -> Tensor:
        from fssbench.protocols.transforms import input_image

        return input_image(photo, self.chosen.size, self.chosen.setting.rules.resize)[None].to(self._device)

    def _outlined(self, photo: Image, mask: Mask | Pointed) -> Mask:
        """Return a mask of what is pointed at."""
        if not isinstance(mask, Pointed):
            return mask
        import torch

        from fssbench.backbones.sam import Sam

        sam = getattr(self._method, "sam", None)
        if not isinstance(sam, Sam):
            if not mask.points:
                return mask.filled
            raise UsageError(
                f"{self.chosen.name} takes masks and boxes, not points",
                "draw a mask, or take a method that has a SAM: --method gfsam, matcher or persam",
            )
        picture = torch.from_numpy(photo).permute(2, 0, 1).to(self._device)
        points, boxes = (torch.tensor(one, device=self._device) if one else None for one in (mask.points, mask.boxes))
        found = sam.outlined(picture, points, boxes).to(torch.uint8).cpu().numpy()
        check_not_empty(found, "what SAM finds there")
        return found

    def _check_names(self) -> None:
        """Refuse classes without a name, or with one that the method can't read, where it reads names."""
        if not self._method.reads_class_names:
            return
        if ONE_CLASS in self.classes:
            raise UsageError(
                f"{self.chosen.name} reads the name of the class, and none was given", '--class dog, or classes="dog"'
            )
        self._method.check_names(self.classes)

    def _condition(self, photo: Image, mask: Mask, name: str) -> object:
        import torch

        from fssbench.protocols.label_maps import support_mask

        resized = support_mask(mask, 1, self.chosen.size, self.chosen.setting.rules.resize)
        features = self._method.encode(self._input(photo))
        support = self._method.condition(features, torch.from_numpy(resized)[None].to(self._device))
        return self._method.with_names(support, [name]) if self._method.reads_class_names else support


def segment(
    query: PhotoLike | Sequence[PhotoLike],
    supports: PhotoLike | Sequence[PhotoLike],
    masks: MaskLike | Sequence[MaskLike],
    classes: str | Sequence[str] | None = None,
    *,
    method: str | None = None,
    backbone: str | None = None,
    variant: str | None = None,
    train_dataset: str | None = None,
    fold: int | None = None,
    checkpoint: str | Path | None = None,
    backbone_weights: str | Path | None = None,
    size: int | None = None,
    device: str = "auto",
) -> Segmentation | list[Segmentation]:
    """Find the classes of some supports in photos, as `fssbench segment` does.

    Args:
        query: A photo, or a list of them: a path, a PIL image, or an array, uint8 (H, W, 3), (H, W, 4) or (H, W): RGB,
            RGBA (the transparency is not looked at) or grey.
        supports: One photo or several, each with an object.
        masks: The object in each: bool or integer (H, W) with one value besides 0 (255 next to it is left out), a PIL
            image, or what `--mask` takes as text.
        classes: The class of each support; default one class for all. Label n is the n-th class that is named.
        method: One of `list_methods()`, or one's own; default the best that is installed and needs no training.
        backbone: Its backbone.
        variant: Its variant.
        train_dataset: For a trained method the data set that its weights were trained on.
        fold: For a trained method the fold whose classes they have not seen.
        checkpoint: For a trained method the file of its weights; default the registered ones.
        backbone_weights: The file of the frozen backbone, if the checkpoint is without it.
        size: Side of the square input in pixels; default that of the method's protocol.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Returns:
        A `Segmentation` of a photo; a list of them for a list.

    Raises:
        UsageError: If a name does not exist, or the arguments do not fit each other.
        MissingError: If a file or weights are missing.
        BrokenFileError: If a photo, mask or weight file is damaged, or a mask has another size than its photo.

    Examples:
        >>> import fssbench
        >>> import numpy as np
        >>> photo = np.zeros((60, 80, 3), np.uint8)
        >>> photo[20:40, 30:60] = 255
        >>> found = fssbench.segment(photo, photo, photo[..., 0] > 0, "square", method="copy-mask")
        >>> found.labels.shape, found.shares
        ((60, 80), (0.125,))
    """
    choice = Choice(
        method,
        variant,
        backbone,
        train_dataset,
        fold,
        None if checkpoint is None else str(checkpoint),
        None if backbone_weights is None else str(backbone_weights),
        size,
        device,
    )
    return segmented(query, supports, masks, classes, choice)


def segmented(
    query: PhotoLike | Sequence[PhotoLike],
    supports: PhotoLike | Sequence[PhotoLike],
    masks: MaskLike | Sequence[MaskLike],
    classes: str | Sequence[str] | None,
    choice: Choice | Callable[[int, int], Prepared],
) -> Segmentation | list[Segmentation]:
    """Return the classes found in photos by what was chosen; see `segment`."""
    photos, named = _listed(supports), _listed(masks)
    if not photos or len(photos) != len(named):
        raise UsageError(f"each support has one mask: there are {len(photos)} supports and {len(named)} masks")
    names = [classes or ONE_CLASS] * len(photos) if classes is None or isinstance(classes, str) else list(classes)
    if len(names) != len(photos):
        raise UsageError(f"each support has one class: there are {len(photos)} supports and {len(names)} classes")
    read = [photo_from(one) for one in photos]
    segmenter = Segmenter(
        [photo.pixels for photo in read],
        [mask_from(mask, photo) for mask, photo in zip(named, read, strict=True)],
        names,
        choice,
    )
    found = [replace(segmenter(photo_from(one).pixels), photo=one) for one in _listed(query)]
    return found if isinstance(query, list | tuple) else found[0]


def _listed(value: PhotoLike | Sequence[PhotoLike]) -> list[PhotoLike]:
    """Return a list of what was given as one or as several."""
    return list(value) if isinstance(value, list | tuple) else [cast("PhotoLike", value)]
