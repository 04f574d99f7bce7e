"""The data sets by name, and what is known about them without opening them; code is imported when one is opened."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import UsageError
from fssbench.registry import Registry

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset


PAPERS = 4
"""Number of folds in the papers' tables, and of data sets that are not known here."""


@dataclass(frozen=True)
class DatasetInfo:
    """What is known about a data set without importing it (datasets.toml).

    Attributes:
        name: Name in the registry.
        target: "module:class".
        title: Name as papers print it.
        folder: Name of the data folder, as in HSNet's and PATNet's releases; empty if it is the name of the data set.
        folds: Number of folds; 1 if there is a fixed test split, 0 if only the files define it.
        rendered: Whether the images are rendered, so that there are no files.
        own: Whether it is the user's own data, which no release has evaluated. A class with fewer than K + 1 images is
            then refused, even where a release's draw would repeat supports.
        same_scenes_as: The data set with the same scenes: classes, folds and lists are the same, the pixels are not.
        recipes_of: The data set whose training recipes and method options are used, if this one has none of its own.
        recipes_of_small: The same for backbones that are trained from scratch here, if it is another one.
        protocols: Protocols that can be used without overrides, in addition to those that name the data set in
            protocols.toml.
        check: The function that `fssbench data check` calls with the opened data set, as "module:function"; empty if
            only the lists are counted.
        check_unopened: A function that checks the folder even if the data set can't be opened, as "module:function";
            empty if there is none.
    """

    name: str
    target: str
    title: str
    folder: str = ""
    folds: int = PAPERS
    rendered: bool = False
    own: bool = False
    same_scenes_as: str | None = None
    recipes_of: str | None = None
    recipes_of_small: str | None = None
    protocols: tuple[str, ...] = ()
    check: str = ""
    check_unopened: str = ""

    @property
    def folder_name(self) -> str:
        """Name of the data folder."""
        return self.folder or self.name

    @property
    def scenes(self) -> str:
        """The data set that the scenes come from: `same_scenes_as`, or itself."""
        return self.same_scenes_as or self.name


@cache
def built_in() -> dict[str, DatasetInfo]:
    """Return the data sets of datasets.toml, by name."""
    with (Path(__file__).parent / "datasets.toml").open("rb") as file:
        raw = tomllib.load(file)
    return {
        name: DatasetInfo(**{**fields, "name": name, "protocols": tuple(fields.get("protocols", ()))})
        for name, fields in raw.items()
    }


REGISTRY: Registry[type[Dataset]] = Registry(
    "dataset",
    "fssbench.datasets.dataset:Dataset",
    {name: info.target for name, info in built_in().items()},
    titles={name: info.title for name, info in built_in().items()},
)


def list_datasets() -> list[str]:
    """Return the names of all data sets, sorted.

    Examples:
        >>> import fssbench
        >>> "pascal5i" in fssbench.list_datasets()
        True
    """
    return REGISTRY.names()


def require_dataset(name: str) -> str:
    """Return the name of a data set as it is registered; "PASCAL-5i" is pascal5i.

    Raises:
        UsageError: If it is unknown, with the nearest names.
    """
    return REGISTRY.require(name)


def dataset_info(name: str) -> DatasetInfo:
    """Return what is known about a data set; for one of another package, its class defines it.

    Raises:
        UsageError: If the name is unknown.
    """
    name = REGISTRY.require(name)
    if name in built_in():
        return built_in()[name]
    cls = REGISTRY.get(name)
    info = getattr(cls, "info", None)
    if isinstance(info, DatasetInfo):
        return info
    return DatasetInfo(
        name,
        f"{cls.__module__}:{cls.__qualname__}",
        title=name,
        folds=cls.fold_count,
        rendered=cls.rendered,
        own=cls.own,
        # A class without `info` may still have the attributes of version 0.1.
        same_scenes_as=getattr(cls, "shows", None),
        recipes_of=getattr(cls, "resembles", None),
        check=getattr(cls, "checked_by", ""),
        check_unopened=getattr(cls, "checked_unopened", ""),
    )


def folder_name(name: str) -> str:
    """Return the name of a data set's folder; its own name if it is not registered."""
    return dataset_info(name).folder_name if name in list_datasets() else name


def dataset_title(name: str, own: str = "") -> str:
    """Return the name of a data set as papers print it; "A_to_B" is trained on A and tested on B.

    Args:
        name: The name, or a pair of names.
        own: The name of the tested data, if it is the user's own.
    """
    known = list_datasets()
    titles = [dataset_info(part).title if part in known else part for part in name.split("_to_")]
    return " → ".join([*titles[:-1], own or titles[-1]])


def fold_count_of(name: str) -> int:
    """Return the number of folds; for "A_to_B", trained on A and tested on B, that of A."""
    trained_on = name.partition("_to_")[0]
    return dataset_info(trained_on).folds if trained_on in list_datasets() else PAPERS


def require_training(name: str, remedy: str) -> None:
    """Refuse a data set that can't be the training data of weights.

    Args:
        name: One of `list_datasets()`.
        remedy: What to do instead.

    Raises:
        UsageError: If it has no training classes.
    """
    if REGISTRY.get(name).seen_in_training(0) == ():
        raise UsageError(f"{name} has no training classes: it is for weights trained on other data", remedy)
