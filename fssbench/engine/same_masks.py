"""Checks that the masks of a continued run are still those from which its rows were computed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from fssbench.datasets.dataset import Dataset
from fssbench.errors import BrokenFileError, UsageError
from fssbench.progress import tracked
from fssbench.results.photos import check_mask_digests, mask_digest
from fssbench.results.rows import Row

_LOG = logging.getLogger(__name__)


def check_same_masks(rows: Sequence[Row], dataset: Dataset, folder: Path) -> None:
    """Read the label map of every image of the rows again, and refuse to continue with others.

    The fingerprint of a data set covers the number of pixels of each class in each image. This covers where they are.

    Args:
        rows: The rows of the run. Those of earlier versions have no digests of masks, which is logged once.
        dataset: The data set as it is now.
        folder: The run folder.

    Raises:
        UsageError: If masks have changed, with their number and the first of them.
        BrokenFileError: If the rows have two different masks of one image, or a mask can't be read.
        MissingError: If a mask is missing.
    """
    if dataset.rendered:
        return
    before = check_mask_digests(rows, folder)
    if unknown := sum(row.masks is None for row in rows):
        _LOG.warning(
            "%d of the %d rows in %s were computed by an earlier version, which kept no digests of masks: whether "
            "these masks have changed since is not known",
            unknown,
            len(rows),
            folder,
        )
    changed = []
    for name in tracked(sorted(before), "reading the masks of the run", "masks"):
        try:
            label = dataset.label(name)
        except UsageError as error:  # an annotation is gone, and with it the image
            raise BrokenFileError(f"the run in {folder} can't be continued: {error.message}", error.remedy) from error
        if mask_digest(label) != before[name]:
            changed.append(name)
    if changed:
        raise UsageError(
            f"the run in {folder} can't be continued: {len(changed)} of the {len(before)} masks of its rows have "
            f"changed since, the first that of {changed[0]}",
            "restore the masks or annotations, start the run again with --overwrite, or name another --out",
        )
