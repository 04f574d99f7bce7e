"""`fssbench data build`: the masks of PASCAL-5i, from the releases that they were made of."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fssbench.cli.console import say
from fssbench.cli.paths import check_folder, given_path
from fssbench.cli.signals import kept_on_stop
from fssbench.errors import CheckFailedError, MissingError, UsageError

if TYPE_CHECKING:
    from fssbench.datasets.pascal5i.build import Built

VOC_HELP = "VOC 2012: its folder VOC2012, or the archive VOCtrainval_11-May-2012.tar."
SBD_HELP = "SBD: its folder benchmark_RELEASE, or the archive benchmark.tgz."
TITLES = {"voc": "VOC 2012", "sbd": "SBD"}


def build(
    name: Annotated[str, typer.Argument(help="pascal5i.")],
    voc: Annotated[
        Path | None,
        typer.Option("--voc", parser=given_path, help=VOC_HELP, show_default="what `fssbench data where` shows"),
    ] = None,
    sbd: Annotated[
        Path | None, typer.Option("--sbd", parser=given_path, help=SBD_HELP, show_default="VOC's masks alone")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", parser=given_path, help="Folder of the masks.", show_default="SegmentationClassAug in VOC2012"
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace masks that are there with other labels.")
    ] = False,
) -> None:
    """Build SegmentationClassAug of PASCAL-5i from VOC 2012's masks and SBD's .mat files.

    Examples:
        fssbench data build pascal5i --voc DIR/VOC2012
        fssbench data build pascal5i --voc DIR/VOC2012 --sbd benchmark_RELEASE

    The rule is that of the common copy, and each mask is compared with it. VOC's masks alone are enough for evaluation.
    What is there already is kept, so that the same command continues where it was stopped. Exit code 1 if a mask is not
    the common one, 2 if one could not be built.
    """
    from fssbench.datasets.catalogue import require_dataset
    from fssbench.datasets.pascal5i.build import MASKS, VOC_MASKS
    from fssbench.datasets.pascal5i.build import build as build_masks
    from fssbench.datasets.pascal5i.common_masks import common_masks
    from fssbench.datasets.roots import find_root

    if require_dataset(name) != "pascal5i":
        raise UsageError(f"{name} is not built from other data; pascal5i is", "fssbench data build pascal5i --help")
    if voc is None and out is None and (root := find_root(name)) is not None:
        voc, out = (root.path if (root.path / VOC_MASKS).is_dir() else None), root.path / MASKS
    check_folder("--out", out)
    with kept_on_stop(lambda: "the masks that are built are kept"):
        built = build_masks(voc, sbd, out, overwrite=overwrite)
    common = built.written + built.kept - len(built.different)
    say(f"{built.out}: {built.written} masks written, {built.kept} were there")
    say(f"{common} of {len(common_masks())} masks of the common copy")
    _judge(built, voc, sbd)
    if sbd is None:
        say("all masks of val are among them, on which papers evaluate; --sbd adds those that are only for training")
    say(f"fssbench data check pascal5i --root {shlex.quote(str(built.out.parent))} checks all of the data set")


def _judge(built: Built, voc: Path | None, sbd: Path | None) -> None:
    """Name what is not as it should be, and end with the error that counts it."""
    from fssbench.datasets.folder.files import first_names

    say(*(f"! {sentence}" for sentence in built.broken[:5]))
    missing = 0
    for source, names in built.missing.items():
        given = {"voc": voc, "sbd": sbd}[source]
        if names:
            say(f"! {given} lacks masks of {TITLES[source]}: {len(names)}, {first_names(names)}")
        missing += len(names)
    if built.different:
        say(f"! built with other labels than the common copy: {len(built.different)}, {first_names(built.different)}")
    if built.left:
        say(f"! there with other labels, and left as they are: {len(built.left)}, {first_names(built.left)}")
    lost = missing + len(built.broken)
    if lost:
        raise MissingError(
            f"masks that could not be built: {lost}, of which {missing} are missing and {len(built.broken)} broken",
            "fetch or unpack the releases again; the same command continues. The masks that are there can be used",
        )
    if built.left:
        raise CheckFailedError(
            f"masks in {built.out} with other labels than those that would be built: {len(built.left)}",
            "the same command with --overwrite replaces them",
        )
    if built.different:
        raise CheckFailedError(
            f"masks that are not those of the common copy, as the sources have other labels: {len(built.different)}",
            "fetch the releases again",
        )
