"""What lists of a release have besides (image, class) pairs: an order of the images, and the objects in photos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ImageOrder:
    """The order of the images of a split, if a release has an order that is not by name.

    Attributes:
        origin: Where the order comes from, e.g. "official (PFENet)".
        names: The images in order; other images are not listed.
    """

    origin: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class PhotoObjects:
    """The objects of one photo that a release can draw for a class.

    Attributes:
        photo: Name of the photo.
        images: The image of each object, in order; None for an object of the kind that lacks the class (a part).
    """

    photo: str
    images: tuple[str | None, ...]


@dataclass(frozen=True)
class ObjectLists:
    """The photos of each class and the objects in them, for a release that draws photo and object in turn.

    Attributes:
        by_class: The photos of each class, in the order of the release.
        episodes: Number of episodes of the fold, if the release takes no more than its lists have entries.
    """

    by_class: Mapping[int, tuple[PhotoObjects, ...]]
    episodes: int | None = None
