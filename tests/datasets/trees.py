"""Small data sets of the official layouts, drawn with Pillow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

SIZE = (128, 96)
"""Height and width: 4 x 3 cells of the PASCAL rule, 12,288 pixels."""


def label_map(*boxes: tuple[int, int, int, int, int], size: tuple[int, int] = SIZE) -> npt.NDArray[np.uint8]:
    """A label map of boxes (value, top, left, height, width), later over earlier."""
    label = np.zeros(size, dtype=np.uint8)
    for value, top, left, height, width in boxes:
        label[top : top + height, left : left + width] = value
    return label


def save_palette(path: Path, label: npt.NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(label)
    picture.putpalette([value for grey in range(256) for value in (grey, 255 - grey, grey // 2)])
    picture.save(path)


def save_photo(path: Path, size: tuple[int, int] = SIZE, shade: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = np.indices(size)
    pixels = np.stack([rows % 256, columns % 256, np.full(size, shade)], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=95)


def voc_tree(root: Path, labels: Mapping[str, npt.NDArray[np.uint8]], val: Sequence[str], photos: bool = True) -> Path:
    """VOC2012 with palette masks of these labels; returns the folder VOC2012."""
    folder = root / "VOC2012"
    for name, label in labels.items():
        save_palette(folder / "SegmentationClassAug" / f"{name}.png", label)
        if photos:
            save_photo(folder / "JPEGImages" / f"{name}.jpg", (label.shape[0], label.shape[1]))
    sets = folder / "ImageSets" / "Segmentation"
    sets.mkdir(parents=True)
    (sets / "val.txt").write_text("".join(f"{name}\n" for name in val))
    return folder


def save_sbd(path: Path, label: npt.NDArray[np.generic], *, compressed: bool = True) -> None:
    """A file of SBD's folder cls: GTcls with Boundaries (sparse, by class), Segmentation and CategoriesPresent."""
    import scipy.io
    import scipy.sparse

    path.parent.mkdir(parents=True, exist_ok=True)
    boundaries = np.empty((20, 1), object)
    for class_id in range(1, 21):
        boundaries[class_id - 1, 0] = scipy.sparse.csc_array(label == class_id)
    present = np.setdiff1d(np.unique(label), [0]).reshape(-1, 1)
    content = {"Boundaries": boundaries, "Segmentation": label, "CategoriesPresent": present}
    scipy.io.savemat(path, {"GTcls": content}, do_compression=compressed)


def box(x: float, y: float, width: float, height: float) -> list[float]:
    """A rectangle as COCO's polygons are written."""
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def annotation(
    number: int, image_id: int, category_id: int, *polygons: list[float], iscrowd: int = 0
) -> dict[str, object]:
    shape: object = list(polygons) if not iscrowd else {"counts": [0, 4, 12284], "size": list(SIZE)}
    return {
        "id": number,
        "image_id": image_id,
        "category_id": category_id,
        "iscrowd": iscrowd,
        "segmentation": shape,
        "area": 1.0,
        "bbox": [0, 0, 1, 1],
    }


def instances(side: str, image_ids: Sequence[int], annotations: Sequence[dict[str, object]], year: int = 2014) -> str:
    """The text of an instances_*.json whose images all have `SIZE`."""
    prefix = f"COCO_{side}2014_" if year == 2014 else ""
    images = [
        {"id": i, "file_name": f"{prefix}{i:012d}.jpg", "height": SIZE[0], "width": SIZE[1], "license": 1}
        for i in image_ids
    ]
    return json.dumps({"info": {}, "images": images, "annotations": list(annotations), "categories": []})


