"""A segmented photo in a notebook; its picture is drawn when it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fssbench.errors import FSSBenchError
from fssbench.notebook.html import figures, notes, table, title
from fssbench.notebook.pictures import label_picture, picture
from fssbench.photos.inputs import photo_from

if TYPE_CHECKING:
    from fssbench.photos.segmentation import Segmentation

_SIDE = 320
_CLASSES = 20


def segmentation_html(found: Segmentation) -> str:
    """Return a segmented photo as HTML: the photo with its classes outlined, and the share of each."""
    height, width = found.labels.shape
    shares = [
        (name, "absent" if share == 0 else f"{100 * share:.1f}")
        for name, share in zip(found.classes, found.shares, strict=True)
    ]
    more = len(shares) - _CLASSES
    return (
        title(found.method, f"{width} x {height} pixels")
        + figures([_picture(found)])
        + table(("class", "share, %"), shares[:_CLASSES], numbers=1)
        + notes([f"and {more} more classes"] if more > 0 else [])
    )


def _picture(found: Segmentation) -> tuple[str, str]:
    """Return the picture and its caption; of the labels alone if the photo is not kept, or has changed since."""
    try:
        pixels = None if found.photo is None else photo_from(found.photo).pixels
    except FSSBenchError:
        pixels = None
    if pixels is None or pixels.shape[:2] != found.labels.shape:
        return label_picture(found.labels), "labels"
    return picture(pixels, found.labels, _SIDE), ", ".join(found.classes[:_CLASSES])
