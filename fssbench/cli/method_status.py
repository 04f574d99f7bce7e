"""What is known of a method: facts, checkpoints, printed and measured rows; read without torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from fssbench.ledger.facts import Facts
from fssbench.ledger.reading import pretraining_of
from fssbench.methods import catalogue
from fssbench.methods.catalogue import K_SHOT_RULES, MethodInfo, method_info

if TYPE_CHECKING:
    from fssbench.checkpoints.registry import Record

TASKS = {"fss": "fss", "fscs": "fs-cs"}


@dataclass(frozen=True)
class MethodStatus:
    """One method at a glance.

    Attributes:
        name: Name in the registry.
        title: The paper's title, or what the method does.
        venue: e.g. "ICCV 2021"; empty for a floor.
        source: The release that it follows; empty for a floor.
        tasks: Of "fss" and "fs-cs".
        variants: Names of its forms, the default one first; empty if there is only one.
        ablation: Variants that leave out a part of the method.
        backbones: Default first; empty if it needs none.
        learnable: For each backbone the number of parameters that training moves, in the default variant.
        weights: "released" if its authors' checkpoints are registered, else "fssbench" if weights that were trained
            here travel with the package, else "none"; "not needed" for a method without weights.
        training: "trained", "training-free" or "unknown".
        adapts: Whether it learns from the episode when it predicts.
        k_shot: For each task how K supports are used, see `K_SHOT_RULES`.
        protocols: For each task the protocol of its release.
        idea: The method in a few lines.
        seen: What its weights have seen of the classes that it is evaluated on, if it takes weights as they are.
        differs: In what an evaluation here differs from that of its release, where that can't be repeated.
        note: Of a method of another package that has not been imported, where it comes from; otherwise empty.
        facts: Its facts in the contamination ledger.
    """

    name: str
    title: str
    venue: str
    source: str
    tasks: tuple[str, ...]
    variants: tuple[str, ...]
    ablation: tuple[str, ...]
    backbones: tuple[str, ...]
    learnable: Mapping[str, int]
    weights: str
    training: str
    adapts: bool
    k_shot: Mapping[str, str]
    protocols: Mapping[str, str]
    idea: str
    seen: str
    differs: str
    note: str = ""
    facts: Facts = field(default_factory=Facts)


@dataclass(frozen=True)
class CheckpointFolds:
    """The registered checkpoints of one configuration: the ids of its folds, and where their files are."""

    variant: str
    backbone: str
    dataset: str
    ids: tuple[str, ...]
    place: str
    licence: str


def statuses(names: Iterable[str] | None = None) -> list[MethodStatus]:
    """Return the status of methods, by default of all registered ones, sorted by name.

    Raises:
        UsageError: If a name is unknown.
    """
    from fssbench.publications.status import released_weights, shipped_weights

    released, shipped = released_weights(), shipped_weights()
    if names is not None:
        return [_status(method_info(name), bool(released.get(name)), bool(shipped.get(name))) for name in names]
    found = []
    for name in catalogue.list_methods():
        info = catalogue.info_at_hand(name)
        if info is None:
            found.append(_unread(name))
        else:
            found.append(_status(info, bool(released.get(name)), bool(shipped.get(name))))
    return found


def _unread(name: str) -> MethodStatus:
    """Return the status of a method of another package that is not imported: importing it would take seconds."""
    note = f"the package {catalogue.REGISTRY.origin(name)}; fssbench list methods {name} reads it"
    return MethodStatus(
        name=name,
        title=note,
        venue="",
        source="",
        tasks=(),
        variants=(),
        ablation=(),
        backbones=(),
        learnable={},
        weights="unknown",
        training="unknown",
        adapts=False,
        k_shot={},
        protocols={},
        idea="",
        seen="",
        differs="",
        note=note,
    )


def _status(info: MethodInfo, released: bool, shipped: bool) -> MethodStatus:
    usual, parts = forms(info)
    tasks = tuple(dict.fromkeys(info.tasks.values()))
    if not info.needs_weights or info.training == "training-free":
        weights = "not needed"
    else:
        weights = "released" if released else "fssbench" if shipped else "none"
    return MethodStatus(
        name=info.name,
        title=info.title,
        venue=info.venue,
        source=info.source,
        tasks=tuple(TASKS[task] for task in tasks),
        variants=usual,
        ablation=parts,
        backbones=info.all_backbones,
        learnable=info.learnable,
        weights=weights,
        training=info.training,
        adapts=info.adapts,
        k_shot={TASKS[task]: rule for task, rule in info.k_shot.items()},
        protocols={
            TASKS.get(name, name): protocol
            for name, protocol in info.protocols.items()
            if name in tasks or name not in TASKS
        },
        idea=info.idea.strip(),
        seen=info.seen,
        differs=info.differs,
        facts=info.facts(),
    )


def as_object(status: MethodStatus) -> dict[str, object]:
    """Return a status for JSON; `ledger` has its facts, null where no source states one, with the default backbone."""
    found: dict[str, object] = {name: value for name, value in asdict(status).items() if name != "facts"}
    default = status.backbones[0] if status.backbones else None
    sets = pretraining_of(status.facts, default)
    return {**found, "ledger": {**status.facts.as_object(), "pretraining": None if sets is None else list(sets)}}


def forms(info: MethodInfo) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the variants that are whole methods, each task's default before others, and those that lack a part."""
    usual = [info.variant_for(task) for task in dict.fromkeys(info.tasks.values())]
    whole = [variant for variant in info.tasks if variant in usual or variant not in info.ablation]
    parts = tuple(variant for variant in info.tasks if variant not in whole)
    return tuple(variant for variant in sorted(whole, key=lambda name: name not in usual) if variant), parts


