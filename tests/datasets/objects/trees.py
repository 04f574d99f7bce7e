"""Small data sets of objects and parts in the layout of the releases; photos and masks are drawn here."""

from __future__ import annotations

import enum
import json
import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from tests.datasets.trees import SIZE, save_photo

Boxes = Sequence[tuple[int, int, int, int]]


def mask(*boxes: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> npt.NDArray[np.bool_]:
    """A mask (H, W) that is set in boxes of left, top, right, bottom."""
    found = np.zeros(size, dtype=np.bool_)
    for left, top, right, bottom in boxes:
        found[top:bottom, left:right] = True
    return found


def run_lengths(foreground: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """A mask as pycocotools compresses it, which no code of fssbench has made."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = coco_mask.encode(np.asfortranarray(foreground.astype(np.uint8)))
    return {"size": [int(side) for side in found["size"]], "counts": found["counts"].decode()}


def voc_object(name: str, box: tuple[int, int, int, int], parts: Mapping[str, Boxes]) -> dict[str, Any]:
    """An object of PASCAL-Part: its class, its box, and the boxes that each part is made of."""
    edges = dict(zip(("xmin", "ymin", "xmax", "ymax"), map(str, box), strict=True))
    masks = [{"name": part, "mask": [run_lengths(mask(one)) for one in boxes]} for part, boxes in parts.items()]
    return {"name": name, "bndbox": edges, "parts": masks}


def part_tree(
    root: Path, lists: Mapping[str, Mapping[str, Sequence[str]]], photos: Mapping[str, Sequence[dict[str, Any]]]
) -> Path:
    """Write Pascal-Part as Matcher prepared it.

    Args:
        root: The parent folder.
        lists: For each category "object+part" -> photos of val; train has one photo of its own.
        photos: The objects of each photo.
    """
    base = root / "Pascal-Part" / "VOCdevkit" / "VOC2010"
    (base / "Annotations_Part_json_merged_part_classes").mkdir(parents=True)
    (base / "JPEGImages").mkdir()
    whole: dict[str, Any] = {}
    for category, parts in lists.items():
        objects = whole.setdefault(category, {"object": {}})["object"]
        for name, val in parts.items():
            kind, _, part = name.partition("+")
            # An image list beside the parts, which nothing reads, as other keys of the release.
            of_kind = objects.setdefault(kind, {"image": {}, "part": {}})
            of_kind["part"][part] = {"train": ["2007_000001"] if val else [], "val": list(val)}
    (base / "all_obj_part_to_image.json").write_text(json.dumps(whole))
    for shade, (photo, objects) in enumerate(photos.items()):
        save_photo(base / "JPEGImages" / f"{photo}.jpg", shade=40 + shade)
        path = base / "Annotations_Part_json_merged_part_classes" / f"{photo}.json"
        path.write_text(json.dumps({"folder": "VOC2010", "object": list(objects)}))
    return root / "Pascal-Part"


def lvis_tree(root: Path, categories: Mapping[int, Mapping[str, Sequence[Any]]]) -> Path:
    """Write LVIS as Matcher prepared it: category -> photo -> masks, with what detectron2 adds to annotations."""
    content = {
        category: {
            photo: {"image_id": 1, "annotations": [{"segmentation": one, "bbox_mode": Mode.XYWH} for one in masks]}
            for photo, masks in photos.items()
        }
        for category, photos in categories.items()
    }
    (root / "LVIS").mkdir(parents=True)
    (root / "LVIS" / "lvis_val.pkl").write_bytes(pickle.dumps(content))
    for photo in {photo for photos in categories.values() for photo in photos}:
        save_photo(root / "LVIS" / "coco" / photo)
    return root / "LVIS"


class Mode(enum.IntEnum):
    """As detectron2's BoxMode, an object in the annotations that has to be passed over."""

    XYWH = 1


PacoPhotos = Mapping[str, Mapping[int, tuple[Sequence[float], Sequence[Any]]]]
"""Photo -> object -> its box [x, y, width, height] and the masks of its parts."""


def paco_tree(root: Path, order: Sequence[int], categories: Mapping[int, PacoPhotos]) -> Path:
    """Write PACO-Part as Matcher prepared it: every photo is listed twice, and has a part of another category."""
    images: dict[int, list[dict[int, str]]] = {}
    annotations: dict[int, list[dict[str, Any]]] = {}
    for category, photos in categories.items():
        for photo, objects in photos.items():
            number = int(photo[-16:-4])
            images.setdefault(category, []).append({number: f"datasets/coco/{photo}"})
            found = annotations.setdefault(number, [])
            for one, (edges, masks) in objects.items():
                about = {"category_id": category, "obj_ann_id": one, "bbox_mode": Mode.XYWH}
                found += [{**about, "obj_bbox": list(edges), "segmentation": mask} for mask in masks]
    images = {category: [*listed, *listed] for category, listed in images.items()}
    folder = root / "PACO-Part" / "paco"
    folder.mkdir(parents=True)
    (folder / "paco_part_val.pkl").write_bytes(pickle.dumps({"cid2img": images, "img2anno": annotations}))
    (folder / "paco_part_train.pkl").write_bytes(pickle.dumps({"cid2img": {c: [] for c in order}, "img2anno": {}}))
    for photo in {photo for photos in categories.values() for photo in photos}:
        save_photo(root / "PACO-Part" / "coco" / photo)
    return root / "PACO-Part"