def coco_tree(root: Path, sides: Mapping[str, tuple[Sequence[int], Sequence[dict[str, object]]]]) -> Path:
    """COCO2014 with annotations and photos; returns the folder COCO2014."""
    folder = root / "COCO2014"
    (folder / "annotations").mkdir(parents=True)
    for side, (image_ids, instance_list) in sides.items():
        (folder / "annotations" / f"instances_{side}2014.json").write_text(instances(side, image_ids, instance_list))
        for i in image_ids:
            save_photo(folder / f"{side}2014" / f"COCO_{side}2014_{i:012d}.jpg")
    return folder


def fss_tree(root: Path, classes: Sequence[str], images: int = 3) -> Path:
    """FSS-1000 with grey RGBA masks whose edges are soft; returns the folder FSS-1000."""
    folder = root / "FSS-1000"
    for name in classes:
        for number in range(1, images + 1):
            save_photo(folder / name / f"{number}.jpg", (32, 32))
            grey = label_map((127, 4, 4, 12, 12), (128, 6, 6, 8, 8), (255, 8, 8, 4, min(number, 6)), size=(32, 32))
            Image.fromarray(grey).convert("RGBA").save(folder / name / f"{number}.png")
    return folder


def truncate(path: Path, keep: float = 0.5) -> None:
    """Cut the end of a file off."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


def own_tree(root: Path, labels: Mapping[str, npt.NDArray[np.uint8]], description: str, suffix: str = ".jpg") -> Path:
    """A folder of one's own data with indexed masks and that dataset.toml; returns it."""
    for name, label in labels.items():
        save_photo(root / "images" / f"{name}{suffix}", (label.shape[0], label.shape[1]))
        save_palette(root / "masks" / f"{name}.png", label)
    root.mkdir(exist_ok=True)
    (root / "dataset.toml").write_text(description, encoding="utf-8")
    return root


def save_binary(path: Path, foreground: npt.NDArray[np.bool_], value: int = 255) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.where(foreground, value, 0).astype(np.uint8)).save(path)


def save_mask(path: Path, mask: npt.NDArray[np.uint8]) -> None:
    """A mask (H, W), or one coded by colour (H, W, 3), in the format that the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


def suim_part(folder: Path, masks: Mapping[str, npt.NDArray[np.uint8]]) -> Path:
    """A folder of SUIM: masks by 3-bit colour codes (H, W); returns it."""
    for name, codes in masks.items():
        bits = np.stack([codes // 4 % 2, codes // 2 % 2, codes % 2], axis=-1)
        save_mask(folder / "masks" / f"{name}.bmp", (bits * 255).astype(np.uint8))
        save_photo(folder / "images" / f"{name}.jpg", (codes.shape[0], codes.shape[1]))
    return folder


def isic_tree(root: Path, classes: Mapping[str, str], *, folders: Sequence[str] = ()) -> Path:
    """ISIC with a lesion of 20 x 10 pixels in each image, listed in class_id.csv or in folders by class; returns it."""
    folder = root / "ISIC"
    photos = folder / "ISIC2018_Task1-2_Training_Input"
    for name, class_name in classes.items():
        inner = photos / str(folders.index(class_name) + 1) if folders else photos
        save_photo(inner / f"{name}.jpg", (40, 60))
        lesion = label_map((255, 5, 5, 20, 10), (127, 30, 30, 5, 5), size=(40, 60))
        save_mask(folder / "ISIC2018_Task1_Training_GroundTruth" / f"{name}_segmentation.png", lesion)
    if not folders:
        rows = "".join(f"{name},{class_name}\r\n" for name, class_name in classes.items())
        (folder / "class_id.csv").write_text(f"ID,Class\r\n{rows}")
    return folder


def lung_tree(root: Path, names: Sequence[str]) -> Path:
    """LungSegmentation with two lungs in each image; returns it."""
    folder = root / "LungSegmentation"
    for name in names:
        save_photo(folder / "CXR_png" / f"{name}.png", (40, 60))
        save_mask(
            folder / "masks" / f"{name}_mask.png", label_map((255, 5, 5, 30, 10), (128, 5, 40, 30, 10), size=(40, 60))
        )
    return folder
