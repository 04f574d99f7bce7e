"""Is a list what it says it is: the release's own, drawable from this data, drawn by its protocol?"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from fssbench.datasets.dataset import Dataset
from fssbench.datasets.transfer.view import transfer_view
from fssbench.episode.draw import episodes as draw
from fssbench.episode.draw import lists_of
from fssbench.episode.episode import EpisodeList
from fssbench.episode.samplers import sampler
from fssbench.errors import FSSBenchError
from fssbench.protocols.own import names_file
from fssbench.protocols.rules import Protocol, list_protocols
from fssbench.protocols.rules import protocol as protocol_of

State = Literal["ok", "note", "failed"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        state: "ok", "failed", or "note" for what is worth knowing but no mistake.
        text: What was found, in a sentence without a full stop.
    """

    state: State
    text: str


@cache
def _official() -> dict[str, dict[str, str]]:
    with (Path(__file__).parent / "official.toml").open("rb") as file:
        return tomllib.load(file)


def official_hash(protocol: str, dataset: str, fold: int, way: int, shot: int) -> str | None:
    """Return the hash of the list that a protocol's release asks, None where it is not known."""
    return _official().get(f"{protocol.partition('@')[0]}-{dataset}", {}).get(f"fold{fold}-{way}way-{shot}shot")


def official(episodes: EpisodeList) -> bool | None:
    """Say whether a list is the one that the protocol's release asks, by its hash; no data is needed.

    Returns:
        None where no hash is known: another number of episodes, another seed, a data set of this project.
    """
    if episodes.train_dataset is not None:
        return None  # Other classes than the release's, in other folds.
    protocol = episodes.protocol.partition("@")[0]
    known = official_hash(protocol, episodes.dataset, episodes.fold, episodes.way, episodes.shot)
    if known is None:
        return None
    rules = protocol_of(protocol).on(episodes.dataset)
    length = rules.episodes if len(rules.seeds) > 1 else None
    asked = (len(episodes), episodes.seed, episodes.run_length, episodes.split)
    if asked != (rules.episodes * len(rules.seeds), rules.seed, length, rules.split):
        return None
    return episodes.hash == known


def official_finding(episodes: EpisodeList) -> Finding | None:
    """Return what `official` found as a sentence, None where nothing is known."""
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
    """Hold a list against a data set: its names, its classes, its lists, and its protocol's own draw.

    Args:
        episodes: The list.
        dataset: The opened data set.
        rules: Its protocol; default the one of the name that the list gives.

    Raises:
        UsageError: If the data set has no such fold, or the list is of weights from elsewhere that are not known.
    """
    if episodes.dataset != dataset.name:
        return [Finding("failed", f"asks {episodes.dataset}, not {dataset.name}")]
    if episodes.train_dataset is not None and dataset.trained_on is None:
        dataset = transfer_view(dataset, episodes.train_dataset, episodes.test_classes)
    if rules is None and names_file(episodes.protocol):
        unknown = f"was drawn by {episodes.protocol}, a protocol of a file, which has to be named: --protocol FILE"
        return [_same_data(episodes, dataset), Finding("failed", unknown)]
    if rules is None and episodes.protocol.partition("@")[0] in list_protocols():
        rules = protocol_of(episodes.protocol)
    findings = [_same_data(episodes, dataset), *_names(episodes, dataset, rules)]
    if any(finding.state == "failed" for finding in findings):
        return findings
    return [*findings, _same_draw(episodes, dataset, rules)]


def _same_data(episodes: EpisodeList, dataset: Dataset) -> Finding:
    here = dataset.split_fingerprint(episodes.split)
    if episodes.data_fingerprint == here:
        return Finding("ok", f"was drawn from this very data ({here[:12]})")
    return Finding(
        "note",
        f"was drawn from other data or lists ({episodes.data_fingerprint[:12]}, order '{episodes.list_order}'; "
        f"here {here[:12]}, order '{dataset.list_order}')",
    )


def _names(episodes: EpisodeList, dataset: Dataset, rules: Protocol | None) -> list[Finding]:
    split = episodes.split
    lists = _lists(episodes, dataset, rules)
    known = set().union(*lists.values(), dataset.index(split)["name"])
    shown = {(n, c) for e in episodes for c, names in zip(e.classes, e.supports, strict=True) for n in names}
    queries = {(e.query, e.query_class) for e in episodes}
    asked = shown | queries
    foreign = sorted({c for e in episodes for c in (*e.classes, e.query_class)} - set(lists))
    unknown = sorted({name for name, _ in asked} - known)
    # Where every image is asked (BAM's GFSS), a query need not hold the class.
    bound = shown if _asks_every_image(rules, episodes.dataset) else asked
    unlisted = sorted(f"{n} (class {c})" for n, c in bound if n in known and c in lists and n not in lists[c])
    return [
        _finding(foreign, "every class is in the fold", f"of its classes are not in fold {episodes.fold}"),
        _finding(unknown, "every image is in the data set", f"of its images are not in {dataset.name}, {split}"),
        _finding(unlisted, "every image is listed under its class", "of its images are not listed under their class"),
    ]


def _asks_every_image(rules: Protocol | None, dataset: str) -> bool:
    return rules is not None and sampler(rules.on(dataset).sampler).lists == "every image"


def _lists(episodes: EpisodeList, dataset: Dataset, rules: Protocol | None) -> dict[int, set[str]]:
    """Return by class the images that the protocol lists under it or asks for it, or else the data set lists."""
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


def runs_in(episodes: EpisodeList) -> int | None:
    """Return how many runs a list holds; None for one that is not of runs."""
    return len(episodes) // episodes.run_length if episodes.run_length else None


def _same_draw(episodes: EpisodeList, dataset: Dataset, rules: Protocol | None) -> Finding:
    what = f"protocol {episodes.protocol} on {dataset.name} fold {episodes.fold}, first {len(episodes)}"
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
            count=episodes.run_length or len(episodes),
            seed=episodes.seed,
            runs=runs,
            split=episodes.split,
            skip_short_classes=bool(episodes.left_out),
        )
    except FSSBenchError as error:
        return Finding("failed", f"can't be drawn again: {error.message}")
    if drawn.hash == episodes.hash:
        return Finding("ok", f"equals {what}")
    first = next(i for i, (given, own) in enumerate(zip(episodes, drawn, strict=True)) if given != own)
    return Finding("failed", f"differs from {what}: episode {first} is the first that does")
