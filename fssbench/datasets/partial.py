"""What can be evaluated of a data set that is not complete: which folds, with which option, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass

from fssbench.datasets.dataset import Dataset
from fssbench.errors import FSSBenchError

_FEWEST = 2
"""Images of a class that an episode needs: a query and a support."""


@dataclass(frozen=True)
class _Fold:
    """What of a fold's evaluated list is here: classes that have too few images, and photos that are missing."""

    number: int
    classes: int
    short: int
    entries: int
    missing: int


def partial_note(dataset: Dataset, official: int = 0, *, whole: bool = False) -> str:
    """Return what can be evaluated of the files that are here; empty if the lists can't be read.

    Args:
        dataset: The opened data set.
        official: How many entries the evaluated lists of the release have; 0 if that is not known.
        whole: Whether the evaluated lists are the release's.
    """
    try:
        folds = [_fold(dataset, number) for number in range(dataset.fold_count)]
    except FSSBenchError:
        return ""
    split = dataset.evaluated_split
    if whole:
        return _with_missing(f"the lists of {split} are complete, on which papers evaluate", folds, dataset)
    usable = [fold for fold in folds if fold.short < fold.classes]
    if not usable:
        return f"nothing can be evaluated yet: no class of a list has {_FEWEST} images, a query and a support"
    entries = sum(fold.entries for fold in folds)
    share = f"{entries} of {official}" if official else str(entries)
    ways = []
    if as_they_are := [fold.number for fold in usable if not fold.short]:
        ways.append(f"{_folds(as_they_are)} as {'it is' if len(as_they_are) == 1 else 'they are'}")
    if some := [fold for fold in usable if fold.short]:
        example = f"{some[0].short} of {some[0].classes} classes of fold {some[0].number} have too few images"
        ways.append(f"{_folds([fold.number for fold in some])} with --skip-short-classes ({example})")
    if gone := [fold.number for fold in folds if fold not in usable]:
        ways.append(f"nothing of {_folds(gone)}")
    note = (
        f"a part can be evaluated all the same, with {share} {split} entries: {', '.join(ways)}; "
        "each run records that its lists are not the release's"
    )
    return _with_missing(note, folds, dataset)


def _with_missing(note: str, folds: list[_Fold], dataset: Dataset) -> str:
    """Return a note with how many entries have no photo."""
    missing = sum(fold.missing for fold in folds)
    if not missing:
        return note
    others = "; --lists here leaves them out" if getattr(dataset, "lists", None) == "all" else ""
    return f"{note}. {missing} entries have no photo here, and an episode with one ends the run{others}"


def _fold(dataset: Dataset, number: int) -> _Fold:
    entries = dataset.entries(number, dataset.evaluated_split)
    classes = dataset.fold_classes(number, dataset.evaluated_split)
    images = entries.groupby("class_id")["name"].nunique()
    paths = [dataset.photo_path(name) for name in entries["name"]]
    missing = sum(path is not None and not path.is_file() for path in paths)
    short = sum(int(images.get(class_id, 0)) < _FEWEST for class_id in classes)
    return _Fold(number, len(classes), short, len(entries), missing)


def _folds(numbers: list[int]) -> str:
    return f"fold{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
