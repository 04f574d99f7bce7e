"""What the record of a run says: data set, protocol, method, folds. Torch is imported only where it is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from fssbench.datasets.catalogue import REGISTRY as DATASETS
from fssbench.datasets.catalogue import built_in
from fssbench.episode.draw import classes_of
from fssbench.errors import FSSBenchError
from fssbench.ledger.facts import FACTS
from fssbench.methods.catalogue import REGISTRY as METHODS
from fssbench.methods.catalogue import MethodInfo
from fssbench.planning.leaks import leaking
from fssbench.planning.packages import package_record
from fssbench.results.method_record import CodeRecord, MethodRecord, Option
from fssbench.results.record import DatasetRecord, FoldRecord, ProtocolRecord
from fssbench.results.weights_record import Weights

if TYPE_CHECKING:
    from typing import Any

    from fssbench.datasets.dataset import Dataset, Split
    from fssbench.episode import EpisodeList
    from fssbench.methods.base.method import Method
    from fssbench.protocols.rules import Protocol


@dataclass(frozen=True)
class Origin:
    """What only the caller knows of a run; all of it is written to run.json.

    Attributes:
        command: The command line.
        weights: Where the method's weights of each fold come from; by default they are hashed in memory.
        dataset_options: Arguments of `open_dataset` other than the root.
    """

    command: tuple[str, ...] = ()
    weights: Mapping[int, Weights] = field(default_factory=dict)
    dataset_options: Mapping[str, Option] = field(default_factory=dict)


def protocol_record(protocol: Protocol) -> ProtocolRecord:
    """Return the counting rules of a protocol that `Protocol.on` has adapted to its data set."""
    return ProtocolRecord(
        name=protocol.name,
        task=protocol.task,
        input=protocol.input,
        resize=protocol.resize,
        score_at=protocol.score_at,
        ignore=protocol.ignore,
        base=protocol.base,
        absent=protocol.absent,
        query_rim=protocol.query_rim,
        own=protocol.own,
    )


def dataset_record(dataset: Dataset, split: Split, options: Mapping[str, Option]) -> DatasetRecord:
    """Return what decides the labels and lists of the evaluated split, and which classes are evaluated."""
    chosen = {} if dataset.test_classes is None else {"test_classes": dataset.test_classes}
    # Tables know the folds of the data sets of fssbench by their names.
    known = dataset.name in built_in() and type(dataset).fold_count
    folds = None if known else dataset.fold_count
    fingerprint, order = dataset.split_fingerprint(split), dataset.list_order
    # Two folders of own data stand under two names, also if nobody has named them.
    unnamed = f"own data in {dataset.root.resolve().name}" if dataset.own and dataset.root else None
    return DatasetRecord(
        dataset.name,
        fingerprint,
        order,
        {**options, **chosen},
        folds,
        title=dataset.given_name or unnamed,
        package=package_record(DATASETS, dataset.name),
    )


def fold_record(episodes: EpisodeList, dataset: Dataset, weights: Weights, protocol: Protocol) -> FoldRecord:
    """Return the record of one fold: its episode list and its weights, counted by the rules of a protocol."""
    classes = classes_of(dataset, episodes)
    return FoldRecord(
        fold=episodes.fold,
        classes=classes,
        episodes=len(episodes),
        episodes_hash=episodes.hash,
        drawn_by=episodes.drawn_by,
        seed=episodes.seed,
        list_order=episodes.list_order,
        data_fingerprint=episodes.data_fingerprint,
        left_out=episodes.left_out,
        weights=weights,
        base_classes=() if protocol.base is None else dataset.fold_classes(episodes.fold, "train"),
        run_length=episodes.run_length,
        leaking=leaking(dataset, episodes),
        class_names=_class_names(dataset, classes),
        references=episodes.references,
        absent=episodes.absent_count,
        base_hash=episodes.base_hash,
    )


def _class_names(dataset: Dataset, classes: Sequence[int]) -> tuple[str, ...]:
    """Return the names of classes; empty if a file that they are read from is not here: no number needs them."""
    try:
        return tuple(dataset.class_names[c] for c in classes)
    except (FSSBenchError, KeyError):
        return ()


def method_record(method: Method[Any, Any]) -> MethodRecord:
    """Return how a method was built; for one that `fssbench.build` did not make, its class."""
    parameters = method.learnable_parameters
    if method.built is None:
        cls = type(method)
        return MethodRecord(f"{cls.__module__}:{cls.__qualname__}", None, None, method.task, {}, parameters)
    built = {key: value for key, value in asdict(method.built).items() if key not in ("way", "shot", "trained_on")}
    options = {key: _option(value) for key, value in built.pop("options").items()}
    code = None if method.info is None else code_record(method.info)
    if method.info is not None and method.info.own is not None:
        built["name"] = method.info.name
    package = package_record(METHODS, built["name"])
    return MethodRecord(
        **built,
        task=method.task,
        options=options,
        learnable_parameters=parameters,
        code=code,
        package=package,
        ledger=ledger_record(method.info),
    )


def ledger_record(info: MethodInfo | None) -> dict[str, str | tuple[str, ...]]:
    """Return what a method from outside declares for the ledger; nothing of one of fssbench's."""
    if info is None or info.ledger is None:
        return {}
    facts = {name: getattr(info.ledger, name) for name in (*FACTS, "classes", "source")}
    return {name: value for name, value in facts.items() if value not in (None, "")}


def code_record(info: MethodInfo) -> CodeRecord | None:
    """Return the record of the code of a method that is not registered; None for a registered one."""
    if info.own is None:
        return None
    return CodeRecord(info.own.path or None, info.own.sha256 or None, dict(info.own.imports))


def _option(value: object) -> Option:
    if isinstance(value, list | tuple) and all(isinstance(item, int) for item in value):
        return tuple(value)
    return value if isinstance(value, str | int | float | bool | None) else repr(value)
