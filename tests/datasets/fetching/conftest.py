"""A host on this machine in place of the official ones, with small data sets."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from fssbench.datasets.fetching import sources
from fssbench.datasets.pascal5i import common_masks as common
from tests.datasets.trees import annotation, box, instances, label_map, save_palette, save_photo, save_sbd
from tests.downloads.conftest import host
from tests.downloads.host import Host

__all__ = ["host"]

COCO = "/images.cocodataset.org"
ANNOTATIONS = f"{COCO}/annotations/annotations_trainval2014.zip"
IDS = range(1, 9)
Change = Callable[..., None]


def zipped(files: Mapping[str, bytes]) -> bytes:
    """The bytes of a zip archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
    return content.getvalue()


def tarred(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    """The bytes of a tar archive."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:  # type: ignore[call-overload]
        for name, raw in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(raw)
            archive.addfile(entry, io.BytesIO(raw))
    return content.getvalue()


@pytest.fixture
def stated(monkeypatch: pytest.MonkeyPatch) -> Change:
    """Change what sources.toml states of a part, by the data set and a name of its file, or what it is."""
    raw: dict[str, Any] = json.loads(json.dumps(sources._stated.__wrapped__()))
    for one in raw.values():
        one.pop("lists", None)  # there are tests of their own
    monkeypatch.setattr(sources, "_stated", lambda: raw)

    def change(name: str, file: str, content: bytes | None, **facts: object) -> None:
        part = next(part for part in raw[name]["parts"] if file in (*part.get("files", ()), part["what"]))
        for key in ("size", "sha256", "md5", "about", "unpacked"):
            part.pop(key, None)
        if content is not None:
            part |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        part |= facts

    return change


@pytest.fixture
def mirror(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """The local host as the mirror of all."""
    monkeypatch.setenv("FSSBENCH_MIRROR", host.address)
    return host


@pytest.fixture
def coco(mirror: Host, stated: Change, tmp_path: Path) -> Host:
    """COCO with eight photos: person in all, bicycle in all; the archives and the single photos are on the host."""
    notes = [annotation(i, i, 1, box(0, 0, 60, 60)) for i in IDS]
    notes += [annotation(100 + i, i, 2, box(62, 0, 30, 100)) for i in IDS]
    photos = {}
    for i in IDS:
        path = tmp_path / "official" / f"{i}.jpg"
        save_photo(path, shade=10 * i)
        photos[f"val2014/COCO_val2014_{i:012d}.jpg"] = path.read_bytes()
    texts = {f"annotations/instances_{split}2014.json": instances(split, IDS, notes) for split in ("val", "train")}
    annotations = zipped({name: text.encode() for name, text in texts.items()} | {"annotations/captions.json": b"{}"})
    archive = zipped(photos)
    mirror.files |= {ANNOTATIONS: annotations, f"{COCO}/zips/val2014.zip": archive}
    mirror.files |= {f"{COCO}/{name}": content for name, content in photos.items()}
    stated("coco20i", "annotations_trainval2014.zip", annotations)
    stated("coco20i", "val2014.zip", archive, holds={"val2014/*.jpg": len(IDS)})
    return mirror


OF_VOC, OF_SBD = "2007_000032", "2008_000002"
BERKELEY = "/www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz"


@pytest.fixture
def pascal(mirror: Host, stated: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """VOC 2012 and SBD with an image each in place of 12,031, on the host."""
    label = label_map((1, 0, 0, 96, 96))
    origins: tuple[tuple[str, common.Source], ...] = ((OF_VOC, "voc"), (OF_SBD, "sbd"))
    masks = {name: common.CommonMask(origin, common.short_hash(label)) for name, origin in origins}
    monkeypatch.setattr(common, "common_masks", lambda: masks)
    official = tmp_path / "official"
    save_photo(official / "a.jpg")
    save_palette(official / "a.png", label)
    save_sbd(official / "a.mat", label)
    voc, photo = "VOCdevkit/VOC2012", (official / "a.jpg").read_bytes()
    content = tarred(
        {
            f"{voc}/Annotations/{OF_VOC}.xml": b"<annotation/>",
            f"{voc}/JPEGImages/{OF_VOC}.jpg": photo,
            f"{voc}/JPEGImages/{OF_SBD}.jpg": photo,
            f"{voc}/SegmentationClass/{OF_VOC}.png": (official / "a.png").read_bytes(),
            f"{voc}/ImageSets/Segmentation/val.txt": f"{OF_VOC}\n".encode(),
        }
    )
    mirror.files["/host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar"] = content
    sbd = {f"benchmark_RELEASE/dataset/cls/{OF_SBD}.mat": (official / "a.mat").read_bytes()}
    mirror.files[BERKELEY] = tarred(sbd | {"benchmark_RELEASE/dataset/img/a.jpg": photo}, "w:gz")
    holds = {"JPEGImages/*.jpg": 2, "SegmentationClass/*.png": 1, "ImageSets/Segmentation/val.txt": 1}
    stated("pascal5i", "VOCtrainval_11-May-2012.tar", content, holds=holds)
    stated("pascal5i", "benchmark.tgz", None, holds={"SBD/cls/*.mat": 1})
    stated("pascal5i", "augmented masks", None, holds={"SegmentationClassAug/*.png": 2})
    return mirror
