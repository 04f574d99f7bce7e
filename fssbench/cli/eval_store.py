"""`fssbench eval --feature-store`: encoded images on disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from fssbench.cli.help import COMPUTING
from fssbench.cli.paths import check_folder, given_path
from fssbench.config import FEATURE_STORE_VARIABLE
from fssbench.errors import UsageError
from fssbench.planning.settings import parse_bytes


@dataclass(frozen=True)
class FeatureStoreOptions:
    """Where encoded images are kept between runs, and how much room they may take."""

    feature_store: Annotated[
        Path | None,
        typer.Option(
            "--feature-store",
            metavar="DIR",
            parser=given_path,
            help="Keep encoded images in a folder, for later runs with the same frozen backbone.",
            show_default=f"{FEATURE_STORE_VARIABLE}, or none",
            rich_help_panel=COMPUTING,
        ),
    ] = None
    feature_store_size: Annotated[
        str | None,
        typer.Option(
            "--feature-store-size",
            metavar="SIZE",
            help="Room that they may take there; those used longest ago make room.",
            show_default="50GiB",
            rich_help_panel=COMPUTING,
        ),
    ] = None


def store_settings(options: FeatureStoreOptions) -> dict[str, Path | int | None]:
    """Return the folder and its size in bytes, as `Settings` take them.

    Raises:
        UsageError: If the folder is a file, or the size is none.
    """
    folder = options.feature_store
    if folder is None and (variable := os.environ.get(FEATURE_STORE_VARIABLE)):
        folder = Path(variable)
    if folder is not None and folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder", "--feature-store DIR")
    if folder is not None and not folder.exists():  # one that is there may be somebody else's, to be read only
        check_folder("--feature-store", folder)
    size = (
        None if options.feature_store_size is None else parse_bytes(options.feature_store_size, "--feature-store-size")
    )
    if size is not None and size < 1:
        raise UsageError("a feature store has room for 1 or more bytes", "leave --feature-store out for none")
    if size is not None and folder is None:
        raise UsageError("--feature-store-size is that of a feature store", "--feature-store DIR")
    return {"feature_store": folder, "feature_store_size": size}
