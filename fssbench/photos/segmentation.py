"""What was found in a photo."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fssbench.escape import printable
from fssbench.photos.inputs import PhotoLike


@dataclass(frozen=True, repr=False)
class Segmentation:
    """The classes found in a photo.

    Attributes:
        labels: uint8 (H, W), of the photo's size as viewers show it: 0, and n for the n-th class.
        classes: Names of the classes.
        method: What segmented it, in words: method, variant and backbone.
        photo: The photo as it was given, for a picture in a notebook; None if it is not kept.
    """

    labels: npt.NDArray[np.uint8]
    classes: tuple[str, ...]
    method: str
    photo: PhotoLike | None = field(default=None, compare=False)

    @property
    def masks(self) -> npt.NDArray[np.bool_]:
        """The mask of each class: bool (N, H, W)."""
        return np.stack([self.labels == label for label in range(1, len(self.classes) + 1)])

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of the photo's pixels that each class has, 0 to 1."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.classes) + 1)[1:]
        return tuple(float(count) / self.labels.size for count in counts)

    @property
    def absent(self) -> tuple[str, ...]:
        """The classes of which no pixel was found."""
        return tuple(name for name, share in zip(self.classes, self.shares, strict=True) if share == 0)

    def __repr__(self) -> str:
        height, width = self.labels.shape
        found = ", ".join(f"{name} {100 * share:.1f} %" for name, share in zip(self.classes, self.shares, strict=True))
        return printable(f"<{width} x {height} pixels: {found}; by {self.method}>")

    def _repr_html_(self) -> str:
        from fssbench.photos.shown import segmentation_html

        return segmentation_html(self)
