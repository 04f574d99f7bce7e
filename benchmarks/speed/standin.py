"""Make a VOC2012 tree for timing: real masks, and for photos that are missing generated ones of the masks' sizes.

    python benchmarks/speed/standin.py MASKS.zip val.txt DIR [--photos VOC2012]

MASKS.zip holds SegmentationClassAug/NAME.png, val.txt a name a line. The photos are noise smoothed to the scale of real
ones, so that they take as long to decode; nothing else may be concluded from them.
"""

from __future__ import annotations

import argparse
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np


def image(label: np.ndarray, seed: int) -> np.ndarray:
    """Return a photo, BGR uint8 (H, W, 3): a colour for each label under smooth noise."""
    generator = np.random.default_rng(seed)
    height, width = label.shape
    coarse = generator.integers(0, 255, (height // 16 + 1, width // 16 + 1, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    colours = np.random.default_rng(0).integers(0, 255, (256, 3))[label]
    return np.clip(0.6 * smooth + 0.4 * colours + generator.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)


def main() -> None:
    """Write VOC2012 below the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("masks", type=Path)
    parser.add_argument("names", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=Path, help="A VOC2012 whose photos are taken where it has them.")
    given = parser.parse_args()
    root = given.folder / "VOC2012"
    for name in ("JPEGImages", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(given.masks) as archive:
        archive.extractall(root, [name for name in archive.namelist() if name.startswith("SegmentationClassAug/")])
    # PFENet's list has paths of photos and masks, VOC's own plain names.
    names = [
        Path(line.split()[0]).stem for line in given.names.read_text(encoding="ascii").splitlines() if line.strip()
    ]
    (root / "ImageSets/Segmentation/val.txt").write_text("\n".join(names) + "\n", encoding="ascii")
    generated = 0
    for place, name in enumerate(names):
        target = root / "JPEGImages" / f"{name}.jpg"
        real = None if given.photos is None else given.photos / "JPEGImages" / f"{name}.jpg"
        if real is not None and real.exists():
            shutil.copy(real, target)
        else:
            label = cv2.imread(str(root / "SegmentationClassAug" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
            cv2.imwrite(str(target), image(label if label.ndim == 2 else label[..., 0], place))
            generated += 1
    print(f"{root}: {generated} photos of the val side generated, the others copied")


if __name__ == "__main__":
    main()
