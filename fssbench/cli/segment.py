"""`fssbench segment`: find what supports show in one's own photos."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fssbench.cli.console import say
from fssbench.cli.help import COMPUTING, OUTPUT, WEIGHTS
from fssbench.cli.options import BackboneWeights, Device, Quiet, fields_for, with_fields
from fssbench.cli.paths import check_folder, given_path
from fssbench.errors import FSSBenchError, MissingError, UsageError
from fssbench.escape import printable
from fssbench.files import write_bytes
from fssbench.progress import Activity, silenced, tracked

if TYPE_CHECKING:
    from fssbench.photos.inputs import Photo
    from fssbench.photos.segment import Segmenter

SUFFIXES = (".jpg", ".jpeg", ".png")
"""The files of a folder that are photos."""


PHOTOS = "Photos"
METHOD = "Method"


@dataclass(frozen=True)
class SegmentOptions:
    """The options of `fssbench segment`."""

    support: Annotated[
        list[Path],
        typer.Option(
            "--support",
            metavar="PHOTO",
            parser=given_path,
            help="A photo with the object; may be repeated.",
            rich_help_panel=PHOTOS,
        ),
    ]
    mask: Annotated[
        list[str],
        typer.Option(
            "--mask",
            metavar="MASK",
            rich_help_panel=PHOTOS,
            help="The object in it: a.png, a.png:15 (a value), a.json (COCO), box:X0,Y0,X1,Y1, points:X,Y;X,Y.",
        ),
    ]
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FOLDER", parser=given_path, help="Folder for the masks.", rich_help_panel=OUTPUT
        ),
    ]
    query: Annotated[
        list[Path] | None,
        typer.Option(
            "--query",
            metavar="PHOTO|FOLDER",
            parser=given_path,
            help="A photo to segment, or a folder of photos; further ones may follow.",
            show_default=False,
            rich_help_panel=PHOTOS,
        ),
    ] = None
    photos: Annotated[
        list[Path] | None, typer.Argument(help="Further photos or folders to segment.", show_default=False)
    ] = None
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAME",
            help="The class of each support, in their order.",
            show_default="one class",
            rich_help_panel=PHOTOS,
        ),
    ] = None
    overlay: Annotated[
        bool,
        typer.Option(
            "--overlay",
            help="Write each photo with outlines and a legend, too, and the supports.",
            rich_help_panel=OUTPUT,
        ),
    ] = False
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="One of `fssbench list methods`.",
            show_default="the best without training that is here",
            rich_help_panel=METHOD,
        ),
    ] = None
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            metavar="NAME",
            help="One of `fssbench list backbones`, or a model of the Hugging Face hub: hf:OWNER/NAME, hf:./FOLDER.",
            show_default="the method's own",
            rich_help_panel=METHOD,
        ),
    ] = None
    variant: Annotated[
        str | None,
        typer.Option(
            "--variant",
            metavar="NAME",
            help="Variant of the method, if it has several.",
            show_default="its first",
            rich_help_panel=METHOD,
        ),
    ] = None
    train_dataset: Annotated[
        str | None,
        typer.Option(
            "--train-dataset",
            metavar="NAME",
            help="What the weights of a trained method were trained on.",
            show_default="none, for a method without training",
            rich_help_panel=WEIGHTS,
        ),
    ] = None
    fold: Annotated[
        int | None,
        typer.Option(
            "--fold",
            help="The fold whose classes they have not seen.",
            show_default="0",
            min=0,
            rich_help_panel=WEIGHTS,
        ),
    ] = None
    checkpoint: Annotated[
        str | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="Weights of a trained method.",
            show_default="the registered ones",
            rich_help_panel=WEIGHTS,
        ),
    ] = None
    backbone_weights: BackboneWeights = None
    size: Annotated[
        int | None,
        typer.Option(
            "--size",
            min=32,
            max=4096,
            help="Side of the input.",
            show_default="that of the protocol",
            rich_help_panel=COMPUTING,
        ),
    ] = None
    device: Device = "auto"
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files of these names.", rich_help_panel=OUTPUT)
    ] = False
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of a line per photo.", rich_help_panel=OUTPUT)
    ] = False
    quiet: Quiet = False


@dataclass(frozen=True)
class _Work:
    """One photo and the files that are written of it."""

    photo: Path
    mask: Path
    overlay: Path


@with_fields
def segment(options: SegmentOptions) -> None:
    """Find the classes of some supports in photos: a mask for each, and a line that says what share they have.

    Examples:
        fssbench segment --support dog.jpg --mask dog.png --query holiday.jpg photos --out masks
        fssbench segment --support a.jpg --mask box:40,60,210,300 --query photos --out masks --overlay

    A mask is a palette PNG of the photo's size: 0 for the background, 1 for the first class, 2 for the second.
    """
    work = _work(options)
    check_folder("--out", options.out)
    with silenced(options.quiet), Activity("loading the method"):
        segmenter = _segmenter(options)

    options.out.mkdir(parents=True, exist_ok=True)
    if not options.as_json and not options.quiet:
        weights = segmenter.chosen.weights
        say(f"{segmenter.chosen.name}{f', weights {weights}' if weights else ''}", err=True)
    found: list[dict[str, object]] = []
    failed = 0
    for one in work if options.quiet else tracked(work, "segmenting", "photos"):
        try:
            shares = _segmented(one, segmenter, overlay=options.overlay)
        except FSSBenchError as error:
            # The other photos are segmented all the same.
            failed += 1
            say(*f"error: {error}".splitlines(), err=True)
            continue
        if options.as_json:
            found.append(_record(one, shares, overlay=options.overlay))
        else:
            say(_line(one, shares))
    if options.as_json:
        typer.echo(json.dumps({"method": segmenter.chosen.name, "photos": found}, indent=1))
    if failed:
        if len(work) > 1:
            say(f"{failed} of {len(work)} photos were not segmented", err=True)
        raise typer.Exit(2)


def _segmented(work: _Work, segmenter: Segmenter, *, overlay: bool) -> dict[str, float]:
    """Write the files of a photo, and return the share of each class, 0 to 1."""
    from fssbench.photos.inputs import photo_from
    from fssbench.photos.overlay import label_png
    from fssbench.photos.overlay import overlay as drawn

    photo = photo_from(work.photo)
    result = segmenter(photo.pixels)
    work.mask.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(work.mask, label_png(result.labels, len(result.classes)))
    shares = dict(zip(result.classes, result.shares, strict=True))
    if overlay:
        legend = {n: f"{name} {_percent(share)}" for n, (name, share) in enumerate(shares.items(), 1)}
        write_bytes(work.overlay, drawn(photo.pixels, result.labels, legend))
    return shares


def _record(work: _Work, shares: dict[str, float], *, overlay: bool) -> dict[str, object]:
    record: dict[str, object] = {"photo": str(work.photo), "mask": str(work.mask), "shares": shares}
    record["absent"] = [name for name, share in shares.items() if share == 0]
    return record | ({"overlay": str(work.overlay)} if overlay else {})


def _line(work: _Work, shares: dict[str, float]) -> str:
    parts = [f"{name} {_percent(share)}" for name, share in shares.items() if share > 0]
    parts += [f"{name} absent" for name, share in shares.items() if share == 0]
    return f"{work.photo}: {', '.join(parts)}; {work.mask}"


def _percent(share: float) -> str:
    return "absent" if share == 0 else "< 0.1 %" if share < 0.001 else f"{100 * share:.1f} %"


def _segmenter(options: SegmentOptions) -> Segmenter:
    """Read the supports, draw them if overlays are wanted, and let the method see them."""
    from fssbench.photos.choice import Choice
    from fssbench.photos.inputs import mask_from, photo_from
    from fssbench.photos.segment import ONE_CLASS, Segmenter

    names = [printable(name) for name in options.name or []] or [ONE_CLASS] * len(options.support)
    if len(options.mask) != len(options.support):
        raise UsageError(
            f"each support has one mask: there are {len(options.support)} and {len(options.mask)}",
            "--support a.jpg --mask a.png --support b.jpg --mask b.png",
        )
    if len(names) != len(options.support):
        raise UsageError(
            f"each support has one class: there are {len(options.support)} supports and {len(names)} classes",
            "repeat --class for each --support, in the same order, or leave it out",
        )
    photos = [photo_from(path) for path in options.support]
    masks = [mask_from(text, photo) for text, photo in zip(options.mask, photos, strict=True)]
    choice = Choice(**fields_for(Choice, options))
    segmenter = Segmenter([photo.pixels for photo in photos], masks, names, choice)
    if options.overlay:
        _draw_supports(options, photos, names, segmenter)
    return segmenter


def _draw_supports(options: SegmentOptions, photos: list[Photo], names: list[str], segmenter: Segmenter) -> None:
    import numpy as np

    from fssbench.photos.overlay import overlay

    options.out.mkdir(parents=True, exist_ok=True)
    for number, (photo, mask, name) in enumerate(zip(photos, segmenter.masks, names, strict=True), 1):
        label = segmenter.classes.index(name) + 1
        labels = np.where(mask == 1, np.uint8(label), mask)
        write_bytes(_support_overlay(options.out, number), overlay(photo.pixels, labels, {label: f"support: {name}"}))


def _support_overlay(out: Path, number: int) -> Path:
    return out / f"support{number}-overlay.png"


def _work(options: SegmentOptions) -> list[_Work]:
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
            work.append(_Work(photo, stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}-overlay.png")))
    _check_files(options, work)
    return work


def _photos_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def _check_files(options: SegmentOptions, work: list[_Work]) -> None:
    owners: dict[Path, str] = {}
    files = [(one.mask, f"the mask of {one.photo}") for one in work]
    if options.overlay:
        files += [(one.overlay, f"the overlay of {one.photo}") for one in work]
        files += [
            (_support_overlay(options.out, number), f"the overlay of support {number}")
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
