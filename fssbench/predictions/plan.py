"""From a request to a plan of what will be counted. Every mistake that needs no pixels is found here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.episode.absent import check_claims
from fssbench.episode.files import episode_id
from fssbench.errors import BrokenFileError, UsageError
from fssbench.escape import in_path
from fssbench.planning.episode_lists import check_every_fold, episode_lists, training_view_of
from fssbench.planning.leaks import check_leaks
from fssbench.planning.resolve import Names, Setting, resolve
from fssbench.planning.spelling import spelled
from fssbench.predictions.files import MASKS, PRESENCE, Listing, file_name, fold_of, named, names_in
from fssbench.predictions.presence import Presence, check_presence, find_presence, read_presence
from fssbench.protocols.own import names_file
from fssbench.protocols.rules import Protocol, ScoreAt, list_protocols, protocol_of_list

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset
    from fssbench.episode import EpisodeList
    from fssbench.results.folder_state import Seen
    from fssbench.results.run_reader import Existing

_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,100}")


@dataclass(frozen=True)
class ScoreRequest:
    """The options of `fssbench score`; None where an option was not used. See `fssbench score --help`."""

    predictions: str
    episodes: str
    dataset: str | None = None
    train_dataset: str | None = None
    allow_leak: bool = False
    fold: str | None = None
    protocol: str | None = None
    score_at: ScoreAt | None = None
    presence: Path | None = None
    method_name: str | None = None
    backbone: str | None = None
    label: str | None = None
    label_backbone: str | None = None
    allow_missing: bool = False
    labels: str | None = None
    lists: str | None = None
    part: str | None = None
    root: Path | None = None
    out: Path | None = None
    existing: Existing | None = None

    @property
    def dataset_options(self) -> dict[str, str]:
        """Arguments of `open_dataset` other than the root."""
        options = {"labels": self.labels, "lists": self.lists, "part": self.part}
        return {name: value for name, value in options.items() if value is not None}


@dataclass(frozen=True)
class ScorePlan:
    """What will be counted.

    Attributes:
        request: The request.
        method: Name of the method that made the predictions.
        setting: What the names mean; it has no method.
        dataset: The opened data set.
        lists: An episode list for each fold.
        found: The predictions of each fold.
        presence: The predicted presence of classes; None if it is taken from the label maps.
        out: The run folder.
        seen: The contents of that folder at the time of planning.
    """

    request: ScoreRequest
    method: str
    setting: Setting
    dataset: Dataset
    lists: tuple[EpisodeList, ...]
    found: tuple[Listing, ...]
    presence: Presence | None
    out: Path
    seen: Seen | None = None

    @property
    def protocol(self) -> Protocol:
        """The counting rules for the data set."""
        return self.setting.rules


def plan_score(request: ScoreRequest) -> ScorePlan:
    """Check a request against its lists and the names in its folders. Nothing is written.

    Raises:
        UsageError: If a name or an option does not exist or does not fit the others.
        MissingError: If data, a list, a folder or predictions are missing.
        BrokenFileError: If a list or the presence file can't be read or does not fit, or files belong to no episode.
    """
    from fssbench.datasets import open_dataset
    from fssbench.datasets.catalogue import REGISTRY
    from fssbench.datasets.transfer.view import transfer_view
    from fssbench.results.folder_state import check_folder
    from fssbench.results.run_reader import RUN, Existing

    request = spelled(request)
    lists = episode_lists(request.episodes, request.fold)
    if not lists:
        raise UsageError(
            f"--episodes is the list of the predicted episodes, not the number {request.episodes}",
            "fssbench episodes export makes one",
        )
    first = lists[0]
    _check_options(request, first)
    REGISTRY.require(first.dataset)
    train, choice = training_view_of(first, request.train_dataset, None)
    request = replace(request, train_dataset=train)
    if train is not None:
        REGISTRY.require(train)
    setting = _setting(request, first)
    rules = setting.rules
    method = _name(request)
    out = request.out or _default_folder(request, method, rules, lists)
    if (out / RUN).exists() and request.existing is not Existing.OVERWRITE:
        raise UsageError(f"{out} holds a run already", "replace it with --overwrite, or name another --out")
    seen = check_folder(out, Existing.OVERWRITE)
    folders = [Path(request.predictions.replace("{fold}", str(one.fold))) for one in lists]
    found, presence = _found(request, rules, lists, folders)
    dataset = open_dataset(first.dataset, request.root, **request.dataset_options)
    dataset = transfer_view(dataset, train or first.dataset, choice)
    check_every_fold(request.episodes, request.fold, lists, dataset.fold_count)
    check_leaks(dataset, lists, allowed=request.allow_leak)
    for one in lists:
        check_claims(one, dataset, f"the list {request.episodes}")
    return ScorePlan(request, method, setting, dataset, tuple(lists), found, presence, out, seen)


def _check_options(request: ScoreRequest, first: EpisodeList) -> None:
    if request.dataset not in (None, first.dataset):
        raise UsageError(
            f"--dataset {request.dataset} does not fit the list {request.episodes}, which is of {first.dataset}",
            "leave --dataset out",
        )
    if "{fold}" not in request.episodes and request.fold not in (None, "all", str(first.fold)):
        raise UsageError(
            f"--fold {request.fold} does not fit the list {request.episodes}, which is of fold {first.fold}",
            "leave --fold out",
        )


def _setting(request: ScoreRequest, first: EpisodeList) -> Setting:
    name = request.protocol or first.protocol
    if request.protocol is None:
        where = f"the list {request.episodes}"
        if not names_file(name) and name.partition("@")[0] not in list_protocols():
            raise UsageError(f"{where} names no protocol", "--protocol NAME")
        name = protocol_of_list(name, where).name
    return resolve(
        Names(
            purpose="score",
            dataset=first.dataset,
            trained_on=request.train_dataset or first.dataset,
            backbone=request.backbone,
            protocol=name,
            score_at=request.score_at,
            way=first.way,
            shot=first.shot,
        )
    )


def _name(request: ScoreRequest) -> str:
    path = Path(request.predictions)
    name = request.method_name
    if name is None:
        name = next((part for part in reversed(path.parts) if "{fold}" not in part), "").strip("./")
        name = name or "predictions"
    if not _NAME.fullmatch(name) or not name.strip():
        raise UsageError("--method-name is 1 to 100 printable characters")
    return name


def _found(
    request: ScoreRequest, rules: Protocol, lists: Sequence[EpisodeList], folders: Sequence[Path]
) -> tuple[tuple[Listing, ...], Presence | None]:
    """Return the predictions of each fold, and the presence of classes; refuse missing and superfluous files."""
    names = {folder: names_in(folder) for folder in folders}
    apart = rules.base is not None and rules.base.asked == "apart"
    found = tuple(
        Listing.from_names(folder, names[folder], one.fold, len(one), base=apart)
        for one, folder in zip(lists, folders, strict=True)
    )
    problems = []
    missing = [] if request.allow_missing else [name for listing in found for name in listing.missing]
    total = sum(map(len, lists))
    if not any(listing.found for listing in found):
        problems.append(f"none of the {total} predictions is there, such as {found[0].missing[0]}")
    elif missing:
        problems.append(f"{len(missing)} of {total} predictions are missing: {named(missing)}")
    if missing_base := [name for listing in found for name in listing.missing_base]:
        problems.append(f"{len(missing_base)} label maps of base classes are missing: {named(missing_base)}")
    if extra := _extra(lists, folders, names, base=apart):
        files = "1 file is" if len(extra) == 1 else f"{len(extra)} files are"
        problems.append(f"{files} of no episode: {named(extra)}")
    if problems:
        remedy = "--allow-missing leaves out episodes without a prediction"
        if not missing:
            remedy = "fssbench episodes show LIST names the episodes; move other files elsewhere"
        raise BrokenFileError(f"predictions in {request.predictions}: {'; '.join(problems)}", remedy)
    in_folders = [path for folder in dict.fromkeys(folders) if (path := find_presence(folder, names[folder]))]
    paths = in_folders if request.presence is None else [request.presence]
    return found, _presence(paths, lists, found) if paths else None


def _presence(paths: Sequence[Path], lists: Sequence[EpisodeList], found: Sequence[Listing]) -> Presence:
    presence: dict[str, tuple[bool, ...]] = {}
    for path in paths:
        presence |= read_presence(path)
    required = [episode_id(one.fold, n) for one, listing in zip(lists, found, strict=True) for n in listing.found]
    known = {episode_id(one.fold, n) for one in lists for n in range(len(one))}
    where = ", ".join(map(str, paths))
    check_presence(presence, required, known, {one.fold for one in lists}, lists[0].way, where)
    return presence


def _extra(
    lists: Sequence[EpisodeList], folders: Sequence[Path], names: dict[Path, set[str]], *, base: bool
) -> list[str]:
    """Return the names that belong to no episode; names of folds without a list are ignored."""
    kinds = (False, True) if base else (False,)
    known = {file_name(one.fold, n, base=kind) for one in lists for n in range(len(one)) for kind in kinds}
    folds = {one.fold for one in lists}
    extra = []
    for folder in dict.fromkeys(folders):
        for name in sorted(names[folder] - known - {*PRESENCE, MASKS}):
            fold = fold_of(name)
            if fold is None or fold in folds:
                extra.append(name)
    return extra


def _default_folder(request: ScoreRequest, method: str, rules: Protocol, lists: Sequence[EpisodeList]) -> Path:
    first = lists[0]
    parts = [in_path(method).strip("-.") or "predictions"]
    parts += [request.train_dataset, "to"] if request.train_dataset else []
    parts += [first.dataset, in_path(rules.name), f"{first.way}way", f"{first.shot}shot"]
    parts.append("fold" + "".join(str(one.fold) for one in lists))
    parts += [f"{100 * first.absent:g}absent"] if first.absent else []
    parts += [f"{first.references}references"] if first.references else []
    return Path("runs") / "-".join(parts)
