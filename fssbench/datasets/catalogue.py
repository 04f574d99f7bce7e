"""The data sets by name, and what is known of them unopened; their code is imported only when one is opened."""

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
"""Folds of the papers' tables, and of data sets that are not known here."""


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set without importing it (datasets.toml).

    Attributes:
        name: Name in the registry.
        target: "module:class".
        title: Its name as papers print it.
        folder: Name of its data folder, as in HSNet's and PATNet's releases; empty if it is the data set's name.
        folds: Number of folds; 1 where it has a fixed test split, 0 where only its files say how many.
        rendered: Whether it is drawn when it is evaluated, so that it has no files.
        own: Whether it is one's own data, which no release has evaluated: a class with fewer than K + 1 images is left
            out then, also where a release's draw would repeat supports.
        same_scenes_as: The data set whose scenes it shows in another way: classes, folds and lists are the same, the
            pixels are not.
        recipes_of: The data set whose training recipes and whose options of methods serve it, where it has none of its
            own.
        recipes_of_small: The same for backbones that are trained here from scratch, if it is another one.
        protocols: Protocols that take it as they stand in protocols.toml, besides those that name it there.
        check: What `fssbench data check` calls with the opened data set, as "module:function"; empty where counting its
            lists is all.
        check_unopened: What looks at its folder also where it can't be opened, as "module:function"; empty if there is
            no such check.
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
        """Name of its data folder."""
        return self.folder or self.name

    @property
    def scenes(self) -> str:
        """The data set whose scenes these are: itself, or the one that it shows in another way."""
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
    "dataset", "fssbench.datasets.dataset:Dataset", {name: info.target for name, info in built_in().items()}
)


def list_datasets() -> list[str]:
    """Return the names of all data sets, sorted.

    Examples:
        >>> import fssbench
        >>> "pascal5i" in fssbench.list_datasets()
        True
    """
    return REGISTRY.names()


def dataset_info(name: str) -> DatasetInfo:
    """Return what is known of a data set; for one registered by another package, what its class says.

    Raises:
        UsageError: If the name is unknown.
    """
    REGISTRY.require(name)
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
    """Return the name of a data set's folder; of one that is not registered, its own name."""
    return dataset_info(name).folder_name if name in list_datasets() else name


def dataset_title(name: str) -> str:
    """Return a data set's name as papers print it; "A_to_B" is trained on A and tested on B."""
    known = list_datasets()
    return " → ".join(dataset_info(part).title if part in known else part for part in name.split("_to_"))


def fold_count_of(name: str) -> int:
    """Return the number of folds; of "A_to_B", trained on A and tested on B, those of A."""
    trained_on = name.partition("_to_")[0]
    return dataset_info(trained_on).folds if trained_on in list_datasets() else PAPERS


def require_training(name: str, remedy: str) -> None:
    """Refuse a data set as what weights were trained on if it trains nothing.

    Args:
        name: One of `list_datasets()`.
        remedy: What to do instead.

    Raises:
        UsageError: If it has no training classes.
    """
    if REGISTRY.get(name).seen_in_training(0) == ():
        raise UsageError(f"{name} trains nothing: it is asked of weights that were trained elsewhere", remedy)
