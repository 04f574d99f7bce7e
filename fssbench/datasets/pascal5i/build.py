"""Building SegmentationClassAug from VOC 2012's masks and SBD's, by the rule of the common copy (facts.toml)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from fssbench.datasets.dataset import Label
from fssbench.datasets.io.archives import files_in
from fssbench.datasets.io.images import MAX_PIXELS, check_values, read_label
from fssbench.datasets.io.matlab import Struct, read_matlab
from fssbench.datasets.pascal5i import common_masks as common
from fssbench.datasets.pascal5i.common_masks import Source
from fssbench.datasets.pascal5i.dataset import CLASS_COUNT
from fssbench.errors import BrokenFileError, FSSBenchError, MissingError, UsageError
from fssbench.files import remove_leftovers, replace_locked
from fssbench.label_values import IGNORE
from fssbench.progress import tracked

MASKS, VOC_MASKS = "SegmentationClassAug", "SegmentationClass"
MAX_BYTES = 8 << 20
"""Larger masks are refused; those of VOC have up to 10 kB, those of SBD up to 50."""

_FOLDERS: dict[Source, tuple[str, tuple[str, ...]]] = {
    "voc": (VOC_MASKS, ("", "VOC2012", "VOCdevkit/VOC2012", "TrainVal/VOCdevkit/VOC2012")),
    "sbd": ("cls", ("", "dataset", "benchmark_RELEASE/dataset", "benchmark/benchmark_RELEASE/dataset")),
}
"""For each source: the folder of the masks, and where it can be below the folder that is given."""
_SUFFIXES: dict[Source, str] = {"voc": "png", "sbd": "mat"}
_TITLES: dict[Source, str] = {"voc": "VOC 2012", "sbd": "SBD"}


@dataclass
class Built:
    """What was built.

    Attributes:
        out: The folder of the masks.
        written: Number of masks that were written.
        kept: Number of masks that were there already, with the same labels.
        different: Names of the masks that are built, but are not those of the common copy.
        left: Names of the masks that were there with other labels, and were left as they are.
        missing: For each source, the names of the masks that it should have, but has not.
        broken: A sentence for each file that can't be read.
    """

    out: Path
    written: int = 0
    kept: int = 0
    different: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    missing: dict[Source, tuple[str, ...]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


def build(voc: Path | None, sbd: Path | None, out: Path | None = None, *, overwrite: bool = False) -> Built:
    """Write the masks of SegmentationClassAug that the sources allow; those that are there already are kept.

    Args:
        voc: The folder VOC2012, one above it, or the archive VOCtrainval_11-May-2012.tar; None builds SBD's masks only.
        sbd: The folder benchmark_RELEASE of SBD, `dataset` or `cls` in it, one above it, or the archive benchmark.tgz;
            None builds VOC's masks only: all of val, on which papers evaluate.
        out: The folder of the masks; default SegmentationClassAug in the folder VOC2012.
        overwrite: Whether masks that are there with other labels are replaced.

    Raises:
        UsageError: If no source is given, or there is no default for `out`, or it can't be written.
        MissingError: If a source does not exist, or has no masks.
        BrokenFileError: If an archive is damaged.
    """
    given: dict[Source, Path | None] = {"voc": voc, "sbd": sbd}
    sources = {source: _masks_of(source, path) for source, path in given.items() if path is not None}
    if not sources:
        raise UsageError("there is nothing to build masks from", "--voc VOC2012 --sbd benchmark_RELEASE")
    if out is None:
        if "voc" not in sources or not sources["voc"].is_dir():
            raise UsageError("where the masks belong does not follow from the sources", f"--out VOC2012/{MASKS}")
        out = sources["voc"].parent / MASKS
    built = Built(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        remove_leftovers(out, "*.png")
        for source, path in sources.items():
            _build_from(source, path, built, overwrite=overwrite)
    except FSSBenchError:
        raise
    except OSError as error:
        where = error.filename or out
        raise UsageError(f"can't write {where}: {error.strerror}", "the same command continues") from error
    return built


def _masks_of(source: Source, given: Path) -> Path:
    """Return the folder of the masks of a source, or its archive."""
    folder, places = _FOLDERS[source]
    if given.is_file():
        return given
    if not given.is_dir():
        raise MissingError(f"there is no folder or archive {given}", f"--{source} DIR with the folder {folder}")
    if given.name == folder:
        return given
    for place in places:
        if (given / place / folder).is_dir():
            return given / place / folder
    raise MissingError(
        f"{given} has no folder {folder} with the masks of {_TITLES[source]}", f"--{source} the folder that has it"
    )


def _build_from(source: Source, path: Path, built: Built, *, overwrite: bool) -> None:
    names = {name for name, mask in common.common_masks().items() if mask.source == source}
    waiting = set(names)
    found = _found(source, path, waiting)
    doing = f"building the masks of {_TITLES[source]}"
    for _, (name, where, raw) in zip(tracked(range(len(names)), doing, "masks"), found, strict=False):
        try:
            label = _label_of(source, raw, where)
        except BrokenFileError as error:
            built.broken.append(error.message)
            continue
        _write(name, label, built, overwrite=overwrite)
    if waiting == names:
        folder = _FOLDERS[source][0]
        raise MissingError(f"{path} has no mask of {_TITLES[source]}: no {folder}/NAME.{_SUFFIXES[source]} of the set")
    built.missing[source] = tuple(sorted(waiting))


def _found(source: Source, path: Path, waiting: set[str]) -> Iterator[tuple[str, Path, bytes]]:
    """Yield name, path and content of the masks of a source, each once, and take their names out of `waiting`."""
    folder, suffix = _FOLDERS[source][0], _SUFFIXES[source]
    above = "(?:.*/)?" if path.is_dir() else f"(?:.*/)?{folder}/"
    pattern = re.compile(rf"{above}([0-9]{{4}}_[0-9]{{6}})\.{suffix}")

    def wanted(file: str) -> bool:
        match = pattern.fullmatch(file)
        return match is not None and match[1] in waiting

    for file, raw in files_in(path, wanted, largest=MAX_BYTES):
        name = Path(file).stem
        waiting.discard(name)
        yield name, path / file, raw


def _label_of(source: Source, raw: bytes, where: Path) -> Label:
    if source == "voc":
        return read_label(where, CLASS_COUNT, ignore=True, raw=raw)
    return segmentation_of(raw, str(where))


def segmentation_of(raw: bytes, where: str) -> Label:
    """Return the label map in a file of SBD's folder cls: GTcls.Segmentation, uint8 (H, W), values 0..20.

    Args:
        raw: The content of the file.
        where: The file, for messages.

    Raises:
        BrokenFileError: If it is not such a file.
    """
    value = read_matlab(raw, "GTcls", where)
    fields = value.items[0] if isinstance(value, Struct) and len(value.items) == 1 else {}
    label = fields.get("Segmentation")
    if not isinstance(label, np.ndarray) or label.ndim != 2 or not 0 < label.size <= MAX_PIXELS:
        raise BrokenFileError(f"{where} is not a mask of SBD's folder cls: it has no label map GTcls.Segmentation")
    wide = label.astype(np.float64)
    if not ((wide >= 0) & (wide <= IGNORE) & (wide == np.floor(wide))).all():
        raise BrokenFileError(f"{where} is not a mask of SBD: GTcls.Segmentation has values that are not labels")
    values = np.ascontiguousarray(label, dtype=np.uint8)
    check_values(values, CLASS_COUNT, ignore=False, where=where)
    return values


def _write(name: str, label: Label, built: Built, *, overwrite: bool) -> None:
    path = built.out / f"{name}.png"
    there = _label_at(path)
    same = there is not None and np.array_equal(there, label)
    if there is not None and not same and not overwrite:
        built.left.append(name)
        return
    if not common.common_masks()[name].equals(label):
        built.different.append(name)
    if same:
        built.kept += 1
        return
    content = BytesIO()
    Image.fromarray(label).save(content, "PNG")
    os.close(replace_locked(path, content.getvalue()))
    built.written += 1


def _label_at(path: Path) -> Label | None:
    """Return the labels of a mask that is there; None if there is none, or if it is damaged and nobody's work."""
    try:
        return read_label(path, CLASS_COUNT, ignore=True)
    except FSSBenchError:
        return None
