"""Whether classes that are asked were seen in training, by weights that were trained on another data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fssbench.episode.draw import classes_of
from fssbench.errors import UsageError

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset
    from fssbench.episode import EpisodeList


def leaking(dataset: Dataset, episodes: EpisodeList) -> tuple[str, ...] | None:
    """Return the names of the classes of a list that training has seen; None if that is not known."""
    return dataset.leaking(episodes.fold, set(classes_of(dataset, episodes)) - set(episodes.left_out))


def check_leaks(dataset: Dataset, lists: Sequence[EpisodeList], *, allowed: bool) -> None:
    """Refuse lists that ask what training has seen, unless that is allowed.

    Args:
        dataset: The data set as it is asked.
        lists: Its episode lists.
        allowed: Whether they are asked all the same; the record of the run then names the classes.

    Raises:
        UsageError: Naming the classes by fold.
    """
    found = {one.fold: names for one in lists if (names := leaking(dataset, one))}
    if not found or allowed:
        return
    folds = "; ".join(f"fold {fold}: {', '.join(names)}" for fold, names in found.items())
    flaw = getattr(dataset, "flaw", "")
    reason = f" (these test classes, as released: {flaw})" if flaw else ""
    others = "" if dataset.test_classes == "unseen" else "--test-classes unseen leaves them out, "
    raise UsageError(
        f"training on {dataset.trained_on} has seen classes that {dataset.name} would ask{reason}: {folds}",
        f"{others}--allow-leak asks them all the same, and the run says so",
    )
