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
from tests.datasets.trees import annotation, box, instances, save_photo
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