def checkpoint_folds(name: str) -> list[CheckpointFolds]:
    """Return the registered checkpoints of a method, those of one configuration together."""
    from fssbench.checkpoints.registry import records

    found: dict[tuple[str, str, str, bool], list[Record]] = {}
    for record in records():
        if record.method == name:
            key = record.variant, record.backbone, record.dataset, bool(record.url)
            found.setdefault(key, []).append(record)
    return [
        CheckpointFolds(
            variant=variant,
            backbone=backbone,
            dataset=dataset,
            ids=tuple(record.id for record in same),
            place="with fssbench" if not released else "a file to fetch" if _is_file(same) else "a page to open",
            licence=", ".join(dict.fromkeys(record.licence for record in same if record.licence)),
        )
        for (variant, backbone, dataset, released), same in found.items()
    ]


def _is_file(records: Sequence[Record]) -> bool:
    return all(record.hosting == "file" for record in records)


@dataclass(frozen=True)
class MeasuredMean:
    """What a committed baseline reached, in per cent: the mean over `folds` folds."""

    variant: str
    backbone: str
    dataset: str
    task: str
    way: int
    shot: int
    folds: int
    miou: float


def measured_means(name: str) -> list[MeasuredMean]:
    """Return the means of the committed baselines of a method (benchmarks/baselines)."""
    from fssbench.checking.baselines import read_baselines
    from fssbench.datasets.catalogue import list_datasets
    from fssbench.files import shipped

    found: dict[tuple[str, str, str, str, int, int], list[float]] = {}
    for row in read_baselines(shipped("benchmarks/baselines"), list_datasets()):
        if row.method == name:
            pair = f"{row.train_dataset}_to_{row.dataset}" if row.train_dataset else row.dataset
            key = row.variant, row.backbone, pair, row.task, row.ways, row.shots
            found.setdefault(key, []).append(float(row.miou))
    return [
        MeasuredMean(variant, backbone, dataset, TASKS[task], way, shot, len(folds), sum(folds) / len(folds))
        for (variant, backbone, dataset, task, way, shot), folds in found.items()
    ]


def millions(status: MethodStatus) -> str:
    """Return the learnable parameters with the default backbone in millions, e.g. "2.57"; "-" if nothing is learned."""
    default = next((name for name in status.backbones if name in status.learnable), None)
    return "-" if default is None else f"{status.learnable[default] / 1e6:.2f}"


def k_shot_text(status: MethodStatus) -> str:
    """Return how K supports are used, in a word or two: "voted", or "voted (fss), averaged (fs-cs)"."""
    rules = dict.fromkeys(status.k_shot.values())
    if len(rules) < 2:
        return next(iter(rules), "-")
    return ", ".join(f"{rule} ({task})" for task, rule in status.k_shot.items())


def k_shot_sentences(status: MethodStatus) -> list[str]:
    """Return how K supports are used, a sentence for each task that differs from the one before."""
    named = len(set(status.k_shot.values())) > 1
    kept = status.k_shot.items() if named else list(status.k_shot.items())[:1]
    return [f"{rule}{f' ({task})' if named else ''}: {K_SHOT_RULES[rule]}" for task, rule in kept]
