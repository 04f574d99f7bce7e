"""Checking PASCAL-5i against the release: masks one by one, counts, lists, missing and unreadable files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fssbench.datasets.checks import NOT_AT_HAND, Count, Report, equal_count, photo_problems, report_of
from fssbench.datasets.coco20i import facts as coco_facts
from fssbench.datasets.folder.files import first_names
from fssbench.datasets.pascal5i import common_masks as common
from fssbench.datasets.pascal5i import dataset as pascal5i
from fssbench.datasets.pascal5i.dataset import Pascal5i
from fssbench.datasets.turned_photos import stored_note
from fssbench.errors import FSSBenchError, MissingError
from fssbench.label_values import IGNORE
from fssbench.progress import tracked


def check(dataset: Pascal5i, *, decode: bool) -> Report:
    """Return the report of `fssbench data check`; `decode` decodes every photo."""
    official = pascal5i.facts().official
    names = dataset.mask_names
    masks = _compare(dataset, names)
    counts = [replace(equal_count("masks", len(names), official.masks), note=masks.summary)]
    known = set(common.common_masks())
    problems: list[FSSBenchError] = []
    try:
        val = dataset.val_names
    except FSSBenchError as error:
        problems.append(error)
    else:
        same = coco_facts.hash_of(sorted(val)) == official.val_names_sha256
        counts.append(Count("names in val.txt", len(val), official.val_names, same))
        known |= val
    missing = [MissingError(f"there is no mask of {name}") for name in sorted(known - set(names))]
    photos = [name for name in names if dataset.photo_path(name).is_file()]
    counts.append(equal_count("photos", len(photos), official.masks))
    problems += masks.unreadable
    countable = len(counts) == 3 and not masks.unreadable
    for split in pascal5i.LIST_SPLITS:
        for fold in range(dataset.fold_count):
            what, expected = f"{split} entries, fold {fold}", official.entries[split][fold]
            if not countable:
                counts.append(Count(what, NOT_AT_HAND, expected, same=False))
                continue
            same = dataset.list_sha256(fold, split) == official.sha256[split][fold]
            note = "HSNet's list" if same else "not HSNet's list"
            counts.append(Count(what, len(dataset.fold_list(fold, split)), expected, same, note))
    # The masks come last: there can be so many that other files would not be seen among them.
    problems += [*photo_problems(dataset, names, decode=decode), *missing]
    notes = [*masks.notes, *stored_note(map(dataset.photo_path, names))]
    report = report_of(dataset, counts, problems, notes)
    return replace(report, different=masks.different)


@dataclass(frozen=True)
class _Masks:
    """The masks that are here, compared with the common copy.

    Attributes:
        common: The names of those that are equal.
        other: The names of those with other labels.
        foreign: The names that the common copy does not have.
        rimless: How many of `other` lack the ignored rim, which all masks of VOC have.
        unreadable: An error for each that can't be read.
        different: A sentence for each of `other` and `foreign`.
    """

    common: tuple[str, ...]
    other: tuple[str, ...]
    foreign: tuple[str, ...]
    rimless: int
    unreadable: tuple[FSSBenchError, ...]
    different: tuple[str, ...]

    @property
    def summary(self) -> str:
        """How many masks are equal and how many are not."""
        parts = [f"{len(self.common)} of the common copy"]
        parts += [f"{len(self.other)} with other labels"] if self.other else []
        parts += [f"{len(self.foreign)} that it does not have"] if self.foreign else []
        return ", ".join(parts)

    @property
    def notes(self) -> list[str]:
        """What it means that some are not equal."""
        notes = []
        if self.other:
            rim = f"; {self.rimless} of them lack the ignored rim ({IGNORE}) of VOC's masks" if self.rimless else ""
            notes.append(
                f"{len(self.other)} masks have other labels than those of the common copy: {first_names(self.other)}"
                f"{rim}. A hash tells that they differ, not in how many pixels. fssbench data build pascal5i builds "
                "the common ones from VOC 2012 and SBD"
            )
        if self.foreign:
            names = first_names(self.foreign)
            notes.append(f"{len(self.foreign)} masks are of images that the common copy does not have: {names}")
        return notes


def _compare(dataset: Pascal5i, names: Sequence[str]) -> _Masks:
    table = common.common_masks()
    equal, other, foreign, unreadable, different = [], [], [], [], []
    rimless = 0
    for name in tracked(names, "comparing the masks", "masks"):
        try:
            label = dataset.label(name)
        except FSSBenchError as error:
            unreadable.append(error)
            continue
        if name not in table:
            foreign.append(name)
            different.append(f"the mask of {name} is not in the common copy")
        elif table[name].equals(label):
            equal.append(name)
        else:
            other.append(name)
            rimless += table[name].source == "voc" and not bool((label == IGNORE).any())
            different.append(f"the mask of {name} has other labels than that of the common copy")
    return _Masks(tuple(equal), tuple(other), tuple(foreign), rimless, tuple(unreadable), tuple(different))
