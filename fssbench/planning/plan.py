"""From a request to a plan of the evaluation. Every mistake is found here, before torch is imported."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.episode.absent import check_absent
from fssbench.episode.references import check_references
from fssbench.errors import UsageError, did_you_mean
from fssbench.methods.catalogue import REGISTRY as METHODS
from fssbench.methods.catalogue import MethodInfo
from fssbench.planning.base_classes import check_base_class_count
from fssbench.planning.default_folder import default_folder
from fssbench.planning.defaults import build_options
from fssbench.planning.episode_lists import (
    check_every_fold,
    check_whole_queries,
    episode_lists,
    made_from,
    with_settings_of,
)
from fssbench.planning.leaks import check_leaks
from fssbench.planning.packages import package_record
from fssbench.planning.records import code_record, dataset_record, fold_record, ledger_record, protocol_record
from fssbench.planning.request import DEVICES, Request
from fssbench.planning.resolve import Names, Setting, resolve
from fssbench.planning.shards import Numbers, numbers_in_shard, with_shard
from fssbench.planning.spelling import spelled
from fssbench.planning.until import until_of
from fssbench.planning.weights import Source, sources_for
from fssbench.protocols.rules import Protocol
from fssbench.results.method_record import MethodRecord
from fssbench.results.record import Run

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset
    from fssbench.episode import EpisodeList
    from fssbench.results.folder_state import Seen
    from fssbench.results.method_record import Option
    from fssbench.results.until import Until


@dataclass(frozen=True)
class Plan:
    """What will be evaluated.

    Attributes:
        request: The request.
        setting: What its names mean.
        dataset: The opened data set.
        lists: An episode list for each fold.
        sources: Where the weights of each fold come from.
        out: The run folder.
        seen: The contents of that folder at the time of planning.
        until: The rule by which it ends, if the data decides the number of episodes.
        in_shard: The numbers of the episodes of each list that a shard has; see `fssbench.planning.shards`.
    """

    request: Request
    setting: Setting
    dataset: Dataset
    lists: tuple[EpisodeList, ...]
    sources: dict[int, Source]
    out: Path
    seen: Seen | None = None
    until: Until | None = None
    in_shard: Numbers | None = None

    @property
    def info(self) -> MethodInfo:
        """The method."""
        return self.setting.info

    @property
    def variant(self) -> str:
        """Its variant."""
        return self.setting.variant

    @property
    def backbone(self) -> str | None:
        """Its backbone; None if it has none."""
        return self.setting.backbone

    @property
    def pinned_backbone(self) -> str | None:
        """The backbone as it is built: a model of the Hugging Face hub at the commit that is on record."""
        return next(iter(self.sources.values())).pinned(self.backbone)

    @property
    def protocol(self) -> Protocol:
        """The counting rules for the data set."""
        return self.setting.rules

    @property
    def way(self) -> int:
        """N."""
        return self.lists[0].way

    @property
    def shot(self) -> int:
        """K."""
        return self.lists[0].shot

    @property
    def options(self) -> dict[str, Option]:
        """The method's own arguments of `fssbench.build`: those that the weights need, and those that were requested.

        Only the input size is the protocol's; see `build_options`.
        """
        needed = next(iter(self.sources.values())).options
        options = build_options(self.info, self.variant, self.backbone, self.request.trained_on, needed)
        return options | {"weak": True} if self.request.weak else options


def plan(request: Request, opened: Dataset | None = None) -> Plan:
    """Check a request, and draw or read its episode lists. Nothing is written, and torch is not imported.

    Names and numbers are checked first, then data, then weights, then the run folder: the user sees one mistake at a
    time.

    Args:
        request: The request.
        opened: The data set, if it is already open.

    Raises:
        UsageError: If a name, a number or an option does not exist or does not fit the others.
        MissingError: If data, a list or weights are missing.
        BrokenFileError: If a file can't be read.
    """
    from fssbench.datasets import open_dataset
    from fssbench.datasets.catalogue import REGISTRY
    from fssbench.datasets.transfer.view import known_fold_count, transfer_view
    from fssbench.results.folder_state import check_folder
    from fssbench.results.run_reader import Existing

    request = spelled(request)
    for name in (request.dataset, request.trained_on):
        REGISTRY.require(name)
    _check_numbers(request)
    given_lists = episode_lists(request.episodes, request.fold)
    if given_lists:
        request = with_settings_of(request, given_lists[0])
        REGISTRY.require(request.trained_on)
    ways, shots = _value_or(request.ways, 1), _value_or(request.shots, 1)
    request = replace(request, shots=shots, ways=ways)
    setting = resolve(_names(request, ways, shots))
    info, protocol, backbone = setting.info, setting.rules, setting.backbone
    seen = None
    if request.leads and request.out is not None:
        # Checked before the data set is opened, which takes long.
        seen = check_folder(_out(request, request.out), request.existing or Existing.REFUSE)
    known = known_fold_count(request.dataset, request.trained_on, request.test_classes)
    if known and not given_lists:
        _folds(request, known)
    dataset = opened or transfer_view(
        open_dataset(request.dataset, request.root, **request.dataset_options), request.trained_on, request.test_classes
    )
    dataset = dataset.for_shots(shots)
    check_every_fold(request.episodes, request.fold, given_lists, dataset.fold_count)
    folds = [episodes.fold for episodes in given_lists] or _folds(request, dataset.fold_count)
    sources = sources_for(request, info, setting.variant, backbone, folds)
    out = _out(request, request.out or default_folder(request, setting, folds, dataset))
    if request.leads and seen is None:
        seen = check_folder(out, request.existing or Existing.REFUSE)
    if given_lists:
        lists = [made_from(episodes, request, dataset, protocol) for episodes in given_lists]
    else:
        lists = [_draw(request, dataset, fold, ways, shots, protocol) for fold in folds]
    check_whole_queries(lists, request.limit, request.until)
    check_leaks(dataset, lists, allowed=request.allow_leak)
    in_shard = numbers_in_shard(request, lists, out)
    until = None
    if request.until is not None:
        until = until_of(request.until, lists, request.limit, shard=request.shard, together=request.together)
    result = Plan(request, setting, dataset, tuple(lists), sources, out, seen, until, in_shard)
    if request.trained_on == request.dataset:
        for episodes in lists:
            check_base_class_count(info, result.options, dataset, episodes.fold)
    return with_folder(result)


def with_folder(planned: Plan) -> Plan:
    """Return a plan whose run folder is checked, if this is the process that writes to it.

    Raises:
        UsageError: If the folder can't be written to, or its run can't be continued.
        BrokenFileError: If the run to be continued is damaged.
    """
    from fssbench.results.continues import check_continues
    from fssbench.results.folder_state import check_folder
    from fssbench.results.run_reader import RUN, Existing

    if not planned.request.leads:
        return planned
    existing = planned.request.existing or Existing.REFUSE
    if planned.seen is None:
        planned = replace(planned, seen=check_folder(planned.out, existing))
    if existing is Existing.RESUME and (planned.out / RUN).exists():
        check_continues(planned.out, planned_run(planned))
    return planned


def _names(request: Request, ways: int, shots: int) -> Names:
    return Names(
        purpose="evaluate",
        dataset=request.dataset,
        trained_on=request.trained_on,
        method=request.method,
        variant=request.variant,
        task=request.task,
        backbone=request.backbone,
        protocol=request.protocol,
        score_at=request.score_at,
        way=ways,
        shot=shots,
        weak=request.weak,
    )


def _out(request: Request, folder: Path) -> Path:
    """Return the run folder; for a shard, its folder within that of the whole run."""
    shard = request.shard
    return folder if shard is None else folder / f"shard-{shard.number}-of-{shard.count}"


def _value_or(value: int | None, default: int) -> int:
    return default if value is None else value


def _check_numbers(request: Request) -> None:
    if request.limit is not None and request.limit < 1:
        raise UsageError(f"--limit is 1 or more episodes, not {request.limit}")
    if request.limit is not None and request.runs is not None:
        raise UsageError(
            "--limit cuts the list of all runs, not each run", f"--episodes {request.limit} draws so many in each run"
        )
    if request.references is not None:
        check_references(request.references)
    if request.absent is not None:
        check_absent(request.absent)
    for name, number in (("--shots", request.shots), ("--ways", request.ways), ("--runs", request.runs)):
        if number is not None and number < 1:
            raise UsageError(f"{name} is 1 or more, not {number}")
    if not DEVICES.fullmatch(request.device):
        raise UsageError(
            f"there is no device '{request.device}'; there are auto, cpu, cuda, cuda:0, ..."
            f"{did_you_mean(request.device, ('auto', 'cpu', 'cuda'))}"
        )
    if request.checkpoint is not None and request.random_weights:
        raise UsageError("--checkpoint and --random-weights exclude each other")
    if request.backbone_weights is not None and request.checkpoint is None:
        raise UsageError("--backbone-weights needs --checkpoint: it completes a checkpoint that has no backbone")


def _folds(request: Request, count: int) -> list[int]:
    if request.fold in (None, "all"):
        return list(range(count))
    fold = request.fold or ""
    if not (fold.isascii() and fold.isdecimal()):
        raise UsageError(
            f"--fold is a number or all, not '{fold}'",
            "a run for each fold: --fold 0, then --fold 1; fssbench table makes one row of them",
        )
    if int(fold) >= count:
        known = f"its folds are 0 to {count - 1}" if count > 1 else "it has only fold 0"
        whose = request.dataset if request.test_classes == "own" else request.trained_on
        raise UsageError(f"{whose} has no fold {fold}: {known}")
    return [int(fold)]


def _draw(request: Request, dataset: Dataset, fold: int, ways: int, shots: int, protocol: Protocol) -> EpisodeList:
    from fssbench.episode import episodes

    count = None if request.episodes is None else int(request.episodes)
    return episodes(
        dataset,
        fold,
        ways,
        shots,
        protocol,
        count,
        request.seed,
        skip_short_classes=request.skip_short_classes,
        runs=request.runs,
        references=request.references,
        absent=request.absent,
    )


def planned_run(plan: Plan) -> Run:
    """Return the record of a planned run: everything except what is known only at the start."""
    several = plan.info.names_variant
    whole = Run(
        method=MethodRecord(
            name=plan.info.name,
            variant=plan.variant if several else None,
            backbone=plan.backbone,
            task=plan.info.tasks[plan.variant],
            options=plan.options,
            code=code_record(plan.info),
            package=package_record(METHODS, plan.info.name),
            ledger=ledger_record(plan.info),
        ),
        dataset=dataset_record(plan.dataset, plan.lists[0].split, plan.request.dataset_options),
        protocol=protocol_record(plan.protocol),
        way=plan.way,
        shot=plan.shot,
        split=plan.lists[0].split,
        folds=tuple(fold_record(one, plan.dataset, plan.sources[one.fold].record, plan.protocol) for one in plan.lists),
        limit=plan.request.limit,
        starts=(),
        train_dataset=None if plan.request.trained_on == plan.request.dataset else plan.request.trained_on,
        precision=plan.request.settings.precision,
        plain=plan.request.settings.plain,
        label=plan.request.label,
        label_backbone=plan.request.label_backbone,
        until=plan.until,
    )
    return with_shard(whole, plan.request.shard, plan.in_shard)
