"""The record of a run: all that is needed to repeat it, and to decide whether two runs may be in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from fssbench.ledger.facts import ChosenOn, NovelImages
from fssbench.metrics.summary import LEVEL
from fssbench.protocols.choices import BaseRule, ProtocolFile, QueryRim
from fssbench.results.shard import WHOLE, Cut, Shard
from fssbench.results.until import Until

Option = str | int | float | bool | tuple[int | float, ...] | None
_CONFIG: dict[str, object] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}


@dataclass(frozen=True)
class CodeRecord:
    """The code of a method that is not registered.

    Attributes:
        path: The file, as it was named on the command line; None if it is not known.
        sha256: Hex hash of the file; None if there is none.
        imports: The sha256 of each file next to it that it imports, by name.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

    path: str | None
    sha256: str | None
    imports: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PackageRecord:
    """The package of somebody else that a method or a data set comes from, through an entry point.

    Attributes:
        name: Name of the distribution.
        version: Its version, according to its metadata; empty if it states none.
        commit: The commit that it was installed from, where pip noted one (PEP 610); None otherwise.
        editable: Whether its folder is on the path, so that its code may have changed since it was installed.
        file: The file of the class, below the folder of the package's top module.
        sha256: Hex hash of that file; None if it can't be read.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

    name: str
    version: str
    commit: str | None = None
    editable: bool = False
    file: str | None = None
    sha256: str | None = None

    def describe(self) -> str:
        """Return the package as text, e.g. "mynet 1.2, commit 0123456789ab, editable, net.py sha256 ba9876543210"."""
        parts = [f"{self.name} {self.version}".strip(), f"commit {self.commit[:12]}" if self.commit else ""]
        parts += ["editable" if self.editable else "", f"{self.file} sha256 {self.sha256[:12]}" if self.sha256 else ""]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Trained:
    """What weights say of their training: the metadata that `fssbench train` writes, or the registry of checkpoints.

    Attributes:
        dataset: The data set.
        fold: The fold whose classes were not learnt.
        classes: The names of the classes whose labels were learnt; None if they are not known.
        novel_images: What became of training images that hold novel classes, as in `fssbench.ledger.facts`; None if it
            is not stated.
        chosen_on: The classes by whose results the weights were chosen; None if it is not stated.
        released: Whether the weights are a release's own.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

    dataset: str
    fold: int | None
    classes: tuple[str, ...] | None = None
    novel_images: NovelImages | None = None
    chosen_on: ChosenOn | None = None
    released: bool = False


@dataclass(frozen=True)
class MethodRecord:
    """The method as it was built.

    Attributes:
        name: Name in the registry, or the class for a method that is not registered.
        variant: The variant; None if there is only one.
        backbone: Name of the backbone; None if the method has none.
        task: "fss" or "fscs".
        options: Further arguments of `fssbench.build`.
        learnable_parameters: Number of trainable parameters; None until the method is built.
        code: The code of a method that is not registered; None for a registered one.
        package: The package that it comes from, if that is another one than fssbench; None in runs of earlier versions.
        ledger: The facts of the ledger that a method declares which is not one of fssbench's
            (`fssbench.ledger.facts.Facts`); empty if it declares none.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

    name: str
    variant: str | None
    backbone: str | None
    task: Literal["fss", "fscs"]
    options: Mapping[str, Option] = field(default_factory=dict)
    learnable_parameters: int | None = None
    code: CodeRecord | None = None
    package: PackageRecord | None = None
    ledger: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class HubModel:
    """A model of the Hugging Face hub, or of a local folder in the hub's layout.

    Attributes:
        repository: Name on the hub; empty for a local folder.
        revision: The commit; empty for a local folder.
        sha256: Hex hash of its weight file; of weights in several files the hash of their names and hashes.
        precision: Type of the numbers in the file, e.g. "float32"; they are converted to float32.
        licence: According to its model card or the registry of checkpoints; empty if unknown.
        layers: The numbers of the blocks or stages whose maps are used, from 1; empty if the method decides.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

    repository: str
    revision: str
    sha256: str
    precision: str
    licence: str = ""
    layers: tuple[int, ...] = ()

    def describe(self) -> str:
        """Return the model, its commit or hash, precision, licence and layers as text."""
        known = f"{self.repository} at {self.revision[:12]}" if self.repository else f"sha256 {self.sha256[:12]}"
        layers = f"layers {', '.join(map(str, self.layers))}" if self.layers else ""
        licence = f"licence {self.licence}" if self.licence else "licence unknown"
        return ", ".join(part for part in (known, self.precision, licence, layers) if part)


@dataclass(frozen=True)
class Weights:
    """The weights of the method.

    Attributes:
        kind: "checkpoint" (a file), "memory" (passed by a caller in Python), "random", "none", or "predictions": the
            predictions were read from files, and the weights are not known.
        sha256: Hex hash of the file, of the weights in memory, or of the predictions (`fssbench.predictions.digest`);
            None for "random" and "none".
        backbone_sha256: Hash of the file of the frozen backbone, if it is a separate file.
        checkpoint: Name in the registry of checkpoints, if it is registered.
        path: Path of the file, or of the folder of predictions, on that machine.
        seed: Seed of random weights.
        hub: The models of the Hugging Face hub that the weights, or those of the backbone, come from.
        trained: What they say of their training; None if nothing says it, and in runs of earlier versions.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

    kind: Literal["checkpoint", "memory", "random", "none", "predictions"]
    sha256: str | None = None
    backbone_sha256: str | None = None
    checkpoint: str | None = None
    path: str | None = None
    seed: int | None = None
    hub: tuple[HubModel, ...] = ()
    trained: Trained | None = None


@dataclass(frozen=True)
class DatasetRecord:
    """The data: `fingerprint` and `list_order` as in `fssbench.datasets.dataset.Dataset`.

    Attributes:
        fold_count: Number of folds, if the files of the data set define it; None if its name does.
        title: The name of the user's own data in tables; None for other data, and in runs of earlier versions.
        package: The package that it comes from, as in `MethodRecord`.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

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

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

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

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

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

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

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
        computed: What else may change last digits: "compiled", "channels_last", "deterministic".
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

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

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

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
