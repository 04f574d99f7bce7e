"""Episode lists that the user names as files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.errors import MissingError, UsageError
from fssbench.protocols.rules import protocol_of_list

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset
    from fssbench.episode import EpisodeList
    from fssbench.planning.request import Request
    from fssbench.protocols.rules import Protocol

_MADE = ("references", "absent")
"""In what lists may differ from those of their protocol."""


def episode_lists(text: str | None, fold: str | None) -> list[EpisodeList]:
    """Return the lists that --episodes names; none if it is a number.

    Args:
        text: The value of --episodes; {fold} in it stands for each fold.
        fold: The requested fold; None or "all" for every fold that has a file (see `check_every_fold`).

    Raises:
        MissingError: If a file is missing.
        BrokenFileError: If a file is not an episode list.
        UsageError: If the lists of several folds do not fit each other, or a list belongs to another fold.
    """
    from fssbench.episode import read_episodes

    if text is None or re.fullmatch(r"[+-]?\d+", text):
        return []
    if "{fold}" not in text:
        return [read_episodes(text)]
    if fold is not None and fold != "all":
        return [_of_fold(read_episodes(text.replace("{fold}", fold)), fold)]
    lists: list[EpisodeList] = []
    while Path(path := text.replace("{fold}", str(len(lists)))).exists() or not lists:
        lists.append(_of_fold(read_episodes(path), str(len(lists))))
    for name in ("dataset", "split", "way", "shot", "protocol", "train_dataset", "test_classes", *_MADE):
        values = {getattr(episodes, name): episodes.fold for episodes in lists}
        if len(values) > 1:
            first, other, *_ = values.items()
            raise UsageError(
                f"the lists {text} do not fit each other: the {name} is {first[0]} for fold {first[1]}, "
                f"{other[0]} for fold {other[1]}",
                "evaluate fold by fold",
            )
    return lists


def check_every_fold(text: str | None, fold: str | None, lists: Sequence[EpisodeList], fold_count: int) -> None:
    """Refuse lists of some folds if all folds were requested: their mean would be mistaken for the mean of all folds.

    Args:
        text: The value of --episodes.
        fold: The requested fold; None or "all" for every one.
        lists: The lists that were found.
        fold_count: How many folds the data set has.

    Raises:
        MissingError: Naming the first list that is missing.
    """
    if text is None or "{fold}" not in text or fold not in (None, "all"):
        return
    found = {episodes.fold for episodes in lists}
    if missing := [number for number in range(fold_count) if number not in found]:
        path = text.replace("{fold}", str(missing[0]))
        raise MissingError(
            f"there is no episode list {path}, but all {fold_count} folds were requested",
            f"add it, or evaluate fold by fold: --fold {lists[0].fold}",
        )


def with_settings_of(request: Request, episodes: EpisodeList) -> Request:
    """Return the request with the settings of its episode list: way, shot, protocol and training data set.

    Raises:
        UsageError: If an option contradicts the list, or requests further lists.
    """
    if request.runs is not None:
        raise UsageError(
            f"--runs draws lists with further seeds; the list {request.episodes} is fixed", "leave --runs out"
        )
    options: dict[str, tuple[object, object]] = {
        "--dataset": (request.dataset, episodes.dataset),
        "--shots": (request.shots, episodes.shot),
        "--ways": (request.ways, episodes.way),
        "--seed": (request.seed, episodes.seed if episodes.run_length is None else "those of several runs"),
    }
    if "{fold}" not in (request.episodes or ""):
        options["--fold"] = (None if request.fold in (None, "all") else request.fold, str(episodes.fold))
    for option, (typed, listed) in options.items():
        if typed is not None and typed != listed:
            raise UsageError(
                f"{option} {typed} does not fit the list {request.episodes}, which has {listed}", f"leave {option} out"
            )
    protocol = request.protocol or protocol_of_list(episodes.protocol, f"the list {request.episodes}").name
    train, choice = training_view_of(episodes, request.train_dataset, request.test_classes)
    return replace(
        request,
        shots=episodes.shot,
        ways=episodes.way,
        protocol=protocol,
        train_dataset=train,
        test_classes=choice,
        references=request.references or episodes.references,
        absent=request.absent or episodes.absent,
    )


def made_from(episodes: EpisodeList, request: Request, dataset: Dataset, rules: Protocol) -> EpisodeList:
    """Return a list from a file, with the absent queries and references that were requested.

    Args:
        episodes: The list.
        request: The request.
        dataset: The opened data set.
        rules: The protocol of the list.

    Raises:
        UsageError: If the list has other references or absent queries already.
        BrokenFileError: If the list says that a query holds none of its classes, and its label map does.
    """
    from fssbench.episode.absent import check_claims, with_absent
    from fssbench.episode.references import with_references

    check_claims(episodes, dataset, f"the list {request.episodes}")
    if request.absent is not None and request.absent != episodes.absent:
        episodes = with_absent(episodes, dataset, rules, request.absent)
    if request.references is not None and request.references != episodes.references:
        episodes = with_references(
            episodes, dataset, rules, request.references, skip_short_classes=request.skip_short_classes
        )
    return episodes


def check_whole_queries(lists: Sequence[EpisodeList], limit: int | None, until: float | None = None) -> None:
    """Refuse to cut lists with references: the first episodes of such a list have one reference each.

    Raises:
        UsageError: If there is a limit, or the run ends where its interval is narrow.
    """
    if until is not None and any(episodes.references is not None for episodes in lists):
        raise UsageError("--until would cut references off, not queries", "leave --until out")
    if limit is not None and any(episodes.references is not None for episodes in lists):
        raise UsageError(
            "--limit would cut references off, not queries",
            f"--episodes {limit} --references ... draws a list of so many episodes first",
        )


def training_view_of(episodes: EpisodeList, train: str | None, choice: str | None) -> tuple[str | None, str | None]:
    """Return the training data set and the choice of test classes: as the list records them, or as the options say.

    A list that was drawn without a training data set has the classes of the data set's own folds.

    Raises:
        UsageError: If the options contradict the list.
    """
    options = {"--train-dataset": (train, episodes.train_dataset), "--test-classes": (choice, episodes.test_classes)}
    if episodes.train_dataset is None:
        options.pop("--train-dataset")
        options["--test-classes"] = (choice, "own")
    for option, (typed, listed) in options.items():
        if typed is not None and typed != listed:
            raise UsageError(
                f"{option} {typed} does not fit the list, which has {listed or 'none'}", f"leave {option} out"
            )
    if episodes.train_dataset is not None:
        return episodes.train_dataset, episodes.test_classes
    return train, None if train in (None, episodes.dataset) else "own"


def _of_fold(episodes: EpisodeList, fold: str) -> EpisodeList:
    if str(episodes.fold) != fold:
        raise UsageError(f"the list for fold {fold} is a list of fold {episodes.fold}", "fssbench episodes show FILE")
    return episodes
