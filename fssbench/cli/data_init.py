"""`fssbench data init`: the description of own data, from what is in its folder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from fssbench.cli.console import say
from fssbench.cli.paths import given_path
from fssbench.errors import UsageError


def init(
    name: Annotated[str, typer.Argument(help="folder: your own data.")],
    root: Annotated[Path, typer.Option("--root", metavar="FOLDER", parser=given_path, help="The folder with images/.")],
) -> None:
    """Write a dataset.toml to begin with, from the masks or annotations in a folder of your own data.

    Examples:
        fssbench data init folder --root own-data
        fssbench data init folder --root photos/annotated

    Masks are indexed, one PNG per class, or in a COCO json; polygons of LabelMe, CVAT for images and Label Studio are
    converted to one. Nothing is asked: what was guessed is printed. Nothing that is there is replaced.
    """
    from fssbench.datasets.catalogue import require_dataset
    from fssbench.datasets.folder.description import FILE
    from fssbench.datasets.folder.starter import CONVERTED, starter_for
    from fssbench.files import write_text

    if require_dataset(name) != "folder":
        raise UsageError(f"{name} needs no description; your own data, `folder`, does", "fssbench data init folder")
    found = starter_for(root)
    try:
        if found.annotations is not None:
            write_text(root / CONVERTED, found.annotations)
        write_text(root / FILE, found.description)
    except OSError as error:
        raise UsageError(f"can't write into {root}: {error.strerror}", f"ls -ld {shlex.quote(str(root))}") from error
    say(f"{root / FILE}:", *(f"  {line}" for line in found.description.splitlines()))
    say("guessed:", *(f"  {guess}" for guess in found.guesses))
    say("next, after a look at it:", f"  fssbench data check folder --root {shlex.quote(str(root))}")
