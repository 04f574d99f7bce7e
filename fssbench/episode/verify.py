"""Verifying an episode list: whether it is the release's, fits the data, and can be drawn again by its protocol."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from fssbench.datasets.dataset import Dataset
from fssbench.datasets.transfer.view import transfer_view
from fssbench.episode.absent import claim_fault, false_claims, held_classes, unsure_claims
from fssbench.episode.draw import episodes as draw
from fssbench.episode.episode import EpisodeList
from fssbench.episode.listed import lists_of
from fssbench.episode.samplers import sampler
from fssbench.errors import FSSBenchError
from fssbench.protocols.own import names_file
from fssbench.protocols.rules import Protocol, list_protocols
from fssbench.protocols.rules import protocol as protocol_of

State = Literal["ok", "note", "failed"]


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        state: "ok", "failed", or "note" for information that is not an error.
        text: A sentence about the list without a subject and without a full stop.
    """

    state: State
    text: str


@cache
def _official() -> dict[str, dict[str, str]]:
    with (Path(__file__).parent / "official.toml").open("rb") as file:
        return tomllib.load(file)


def official_hash(protocol: str, dataset: str, fold: int, way: int, shot: int) -> str | None:
    """Return the hash of the list of a protocol's release; None if it is not known."""
    return _official().get(f"{protocol.partition('@')[0]}-{dataset}", {}).get(f"fold{fold}-{way}way-{shot}shot")


def official(episodes: EpisodeList) -> bool | None:
    """Return whether a list is the list of the protocol's release, by its hash; this needs no data.

    Returns:
        None if no hash is known: for another number of episodes, another seed, or a data set of this project.
    """
    if episodes.train_dataset is not None:
        return None  # The folds and classes are not those of the release.
    if episodes.references is not None or episodes.absent is not None:
        return None  # It is made from the release's list.
    protocol = episodes.protocol.partition("@")[0]
    known = official_hash(protocol, episodes.dataset, episodes.fold, episodes.way, episodes.shot)
    if known is None:
        return None
    rules = protocol_of(protocol).on(episodes.dataset)
    length = rules.episodes if len(rules.seeds) > 1 else None
    drawn_with = (len(episodes), episodes.seed, episodes.run_length, episodes.split)
    if drawn_with != (rules.episodes * len(rules.seeds), rules.seed, length, rules.split):
        return None
    return episodes.hash == known


def official_finding(episodes: EpisodeList) -> Finding | None:
    """Return the result of `official` as a finding; None if no hash is known."""
    same = official(episodes)
    if same is None:
        return None
    if same:
        return Finding("ok", f"is the list of {episodes.protocol}'s release")
    return Finding(
        "note",
        f"is not the list of {episodes.protocol}'s release: the image lists it was drawn from differ from the "
        f"release's (order here: {episodes.list_order})",
    )


def verify(episodes: EpisodeList, dataset: Dataset, rules: Protocol | None = None) -> list[Finding]:
    """Check a list against a data set: names, classes and image lists, and whether it can be drawn again.

    Args:
        episodes: The list.
        dataset: The opened data set.
        rules: The protocol of the list; default the protocol that the list names.

    Raises:
        UsageError: If the data set has no such fold, or the training data set of the list is not known.
    """
    if episodes.dataset != dataset.name:
        return [Finding("failed", f"is for {episodes.dataset}, not for {dataset.name}")]
    if episodes.train_dataset is not None and dataset.trained_on is None:
        dataset = transfer_view(dataset, episodes.train_dataset, episodes.test_classes)
    dataset = dataset.for_shots(episodes.shot)
    if rules is None and names_file(episodes.protocol):
        unknown = f"was drawn by {episodes.protocol}, a protocol in a file, which has to be named: --protocol FILE"
        return [_same_data(episodes, dataset), Finding("failed", unknown)]
    if rules is None and episodes.protocol.partition("@")[0] in list_protocols():
        rules = protocol_of(episodes.protocol)
    findings = [_same_data(episodes, dataset), *_names(episodes, dataset, rules), *_absence(episodes, dataset)]
    if any(finding.state == "failed" for finding in findings):
        return findings
    return [*findings, _same_draw(episodes, dataset, rules)]


def _same_data(episodes: EpisodeList, dataset: Dataset) -> Finding:
    here = dataset.split_fingerprint(episodes.split)
    if episodes.data_fingerprint == here:
        return Finding("ok", f"was drawn from the same data ({here[:12]})")
    return Finding(
        "note",
        f"was drawn from other data or lists ({episodes.data_fingerprint[:12]}, order '{episodes.list_order}'; "
        f"here {here[:12]}, order '{dataset.list_order}')",
    )


