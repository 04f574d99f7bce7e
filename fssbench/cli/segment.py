"""`fssbench segment`: find what supports show in one's own photos."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from fssbench.cli.console import say
from fssbench.cli.fields import fields_for, with_fields
from fssbench.cli.paths import check_folder
from fssbench.cli.segment_files import PhotoFiles, photo_files, support_overlay
from fssbench.cli.segment_options import SegmentOptions
from fssbench.cli.signals import kept_on_stop, typed_command
from fssbench.errors import FSSBenchError, UsageError
from fssbench.escape import printable
from fssbench.files import write_bytes
from fssbench.progress import Activity, silenced, tracked

if TYPE_CHECKING:
    from fssbench.photos.inputs import Photo
    from fssbench.photos.segment import Segmenter


@with_fields
def segment(options: SegmentOptions) -> None:
    """Find the classes of some supports in photos: a mask for each, and a line that says what share they have.

    Examples:
        fssbench segment --support dog.jpg --mask dog.png --query holiday.jpg photos --out masks
        fssbench segment --support a.jpg --mask box:40,60,210,300 --query photos --out masks --overlay

    A mask is a palette PNG of the photo's size: 0 for the background, 1 for the first class, 2 for the second.
    """
    work = photo_files(options)
    check_folder("--out", options.out)
    with silenced(options.quiet), Activity("loading the method"):
        segmenter = _segmenter(options)

    options.out.mkdir(parents=True, exist_ok=True)
    if not options.as_json and not options.quiet:
        weights = segmenter.chosen.weights
        say(f"{segmenter.chosen.name}{f', weights {weights}' if weights else ''}", err=True)
    found: list[dict[str, object]] = []
    failed = 0
    done = 0

    def kept() -> str:
        return f"the masks of {done} of {len(work)} photos are kept in {options.out}" if done else ""

    with kept_on_stop(kept, lambda: typed_command("--overwrite")):
        for one in work if options.quiet else tracked(work, "segmenting", "photos"):
            try:
                shares = _segmented(one, segmenter, overlay=options.overlay)
            except FSSBenchError as error:
                # The other photos are segmented all the same.
                failed += 1
                say(*f"error: {error}".splitlines(), err=True)
                continue
            done += 1
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


def _segmented(work: PhotoFiles, segmenter: Segmenter, *, overlay: bool) -> dict[str, float]:
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


def _record(work: PhotoFiles, shares: dict[str, float], *, overlay: bool) -> dict[str, object]:
    record: dict[str, object] = {"photo": str(work.photo), "mask": str(work.mask), "shares": shares}
    record["absent"] = [name for name, share in shares.items() if share == 0]
    return record | ({"overlay": str(work.overlay)} if overlay else {})


def _line(work: PhotoFiles, shares: dict[str, float]) -> str:
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
        write_bytes(support_overlay(options.out, number), overlay(photo.pixels, labels, {label: f"support: {name}"}))
