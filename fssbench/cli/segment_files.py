"""Which photos `fssbench segment` segments, and which files it writes of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fssbench.cli.segment_options import SegmentOptions
from fssbench.errors import MissingError, UsageError

SUFFIXES = (".jpg", ".jpeg", ".png")
"""The files of a folder that are photos."""


@dataclass(frozen=True)
class PhotoFiles:
    """One photo and the files that are written of it."""

    photo: Path
    mask: Path
    overlay: Path


def support_overlay(out: Path, number: int) -> Path:
    """Return the file that shows how the mask of a support was read, counted from 1."""
    return out / f"support{number}-overlay.png"


def photo_files(options: SegmentOptions) -> list[PhotoFiles]:
    """Return the photos and the files of each.

    Raises:
        UsageError: If there are none, two would write one file, or a file is there already.
        MissingError: If a photo or a folder does not exist.
    """
    sources = [*(options.query or []), *(options.photos or [])]
    if not sources:
        raise UsageError("no photo to segment was named", "--query b.jpg, or --query FOLDER")
    work = []
    for source in sources:
        if not source.exists():
            raise MissingError(f"there is no file {source}", "--query a photo, or a folder of photos")
        found = _photos_in(source) if source.is_dir() else [source]
        if not found:
            raise UsageError(f"{source} has no photo", f"photos end in {', '.join(SUFFIXES)}")
        for photo in found:
            place = photo.relative_to(source) if source.is_dir() else Path(photo.name)
            stem = options.out / place.parent / place.stem
            work.append(
                PhotoFiles(photo, stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}-overlay.png"))
            )
    _check_files(options, work)
    return work


def _photos_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def _check_files(options: SegmentOptions, work: list[PhotoFiles]) -> None:
    owners: dict[Path, str] = {}
    files = [(one.mask, f"the mask of {one.photo}") for one in work]
    if options.overlay:
        files += [(one.overlay, f"the overlay of {one.photo}") for one in work]
        files += [
            (support_overlay(options.out, number), f"the overlay of support {number}")
            for number in range(1, len(options.support) + 1)
        ]
    inputs = {path.resolve() for path in [*(one.photo for one in work), *options.support, *map(Path, options.mask)]}
    for file, what in files:
        if file in owners:
            raise UsageError(f"{owners[file]} and {what} would both be {file}", "segment them into two folders")
        owners[file] = what
        if file.resolve() in inputs:
            raise UsageError(f"{what} would replace {file}, which is read", "--out another folder")
        if file.exists() and not options.overwrite:
            raise UsageError(f"{file} is there already", "--overwrite to replace it, or another --out")
