"""Checks whether training on another data set has seen classes that are evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fssbench.episode.draw import classes_of
from fssbench.errors import UsageError

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset
    from fssbench.episode import EpisodeList


def leaking(dataset: Dataset, episodes: EpisodeList) -> tuple[str, ...] | None:
    """Return the names of the evaluated classes that training has seen; None if that is not known."""
    return dataset.leaking(episodes.fold, set(classes_of(dataset, episodes)) - set(episodes.left_out))


def check_leaks(dataset: Dataset, lists: Sequence[EpisodeList], *, allowed: bool) -> None:
    """Refuse lists with classes that training has seen, unless they are allowed.

    Args:
        dataset: The data set with its training data set.
        lists: Its episode lists.
        allowed: Whether such classes are evaluated all the same. The record of the run then names them.

    Raises:
        UsageError: Naming the classes of each fold.
    """
    found = {one.fold: names for one in lists if (names := leaking(dataset, one))}
    if not found or allowed:
        return
    folds = "; ".join(f"fold {fold}: {', '.join(names)}" for fold, names in found.items())
    flaw = getattr(dataset, "flaw", "")
    reason = f" (these test classes, as released: {flaw})" if flaw else ""
    others = "" if dataset.test_classes == "unseen" else "--test-classes unseen leaves them out, "
    raise UsageError(
        f"training on {dataset.trained_on} has seen classes that {dataset.name} would evaluate{reason}: {folds}",
        f"{others}--allow-leak evaluates them all the same, and the run records it",
    )
