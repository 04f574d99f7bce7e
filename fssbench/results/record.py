"""What a run was: everything needed to repeat it, and to know whether two runs may stand in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import ClassVar, Literal

from fssbench.protocols.choices import BaseRule, ProtocolFile
from fssbench.results.shard import WHOLE, Shard

Option = str | int | float | bool | tuple[int | float, ...] | None
_CONFIG: dict[str, object] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}


@dataclass(frozen=True)
class CodeRecord:
    """The code of a method that is not registered.

    Attributes:
        path: Its file, as it was named; None where it is not known.
        sha256: Hex hash of that file; None where there is none.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

    path: str | None
    sha256: str | None


@dataclass(frozen=True)
class MethodRecord:
    """The method as it was built.

    Attributes:
        name: Name in the registry, or the class for one that is in none.
        variant: Its form; None where there is only one.
        backbone: Name of the backbone; None if it has none.
        task: "fss" or "fscs".
        options: Further arguments of `fssbench.build`.
        learnable_parameters: How many parameters training moves; None until it is built.
        code: Of a method that is not registered its code; None for one that is.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

    name: str
    variant: str | None
    backbone: str | None
    task: Literal["fss", "fscs"]
    options: Mapping[str, Option] = field(default_factory=dict)
    learnable_parameters: int | None = None
    code: CodeRecord | None = None


@dataclass(frozen=True)
class Weights:
    """Which weights answered.

    Attributes:
        kind: "checkpoint" (a file), "memory" (given by a caller in Python), "random", "none", or "predictions": the
            answers themselves came as files, from weights that are not known here.
        sha256: Hex hash of the file, of the weights in memory, or of the answers (`fssbench.predictions.digest`); None
            for "random" and "none".
        backbone_sha256: Hash of the frozen backbone's file, where it is kept apart.
        checkpoint: Its name in the registry of checkpoints, if it is there.
        path: Where the file, or the folder of predictions, was on that machine.
        seed: Seed of random weights.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

    kind: Literal["checkpoint", "memory", "random", "none", "predictions"]
    sha256: str | None = None
    backbone_sha256: str | None = None
    checkpoint: str | None = None
    path: str | None = None
    seed: int | None = None


@dataclass(frozen=True)
class DatasetRecord:
    """The data: `fingerprint` and `list_order` as in `fssbench.datasets.dataset.Dataset`.

    Attributes:
        fold_count: Its number of folds, where its files say it; None where its name does.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

    name: str
    fingerprint: str
    list_order: str
    options: Mapping[str, Option] = field(default_factory=dict)
    fold_count: int | None = None


@dataclass(frozen=True)
class ProtocolRecord:
    """The rules of counting, as in `fssbench.protocols.rules.Protocol`, on the data set of the run.

    Attributes:
        own: Of a protocol that is not one of fssbench's, the whole file.
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
    own: ProtocolFile | None = None


@dataclass(frozen=True)
class FoldRecord:
    """What one fold was asked, and by which weights.

    Attributes:
        fold: Its number.
        classes: All its classes.
        episodes: Length of the list.
        episodes_hash: `EpisodeList.hash`.
        drawn_by: Protocol that drew the list.
        seed: Seed of the draw.
        list_order: Order of the image lists that decided the draw.
        data_fingerprint: Fingerprint of the data it was drawn from.
        left_out: Classes that the draw left out.
        weights: The weights that answered.
        base_classes: Its base classes, where the protocol asks for them.
        run_length: Episodes per run, where the list holds several (`EpisodeList.run_length`).
        unanswered: How many of its episodes are left out because no prediction was given for them, on request.
        leaking: Names of classes that are asked although training on another data set has seen them; None where that
            is not known.
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


@dataclass(frozen=True)
class Environment:
    """Where it ran: none of this is part of the question, some of it moves the last digits.

    Attributes:
        python: Version of Python.
        platform: Operating system and processor.
        packages: Versions of the packages that compute.
        device: "cpu" or "cuda:N".
        device_name: Name of the processor or graphics card.
        threads: Threads of one operation on the CPU.
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
        command: What was typed; empty if it was started from Python.
        fssbench: Version.
        environment: Where.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _CONFIG

    time: str
    command: tuple[str, ...]
    fssbench: str
    environment: Environment


@dataclass(frozen=True)
class Run:
    """A run: one method on one data set, one fold or several, one row per episode.

    Attributes:
        way: N.
        shot: K.
        split: Side of the data set the images come from.
        limit: Only so many episodes of each list are asked; None for all.
        starts: When and where it was started and continued.
        train_dataset: What the weights were trained on, where it is another data set than the one asked; None: the
            same, or nothing was trained.
        shard: (part, parts) where only a part of each fold is asked, in the order of work; None for all of it.
        precision: In which the method computed; see `fssbench.planning.settings.Settings`.
        plain: Whether the methods themselves predicted, in place of their fast forms.
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
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = "float32"
    plain: bool = False
    schema_version: Literal[1] = 1

    @property
    def as_shard(self) -> Shard:
        """The part of each fold that is asked."""
        return WHOLE if self.shard is None else Shard(*self.shard)

    @property
    def is_shard(self) -> bool:
        """Whether it is one of several parts of a run."""
        return self.as_shard.count > 1

    @property
    def classes(self) -> dict[int, tuple[int, ...]]:
        """All classes of each fold."""
        return {fold.fold: fold.classes for fold in self.folds}

    @property
    def generalised(self) -> bool:
        """Whether novel and base classes were asked together."""
        return self.protocol.base is not None and self.protocol.base.asked == "together"

    def requested(self, fold: FoldRecord) -> int:
        """Return how many episodes of its list a fold is asked, from the first on."""
        return fold.episodes if self.limit is None else min(self.limit, fold.episodes)

    def expected(self, fold: FoldRecord) -> int:
        """Return how many rows a fold will have: of all that it is asked, but for those left out on request."""
        start, stop = self.as_shard.bounds(self.requested(fold))
        return stop - start - fold.unanswered


_FREE = {"limit", "starts", "method.learnable_parameters", "path", "checkpoint"}
"""What may change between two starts of a run without changing a number."""


@dataclass(frozen=True)
class Difference:
    """A field in which two runs differ, by its dotted name."""

    field: str
    stored: object
    requested: object


def first_difference(stored: Run, requested: Run) -> Difference | None:
    """Return the first field in which two runs differ so that their rows must not be mixed; None if there is none."""
    return _difference(stored, requested, "")


def _difference(stored: object, requested: object, name: str) -> Difference | None:
    if is_dataclass(stored) and type(stored) is type(requested):
        for entry in fields(stored):
            inner = f"{name}.{entry.name}" if name else entry.name
            if inner in _FREE or entry.name in _FREE:
                continue
            if found := _difference(getattr(stored, entry.name), getattr(requested, entry.name), inner):
                return found
        return None
    if name == "folds" and isinstance(stored, tuple) and isinstance(requested, tuple):
        return _fold_difference(stored, requested)
    return None if stored == requested else Difference(name, stored, requested)


def _fold_difference(stored: tuple[FoldRecord, ...], requested: tuple[FoldRecord, ...]) -> Difference | None:
    theirs, ours = [fold.fold for fold in stored], [fold.fold for fold in requested]
    if theirs != ours:
        return Difference("folds", theirs, ours)
    for before, now in zip(stored, requested, strict=True):
        if found := _difference(before, now, f"folds[{now.fold}]"):
            return found
    return None
