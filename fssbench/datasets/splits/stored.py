"""Split lists that were imported from a release, stored in the user's data folder.

The key of a list is the label value for COCO-20i ("1" -> image ids), and "classes" for FSS-1000 (-> class names).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fssbench.config import reachable, user_data_folder
from fssbench.datasets.dataset import Split
from fssbench.errors import BrokenFileError, UsageError
from fssbench.files import file_size, write_text
from fssbench.unique_keys import refuse_repeated

MAX_BYTES = 64 << 20
"""Larger files are refused: HSNet's lists of COCO's train split take 2 MB here."""

Ids = list[Annotated[int, Field(ge=0, lt=10**12)]]


class StoredLists(BaseModel):
    """The stored file: data set, split, and the lists in order."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dataset: str
    split: Split = Field(alias="side")
    lists: dict[str, Ids | list[str]]


def path_of(dataset: str, split: Split) -> Path:
    """Return the path of the imported lists of one split; the file need not exist.

    Raises:
        NoHomeError: If there is no home folder that it could be in.
    """
    return user_data_folder() / "splits" / f"{dataset}-{split}.json"


def is_there(dataset: str, split: Split) -> bool:
    """Return whether the lists of one split were imported; they are not read."""
    path = reachable(lambda: path_of(dataset, split))
    return path is not None and path.is_file()


def store(dataset: str, split: Split, lists: Mapping[str, list[int] | list[str]]) -> Path:
    """Store lists, whole or not at all, and return the path of the file.

    Raises:
        UsageError: If the user's data folder can't be written.
    """
    path = path_of(dataset, split)
    text = json.dumps({"dataset": dataset, "side": split, "lists": dict(lists)}, separators=(",", ":"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise UsageError(f"can't write {path}: {error.strerror}") from error
    return path


def load(dataset: str, split: Split) -> dict[str, list[int] | list[str]] | None:
    """Return the imported lists; None if they were not imported.

    Raises:
        BrokenFileError: If the file is damaged.
    """
    path = reachable(lambda: path_of(dataset, split))
    if path is None:
        return None
    remedy = _remedy(dataset)
    try:
        if file_size(path) > MAX_BYTES:
            raise BrokenFileError(f"{path} is too large for split lists", remedy)
        raw = path.read_bytes()
        stored = StoredLists.model_validate_json(raw)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error.strerror}", remedy) from error
    except ValidationError as error:
        message = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise BrokenFileError(f"{path} does not hold imported lists: {message}", remedy) from error
    refuse_repeated(raw, path, remedy)
    if (stored.dataset, stored.split) != (dataset, split):
        raise BrokenFileError(f"{path} holds lists of {stored.dataset}, {stored.split}", remedy)
    return dict(stored.lists)


def load_class_lists(dataset: str, split: Split, class_count: int) -> dict[int, list[int]] | None:
    """Return the imported image ids by label value; None if they were not imported.

    Raises:
        BrokenFileError: If the file is damaged.
    """
    stored = load(dataset, split)
    if stored is None:
        return None
    lists: dict[int, list[int]] = {}
    for key, ids in stored.items():
        if not key.isdecimal() or not 1 <= int(key) <= class_count or not all(isinstance(i, int) for i in ids):
            raise BrokenFileError(f"{path_of(dataset, split)} does not hold image ids by class", _remedy(dataset))
        lists[int(key)] = cast("list[int]", ids)
    return lists


def load_names(dataset: str, split: Split) -> list[str] | None:
    """Return the imported class names; None if they were not imported.

    Raises:
        BrokenFileError: If the file is damaged.
    """
    stored = load(dataset, split)
    if stored is None:
        return None
    names = stored.get("classes", [])
    if not names or not all(isinstance(name, str) for name in names):
        raise BrokenFileError(f"{path_of(dataset, split)} does not hold class names", _remedy(dataset))
    return cast("list[str]", names)


def _remedy(dataset: str) -> str:
    return f"fssbench data import-splits {dataset} --from DIR"
