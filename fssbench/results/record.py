"""The record of a run: all that is needed to repeat it, and to decide whether two runs may be in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from fssbench.metrics.summary import LEVEL
from fssbench.protocols.choices import BaseRule, ProtocolFile, QueryRim
from fssbench.results.method_record import STRICT, MethodRecord, Option, PackageRecord
from fssbench.results.shard import WHOLE, Cut, Shard
from fssbench.results.until import Until
from fssbench.results.weights_record import Weights


@dataclass(frozen=True)
class DatasetRecord:
    """The data: `fingerprint` and `list_order` as in `fssbench.datasets.dataset.Dataset`.

    Attributes:
        fold_count: Number of folds, if the files of the data set define it; None if its name does.
        title: The name of the user's own data in tables; None for other data, and in runs of earlier versions.
        package: The package that it comes from, as in `MethodRecord`.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    name: str
    fingerprint: str
    list_order: str
    options: Mapping[str, Option] = field(default_factory=dict)
    fold_count: int | None = None
    title: str | None = None
    package: PackageRecord | None = None


@dataclass(frozen=True)
class ProtocolRecord:
    """The rules of `fssbench.protocols.rules.Protocol` that the run was counted by, on its data set.

    Attributes:
        own: For a protocol that is not one of fssbench's, its file.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    name: str
    task: Literal["fss", "fscs"]
    input: tuple[int, int]
    resize: str
    score_at: Literal["input", "original"]
    ignore: Literal["leave-out", "background"]
    base: BaseRule | None = None
    absent: Literal["count", "leave-out"] = "count"
    query_rim: QueryRim = "hidden"
    own: ProtocolFile | None = None


@dataclass(frozen=True)
class FoldRecord:
    """The episodes of one fold, and the weights.

    Attributes:
        fold: The fold.
        classes: All classes of the fold.
        episodes: Length of the list.
        episodes_hash: `EpisodeList.hash`.
        drawn_by: The protocol that drew the list, and in what the list differs from the protocol's own.
        seed: Seed of the draw.
        list_order: Order of the image lists that the list was drawn from.
        data_fingerprint: Fingerprint of the data that the list was drawn from.
        left_out: Classes that the draw left out.
        weights: The weights of the method.
        base_classes: The base classes of the fold, if the protocol evaluates them.
        run_length: Episodes per run, if the list holds several runs (`EpisodeList.run_length`).
        unanswered: Number of episodes that are left out because they have no prediction, as the user requested.
        leaking: Names of tested classes that the training on another data set has seen; None if that is not known.
        class_names: The name of each of `classes`; empty in runs of earlier versions.
        references: How many different supports each query of the list has (`EpisodeList.references`).
        absent: How many queries of the list hold no class of their episode, if it was made so (`EpisodeList.absent`).
        base_hash: Hash of the protocol's list that the list was made from, if it has references or absent queries.
        in_shard: How many episodes of the list a shard has that is cut by "seams"; otherwise None.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    fold: int
    classes: tuple[int, ...]
    episodes: int
    episodes_hash: str
    drawn_by: str
    seed: int
    list_order: str
    data_fingerprint: str
    left_out: tuple[int, ...]
    weights: Weights
    base_classes: tuple[int, ...] = ()
    run_length: int | None = None
    unanswered: int = 0
    leaking: tuple[str, ...] | None = ()
    class_names: tuple[str, ...] = ()
    references: int | None = None
    absent: int | None = None
    base_hash: str | None = None
    in_shard: int | None = None


