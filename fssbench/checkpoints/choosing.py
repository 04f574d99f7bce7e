"""The file of one checkpoint among those of a folder or an archive that holds many.

A wrong choice would measure another network, so a name has to state everything in which the checkpoints of the same
place differ: fold, backbone, data set, shots. If it does not, a person chooses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from fssbench.checkpoints.registry import Record
from fssbench.errors import MissingError

_ENDINGS = (".pt", ".pth", ".ckpt", ".safetensors", ".pth.tar", ".pkl")

_WORDS = {
    "backbone": {
        "vgg16": r"vgg",
        "resnet50": r"(?<![a-z])r(?:es|n)?(?:net)?[-_]?50(?!\d)",
        "resnet101": r"(?<![a-z])r(?:es|n)?(?:net)?[-_]?101(?!\d)",
        "swin-b": r"swin",
    },
    "dataset": {"pascal5i": r"pascal|voc", "coco20i": r"coco", "fss1000": r"fss[-_]?1000"},
}
"""How paths of releases name a backbone or a data set."""

_NUMBERS = {
    "fold": r"(?:fold|split|group)[-_=]?(\d)(?!\d)|(?<![a-z0-9])[sf](\d)(?![a-z0-9])",
    "shots": r"(?<!\d)(\d{1,2})[-_]?shots?",
}
"""How they name a fold, counted from 0, and the number of supports."""

_FACTS = {"fold": "the fold", "backbone": "the backbone", "dataset": "the data set", "shots": "the shots"}

_SHOWN = 8


def choose(record: Record, names: Sequence[str], neighbours: Sequence[Record], remedy: str) -> str:
    """Return the name of a record's file.

    Args:
        record: The record; its `file_pattern` is the name, if its release states one.
        names: The paths in the folder or the archive.
        neighbours: All records whose files are in the same place.
        remedy: What a person does if it can't be told.

    Raises:
        MissingError: If none fits, or several do, naming them.
    """
    kept = [name for name in names if _fits(record.file_pattern, name) and not _contradicts(record, name)]
    if not kept:
        what = f"is called {record.file_pattern}" if record.file_pattern else "fits"
        raise MissingError(f"none of the {len(names)} files there {what}: {_listed(names)}", remedy)
    others = [one for one in neighbours if one.id != record.id]
    telling = [name for name in kept if all(_tells(name, record, other) for other in others)]
    if not telling and not _is_its_own(record, others):
        raise MissingError(f"the files there do not state {_unstated(record, kept, others)}: {_listed(kept)}", remedy)
    fitting = telling or kept
    if len(fitting) > 1:
        raise MissingError(f"{len(fitting)} files there fit: {_listed(fitting)}", remedy)
    return fitting[0]


def _tells(name: str, record: Record, other: Record) -> bool:
    """Return whether a name states something of a record that another one does not share."""
    return any(_states(name, record, fact) for fact in _FACTS if _differ(record, other, fact))


def _states(name: str, record: Record, fact: str) -> bool:
    stated = _stated(name, fact)
    return bool(stated) and stated <= _wanted(record, fact)


def _differ(record: Record, other: Record, fact: str) -> bool:
    mine, theirs = _wanted(record, fact), _wanted(other, fact)
    return bool(mine) and bool(theirs) and not mine & theirs


def _unstated(record: Record, names: Sequence[str], others: Sequence[Record]) -> str:
    facts = [fact for fact in _FACTS if any(_differ(record, other, fact) for other in others)]
    missing = [fact for fact in facts if not any(_states(name, record, fact) for name in names)]
    return " and ".join(_FACTS[fact] for fact in missing) or "which of them it is"


def _is_its_own(record: Record, others: Sequence[Record]) -> bool:
    """Return whether its release names the file, and the name of no other record."""
    pattern = record.file_pattern
    return bool(pattern) and "*" not in pattern and all(one.file_pattern != pattern for one in others)


def _fits(pattern: str, name: str) -> bool:
    if not pattern:
        return name.lower().endswith(_ENDINGS)
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"*/{pattern}")


def _contradicts(record: Record, name: str) -> bool:
    """Return whether a name states another fold, backbone, data set or number of supports."""
    return any(
        stated and wanted and not stated & wanted
        for fact in _FACTS
        for stated, wanted in [(_stated(name, fact), _wanted(record, fact))]
    )


def _wanted(record: Record, fact: str) -> frozenset[str]:
    if fact == "shots":
        return frozenset(map(str, record.shots))
    value = getattr(record, fact)
    return frozenset() if value is None else frozenset([str(value)])


def _stated(name: str, fact: str) -> frozenset[str]:
    """Return what a path states of a fact; several values if it is not clear."""
    text = name.lower()
    if fact in _WORDS:
        return frozenset(value for value, pattern in _WORDS[fact].items() if re.search(pattern, text))
    groups = (number for found in re.finditer(_NUMBERS[fact], text) for number in found.groups() if number)
    return frozenset(groups)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:_SHOWN])
    return f"{shown}, ..." if len(names) > _SHOWN else shown or "nothing"