def _names(episodes: EpisodeList, dataset: Dataset, rules: Protocol | None) -> list[Finding]:
    split = episodes.split
    lists = _lists(episodes, dataset, rules)
    known = set().union(*lists.values(), dataset.index(split)["name"])
    supports = {(n, c) for e in episodes for c, names in zip(e.classes, e.supports, strict=True) for n in names}
    queries = {(e.query, e.query_class) for e in episodes}
    in_episodes = supports | queries
    foreign = sorted({c for e in episodes for c in (*e.classes, e.query_class)} - set(lists))
    unknown = sorted({name for name, _ in in_episodes} - known)
    # If every image is a query (BAM's GFSS), a query need not have a pixel of its class.
    must_be_listed = supports if _uses_every_image(rules, episodes.dataset) else in_episodes
    unlisted = sorted(f"{n} (class {c})" for n, c in must_be_listed if n in known and c in lists and n not in lists[c])
    return [
        _finding(foreign, "every class is in the fold", f"of its classes are not in fold {episodes.fold}"),
        _finding(unknown, "every image is in the data set", f"of its images are not in {dataset.name}, {split}"),
        _finding(unlisted, "every image is listed under its class", "of its images are not listed under their class"),
    ]


def _uses_every_image(rules: Protocol | None, dataset: str) -> bool:
    return rules is not None and sampler(rules.on(dataset).sampler).lists == "every image"


def _lists(episodes: EpisodeList, dataset: Dataset, rules: Protocol | None) -> dict[int, set[str]]:
    """Return the images of each class: those that the protocol lists or uses as queries, else those of the data set."""
    if rules is None:
        return {c: set(names) for c, names in dataset.class_lists(episodes.fold, episodes.split).items()}
    lists = lists_of(dataset, episodes.fold, episodes.split, rules.on(dataset.name))
    by_class = {c: set(names) for c, names in lists.by_class.items()}
    for name, held in lists.held.items():
        for class_id in held:
            by_class[class_id].add(name)
    return by_class


def _finding(wrong: list[int] | list[str], good: str, bad: str) -> Finding:
    if not wrong:
        return Finding("ok", good)
    more = ", ..." if len(wrong) > 3 else ""
    return Finding("failed", f"{len(wrong)} {bad}: {', '.join(map(str, wrong[:3]))}{more}")


def _absence(episodes: EpisodeList, dataset: Dataset) -> list[Finding]:
    """Return whether the absent queries of a list hold none of their classes; nothing for a list without any."""
    if episodes.absent is None:
        return []
    held = held_classes(dataset, episodes.split)
    wrong = [claim_fault(episodes, number) for number in false_claims(episodes, held)]
    unsure = [f"episode {number}, {episodes[number].query}" for number in unsure_claims(episodes, dataset, held)]
    return [
        _finding(wrong, "every absent query holds none of its classes", "queries are not as the list says"),
        _finding(
            unsure,
            "no absent query has a crowd, a covered object or an ignored region that may be of its classes",
            "absent queries may hold one of their classes, as a crowd, a covered object or an ignored region",
        ),
    ]


def runs_in(episodes: EpisodeList) -> int | None:
    """Return the number of runs in a list; None if it is a single run, also one with several references."""
    return len(episodes) // episodes.run_length if episodes.run_length and episodes.references is None else None


def _same_draw(episodes: EpisodeList, dataset: Dataset, rules: Protocol | None) -> Finding:
    length = episodes.base_count or len(episodes)
    what = f"protocol {episodes.drawn_by} on {dataset.name} fold {episodes.fold}, first {length}"
    runs = runs_in(episodes)
    what += f", seed {episodes.seed}" if episodes.seed and runs is None else ""
    what += f", {runs} runs from seed {episodes.seed}" if runs else ""
    what += f", without classes {', '.join(map(str, episodes.left_out))}" if episodes.left_out else ""
    try:
        drawn = draw(
            dataset,
            fold=episodes.fold,
            way=episodes.way,
            shot=episodes.shot,
            protocol=rules or episodes.protocol,
            count=episodes.run_length if runs else length,
            seed=episodes.seed,
            runs=runs,
            references=episodes.references,
            absent=episodes.absent,
            split=episodes.split,
            skip_short_classes=bool(episodes.left_out),
        )
    except FSSBenchError as error:
        return Finding("failed", f"can't be drawn again: {error.message}")
    if drawn.hash == episodes.hash:
        return Finding("ok", f"equals {what}")
    if len(drawn) != len(episodes):
        return Finding("failed", f"differs from {what}: it has {len(episodes)} episodes, not {len(drawn)}")
    first = next(i for i, (stored, expected) in enumerate(zip(episodes, drawn, strict=True)) if stored != expected)
    return Finding("failed", f"differs from {what}: episode {first} is the first that differs")