@dataclass(frozen=True)
class Environment:
    """The machine and the software. They do not define the run, but some of them change the last digits.

    Attributes:
        python: Version of Python.
        platform: Operating system and processor.
        packages: Versions of the packages that results depend on.
        device: "cpu" or "cuda:N".
        device_name: Name of the processor or graphics card.
        threads: Number of threads of an operation on the CPU.
        root: Folder of the data; None if there are no files.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    python: str
    platform: str
    packages: Mapping[str, str]
    device: str
    device_name: str
    threads: int
    root: str | None


@dataclass(frozen=True)
class Start:
    """One start of the run; each `--resume` adds one.

    Attributes:
        time: UTC, ISO 8601.
        command: The command line; empty if the run was started from Python.
        fssbench: Version of fssbench.
        environment: Machine and software.
        batches: How many episodes a call had, where that changed on the way: (8, 4) after memory ran out once; empty
            where it did not change.
        computed: What else may change last digits: "compiled", "compiled_heads", "channels_last",
            "deterministic".
    """

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    time: str
    command: tuple[str, ...]
    fssbench: str
    environment: Environment
    batches: tuple[int, ...] = ()
    computed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """A run: one method on one or several folds of a data set, with one row per episode.

    Attributes:
        way: N.
        shot: K.
        split: Split of the data set that the images come from.
        limit: Number of episodes of each list that are evaluated; None for all.
        starts: When and where the run was started and continued.
        train_dataset: The data set that the weights were trained on, if it is another one than the evaluated one;
            otherwise None.
        shard: (number, count) if only a part of the run is evaluated; None for all of it.
        cut: How shards are cut; "order" also if there are none.
        precision: The precision of the computation; see `fssbench.planning.settings.Settings`.
        plain: Whether the plain methods predicted, instead of their fast forms.
        label: The name of the row in tables; None for that of the method.
        label_backbone: The group of the row in tables; None for that of the backbone.
        predictions: Where the predicted label maps were saved, as a path from the run folder, if they are in it or next
            to it; otherwise None. See `near`.
        until: The rule by which the run ends, if it goes on until its interval is narrow; otherwise None.
        schema_version: Raised when the meaning of a field changes.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    method: MethodRecord
    dataset: DatasetRecord
    protocol: ProtocolRecord
    way: int
    shot: int
    split: Literal["train", "val", "test"]
    folds: tuple[FoldRecord, ...]
    limit: int | None
    starts: tuple[Start, ...]
    train_dataset: str | None = None
    shard: tuple[int, int] | None = None
    cut: Cut = "order"
    precision: Literal["float32", "tf32", "bfloat16", "float16", "float16-features"] = "float32"
    plain: bool = False
    label: str | None = None
    label_backbone: str | None = None
    predictions: str | None = None
    until: Until | None = None
    schema_version: Literal[1] = 1

    @property
    def as_shard(self) -> Shard:
        """The part of the run that is evaluated."""
        return WHOLE if self.shard is None else Shard(*self.shard)

    @property
    def is_shard(self) -> bool:
        """Whether this is one of several shards of a run."""
        return self.as_shard.count > 1

    @property
    def whole(self) -> Run:
        """The record of the run that this one is a shard of; an equal one if it is no shard."""
        folds = tuple(replace(fold, in_shard=None) for fold in self.folds)
        return replace(self, shard=None, cut="order", folds=folds)

    @property
    def classes(self) -> dict[int, tuple[int, ...]]:
        """All classes of each fold."""
        return {fold.fold: fold.classes for fold in self.folds}

    def class_names(self, fold: int) -> dict[int, str]:
        """Return the names of the classes of a fold by label value; empty in runs of earlier versions."""
        found = next((one for one in self.folds if one.fold == fold), None)
        return dict(zip(found.classes, found.class_names, strict=False)) if found else {}

    @property
    def references(self) -> int | None:
        """How many different supports each query has; None for a protocol's own lists."""
        return self.folds[0].references

    @property
    def has_absent(self) -> bool:
        """Whether a share of the queries was drawn to hold no class of their episode."""
        return any(fold.absent is not None for fold in self.folds)

    @property
    def generalised(self) -> bool:
        """Whether novel and base classes are predicted together."""
        return self.protocol.base is not None and self.protocol.base.asked == "together"

    @property
    def interval_level(self) -> float:
        """The level of an interval that holds with 95 %: higher if the data decided when the run ended."""
        return LEVEL if self.until is None else self.until.level_of_each

    def requested(self, fold: FoldRecord) -> int:
        """Return how many episodes of the list of a fold are to be evaluated, counted from the first."""
        return fold.episodes if self.limit is None else min(self.limit, fold.episodes)

    def expected(self, fold: FoldRecord) -> int:
        """Return how many rows a fold will have: the requested episodes, without those left out on request."""
        start, stop = self.as_shard.bounds(self.requested(fold))
        return (stop - start if fold.in_shard is None else fold.in_shard) - fold.unanswered
