"""Checking the data on this machine against the release: counts, lists, missing and unreadable files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from fssbench.datasets import open_dataset
from fssbench.datasets.catalogue import REGISTRY, dataset_info, list_datasets
from fssbench.datasets.dataset import Dataset, Split
from fssbench.datasets.io.images import size_of
from fssbench.datasets.roots import require_root
from fssbench.errors import BrokenFileError, FSSBenchError, MissingError
from fssbench.progress import tracked
from fssbench.registry import imported


def check_at(name: str, root: Path | None = None, *, decode: bool = True, **options: str) -> Report:
    """Check a data set by its name. The user's own `folder` is checked even if it can't be opened.

    Args:
        name: Name of the data set.
        root: Its folder; default as `fssbench data where` shows.
        decode: As for `check`.
        **options: Options of the data set.

    Raises:
        UsageError: If the name or an option is unknown.
        MissingError: If there is no folder.
    """
    cls, check_folder = REGISTRY.get(name), dataset_info(name).check_unopened
    if not check_folder:
        return check(open_dataset(name, root, **options), decode=decode)
    cls.refuse_options(options)
    report: Report = _function(check_folder)(require_root(name, root), decode=decode)
    return report


def _function(target: str) -> Callable[..., Report]:
    return cast("Callable[..., Report]", imported(target))


def check(dataset: Dataset, *, decode: bool = True) -> Report:
    """Check a data set against its release.

    Args:
        dataset: The opened data set.
        decode: Whether to decode every photo (which takes minutes for COCO); otherwise photos are only opened.
    """
    known = dataset.name in list_datasets() and isinstance(dataset, REGISTRY.get(dataset.name))
    if known and (target := dataset_info(dataset.name).check):
        report: Report = _function(target)(dataset, decode=decode)
        return report if report.complete or dataset.own else _with_part(report, dataset)
    folds = range(dataset.fold_count)
    splits: tuple[Split, ...] = ("val", "train")
    counts = [
        Count(f"{split} entries, fold {fold}", len(dataset.entries(fold, split))) for split in splits for fold in folds
    ]
    return Report(dataset.name, dataset.root, tuple(counts))


def _with_part(report: Report, dataset: Dataset) -> Report:
    """Return a report of an incomplete data set with what can be evaluated all the same."""
    from fssbench.datasets.partial import partial_note

    lists = [count for count in report.counts if count.what.startswith(f"{dataset.evaluated_split} entries")]
    official = sum(count.official or 0 for count in lists)
    note = partial_note(dataset, official, whole=bool(lists) and all(count.same for count in lists))
    return replace(report, part=note)


def report_of(
    dataset: Dataset, counts: Iterable[Count], problems: Sequence[FSSBenchError], notes: Iterable[str] = ()
) -> Report:
    """Return the report of a data set, with the problems sorted into broken and missing files."""
    return Report(
        dataset.name,
        dataset.root,
        counts=tuple(counts),
        broken=tuple(error.message for error in problems if not isinstance(error, MissingError)),
        missing=tuple(error.message for error in problems if isinstance(error, MissingError)),
        notes=tuple(notes),
    )


def equal_count(what: str, here: int, official: int) -> Count:
    """Return a count that is right if it equals the number in the release."""
    return Count(what, here, official, here == official)


def unreadable_labels(dataset: Dataset, names: Sequence[str]) -> Iterator[FSSBenchError]:
    """Yield an error for each label map that is missing or can't be read."""
    for name in tracked(names, "reading the masks", "masks"):
        try:
            dataset.label(name)
        except FSSBenchError as error:
            yield error


def photo_problems(
    dataset: Dataset, names: Sequence[str], *, decode: bool, same_size: bool = True
) -> Iterator[FSSBenchError]:
    """Yield an error for each photo that is missing, unreadable, or has another size than its label map."""
    for name in tracked(names, "reading the photos", "photos"):
        path = dataset.photo_path(name)
        if path is None:
            continue
        try:
            size = dataset.image(name).shape[:2] if decode else size_of(path)
            expected = dataset.image_size(name) if same_size else size
        except FSSBenchError as error:
            yield error
            continue
        if tuple(size) != expected:
            here, labels = f"{size[1]} x {size[0]}", f"{expected[1]} x {expected[0]}"
            yield BrokenFileError(f"{path} has {here} pixels, its labels {labels}")


NOT_AT_HAND = "not counted"
"""The value of a number that can't be counted because of a missing or broken file."""


@dataclass(frozen=True)
class Count:
    """One number that was counted.

    Attributes:
        what: What was counted.
        here: The number on this machine, or `NOT_AT_HAND`.
        official: The number in the complete release; None if it is not known.
        same: Whether the number is right, and for lists also the content.
        note: Further information, e.g. that a list is the release's.
    """

    what: str
    here: int | str
    official: int | None = None
    same: bool = True
    note: str = ""


@dataclass(frozen=True)
class Report:
    """The result of `check`.

    Attributes:
        dataset: Name of the data set.
        root: Its folder; None if it is rendered.
        counts: The numbers.
        broken: A sentence for each broken file.
        missing: A sentence for each missing file.
        notes: Information that is no error.
        faults: For own data, what is wrong and how to correct it.
        different: A sentence for each file that is whole, but not the release's.
        part: What can be evaluated of an incomplete data set; empty if it is complete, or that is not known.
    """

    dataset: str
    root: Path | None
    counts: tuple[Count, ...]
    broken: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    faults: tuple[tuple[str, str], ...] = ()
    different: tuple[str, ...] = ()
    part: str = ""

    @property
    def complete(self) -> bool:
        """Whether nothing is wrong."""
        wrong = self.broken or self.missing or self.different or self.faults
        return not wrong and all(count.same for count in self.counts)
