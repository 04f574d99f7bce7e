"""An episode, and a list of episodes with its content hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Self, overload

from fssbench.errors import FSSBenchError
from fssbench.escape import printable

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.datasets.dataset import Dataset


class _FromDataset:
    """Remembers the data set that it was drawn from, for its pictures in notebooks; this is no part of its value."""

    __slots__ = ("_source",)
    _source: Dataset

    @property
    def source(self) -> Dataset | None:
        """The data set that it was drawn from; None if that is not known, as for a list from a file."""
        return getattr(self, "_source", None)

    def _draw_from(self, dataset: Dataset) -> Self:
        object.__setattr__(self, "_source", dataset)
        return self


@dataclass(frozen=True, slots=True)
class Episode(_FromDataset):
    """One episode: segment `classes` in `query`, given the supports of each class.

    Attributes:
        query: Name of the query image.
        classes: The label values of the N classes; way n (from 1) of a prediction is `classes[n - 1]`.
        supports: The names of the K support images of each class: `supports[n - 1][k]`.
        query_class: The label value under which the query is listed. In FS-CS it may be none of `classes`.
        class_names: The names of the N classes; empty if they are not known, as in a list that was read from a file
            (`EpisodeList.of`).
            They are no part of the content hash, and episodes that differ in them alone are equal.

    Examples:
        >>> import fssbench
        >>> episode = fssbench.Episode(
        ...     query="val_0001", classes=(1, 4), supports=(("val_0261",), ("val_0012",)), query_class=1
        ... )
        >>> episode.way, episode.shot
        (2, 1)
    """

    query: str
    classes: tuple[int, ...]
    supports: tuple[tuple[str, ...], ...]
    query_class: int
    class_names: tuple[str, ...] = field(default=(), compare=False)

    @property
    def way(self) -> int:
        """N, the number of classes."""
        return len(self.classes)

    @property
    def shot(self) -> int:
        """K, the number of supports per class."""
        return len(self.supports[0])

    def canonical(self) -> str:
        """Return the line of JSON that the content hash is computed from."""
        record = [self.query, list(self.classes), [list(names) for names in self.supports], self.query_class]
        return json.dumps(record, separators=(",", ":"), ensure_ascii=True)

    def _repr_html_(self) -> str:
        from fssbench.episode.shown import episode_html

        return episode_html(self)


@dataclass(frozen=True, repr=False)
class EpisodeList(Sequence[Episode], _FromDataset):
    """Episodes with the protocol that drew them.

    Attributes:
        episodes: The episodes, in the order of the draw.
        dataset: Name of the data set, e.g. "pascal5i".
        fold: The fold of the classes.
        split: The split of the data set that the images come from.
        way: N.
        shot: K.
        protocol: Name of the protocol, e.g. "hsnet".
        seed: The seed of the draw.
        list_order: The order of the image lists that the list was drawn from (`Dataset.list_order`).
        data_fingerprint: `Dataset.split_fingerprint` of the split that the list was drawn from.
        left_out: Classes of the fold that the draw left out because they have too few images. If there are any, the
            list is not the protocol's own.
        run_length: Episodes per run, if the list has several runs with different seeds, one after the other. `seed` is
            the seed of the first run. None for a single run.
        train_dataset: The data set that the folds belong to, if weights trained on it are evaluated on another one.
        test_classes: Which classes are tested in that case (`fssbench.datasets.transfer.view`).
        references: How many different supports each query has (`fssbench.episode.references`); None for the protocol's
            own. Each run of the list has every query once, with one of them.
        absent: Share of the queries that hold no class of their episode (`fssbench.episode.absent`); None for the
            protocol's own queries. In such a list a query holds none exactly if `query_class` is none of `classes`.
        base_hash: The hash of the protocol's list that this one was made from, if it has references or absent queries.
        base_count: The number of episodes of that list.

    Examples:
        >>> import fssbench
        >>> dataset = fssbench.open_dataset("shapes20i")
        >>> episodes = fssbench.episodes(dataset, fold=0, way=1, shot=1, protocol="shapes", count=3)
        >>> isinstance(episodes, fssbench.EpisodeList)
        True
        >>> episodes.hash[:16]
        'efdc907f5979e9c3'
        >>> [episode.query for episode in episodes]
        ['val_0001', 'val_0002', 'val_0002']
        >>> episodes.frame[["query", "class_names"]].to_dict("records")[0]
        {'query': 'val_0001', 'class_names': ('gear',)}
    """

    episodes: tuple[Episode, ...]
    dataset: str
    fold: int
    split: Literal["train", "val", "test"]
    way: int
    shot: int
    protocol: str
    seed: int
    list_order: str
    data_fingerprint: str
    left_out: tuple[int, ...] = ()
    run_length: int | None = None
    train_dataset: str | None = None
    test_classes: str | None = None
    references: int | None = None
    absent: float | None = None
    base_hash: str | None = None
    base_count: int | None = None

    @property
    def drawn_by(self) -> str:
        """The protocol, and in what the list differs from the protocol's own."""
        more = [] if self.absent is None else [f"{100 * self.absent:g} % absent"]
        more += [] if self.references is None else [f"{self.references} references"]
        return ", ".join([self.protocol, *more])

    @property
    def absent_count(self) -> int | None:
        """How many queries hold no class of their episode; None for a list without the share `absent`."""
        return None if self.absent is None else sum(holds_none(episode) for episode in self.episodes)

    @cached_property
    def hash(self) -> str:
        """Hex sha256 of the episodes alone: equal hashes mean the same episodes in the same order."""
        lines = "\n".join(episode.canonical() for episode in self.episodes)
        return hashlib.sha256(lines.encode("ascii")).hexdigest()

    def of(self, dataset: Dataset) -> EpisodeList:
        """Return the list with the names of its classes, and with pictures in a notebook.

        Args:
            dataset: The opened data set. If a file that its names are read from is not here, the list has none.
        """
        try:
            names: Mapping[int, str] = dataset.class_names
        except FSSBenchError:
            names = {}
        known: dict[tuple[int, ...], tuple[str, ...]] = {}
        for episode in self.episodes:
            if episode.classes not in known:
                found = tuple(names.get(class_id, str(class_id)) for class_id in episode.classes)
                known[episode.classes] = found if names else ()
        named = (replace(episode, class_names=known[episode.classes])._draw_from(dataset) for episode in self.episodes)
        return replace(self, episodes=tuple(named))._draw_from(dataset)

    @property
    def frame(self) -> pd.DataFrame:
        """A row per episode: its number, query, classes, their names, supports and query class."""
        import pandas as pd

        columns = ("query", "classes", "class_names", "supports", "query_class")
        table = {name: [getattr(episode, name) for episode in self.episodes] for name in columns}
        return pd.DataFrame({"episode": range(len(self.episodes))} | table)

    def __len__(self) -> int:
        return len(self.episodes)

    def __iter__(self) -> Iterator[Episode]:
        return iter(self.episodes)

    @overload
    def __getitem__(self, index: int) -> Episode: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Episode, ...]: ...
    def __getitem__(self, index: int | slice) -> Episode | tuple[Episode, ...]:
        return self.episodes[index]

    def __getstate__(self) -> dict[str, object]:
        return dict(vars(self))  # without the data set

    def __repr__(self) -> str:
        return printable(
            f"<{len(self)} episodes of {self.dataset}, fold {self.fold}, {self.split}: "
            f"{self.way}-way {self.shot}-shot, protocol {self.protocol}, seed {self.seed}, hash {self.hash[:12]}>"
        )

    def _repr_html_(self) -> str:
        from fssbench.episode.shown import list_html

        return list_html(self)


def holds_none(episode: Episode) -> bool:
    """Return whether an episode of a list with absent queries says that its query holds none of its classes."""
    return episode.query_class not in episode.classes
