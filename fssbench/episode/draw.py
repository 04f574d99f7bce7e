"""Drawing an episode list from the image lists of a data set, by the rules of a protocol."""

from __future__ import annotations

from collections.abc import Collection

from fssbench.datasets.dataset import Dataset, Split
from fssbench.episode.absent import check_absent, with_absent
from fssbench.episode.episode import EpisodeList
from fssbench.episode.listed import OWN_LISTS, lists_of
from fssbench.episode.references import check_references, with_references
from fssbench.episode.samplers import Sampler, sampler
from fssbench.episode.samplers.lists import ImageLists, area_rule
from fssbench.errors import MissingError, UsageError
from fssbench.protocols.rules import Protocol, default_protocol
from fssbench.protocols.rules import protocol as protocol_of

MAX_EPISODES = 1_000_000
"""The largest number of episodes in a list: far more than in any published evaluation, and still a readable file."""


def episodes(
    dataset: Dataset,
    fold: int = 0,
    way: int = 1,
    shot: int = 1,
    protocol: str | Protocol | None = None,
    count: int | None = None,
    seed: int | None = None,
    split: Split | None = None,
    *,
    skip_short_classes: bool = False,
    runs: int | None = None,
    references: int | None = None,
    absent: float | None = None,
) -> EpisodeList:
    """Draw the episodes of a protocol. This needs the lists, and so masks or annotations, but no photos.

    Without further arguments it is the list of fold 0 that `fssbench eval --fold 0` evaluates on the data set: 1-way
    1-shot, with protocol, number and seed that are the defaults there. Only a method whose release evaluates by a
    protocol of its own has another list: name that protocol (`fssbench list methods NAME`).

    Args:
        dataset: The opened data set.
        fold: The fold; 0 if the data set has no folds.
        way: N.
        shot: K.
        protocol: One of `list_protocols()`, an own file ("./mine.toml"), or the protocol itself. Default that of the
            data set (`protocol_for`): "shapes" for shapes20i, "hsnet" for PASCAL-5i and COCO-20i; for several ways
            "shapes-fscs" and "ifsl-fscs".
        count: Number of episodes per run; default the number of the protocol. A smaller number gives the first episodes
            of the full list.
        seed: Seed of the draw, for one run. Default: the seeds of the release, with one run per seed, all in one list
            (`EpisodeList.run_length`). If the release seeds each episode with its number i, seed 0 is the release, and
            any other seed s draws episode i from `RandomState([s, i])`.
        split: Split of the data set that the images come from; default that of the protocol: "val", for FSS-1000
            "test".
        skip_short_classes: Leave out classes that have too few images for an episode, instead of raising an error. They
            are listed in `EpisodeList.left_out`, and the list is then not the protocol's own.
        runs: Number of runs, each with its own seed (`Protocol.run_seeds`); default the number of the release, or 1 if
            `seed` is set.
        references: Give each query so many different supports (`fssbench.episode.references`); not the protocol's own
            list then.
        absent: Share of the queries that hold no class of their episode (`fssbench.episode.absent`); not the protocol's
            own list then.

    Raises:
        UsageError: If the protocol does not define the ways, shots or data set, or a number is out of range.
        MissingError: If the lists are empty, or a class has too few images.

    Examples:
        >>> import fssbench
        >>> dataset = fssbench.open_dataset("shapes20i")
        >>> episodes = fssbench.episodes(dataset, fold=0, way=1, shot=1, protocol="shapes", count=3)
        >>> episodes[0]
        Episode(query='val_0001', classes=(1,), supports=(('val_0261',),), query_class=1, class_names=('gear',))
    """
    if references is not None:
        check_references(references)
    if absent is not None:
        check_absent(absent)
    protocol = protocol_for(dataset, way) if protocol is None else protocol
    named = protocol if isinstance(protocol, Protocol) else protocol_of(protocol)
    chosen = named.on(dataset.name)
    dataset = dataset.for_shots(shot)
    chosen.check(dataset.name, way, shot)
    rule = sampler(chosen.sampler)
    if way > 1 and not rule.several_ways:
        raise UsageError(f"the sampler {chosen.sampler} draws 1-way episodes, not {way}-way", "fssbench list protocols")
    dataset.check_fold(fold)
    list_split = split or chosen.split
    seeds = chosen.run_seeds(seed, runs)
    lists = lists_of(dataset, fold, list_split, chosen)
    short = _classes_with_few_images(lists, _images_needed(dataset, rule, shot))
    left_out: tuple[int, ...] = ()
    if skip_short_classes:
        left_out = tuple(short)
        lists = lists.without(short)
    elif too_short := {
        c: size for c, size in short.items() if rule.draws_class or size or c in _classes_in_queries(lists)
    }:
        raise _too_short(dataset, fold, list_split, too_short, rule, shot)
    _check_class_count(lists, dataset, fold, list_split, way, chosen, short)
    length = _list_length(count, chosen.episodes, lists, rule)
    if length * len(seeds) > MAX_EPISODES:
        raise UsageError(f"a list has 1 to {MAX_EPISODES} episodes, not {len(seeds)} runs of {length}")
    if rule.continued:
        drawn = tuple(rule.draw(lists, way, shot, length * len(seeds), seeds[0]))
    else:
        drawn = tuple(episode for run_seed in seeds for episode in rule.draw(lists, way, shot, length, run_seed))
    result = EpisodeList(
        episodes=drawn,
        dataset=dataset.name,
        fold=fold,
        split=list_split,
        way=way,
        shot=shot,
        protocol=protocol if isinstance(protocol, str) and named.own is None else named.name,
        seed=seeds[0],
        list_order=_order(dataset, list_split, rule),
        data_fingerprint=dataset.split_fingerprint(list_split),
        left_out=left_out,
        run_length=length if len(seeds) > 1 else None,
        train_dataset=dataset.trained_on,
        test_classes=dataset.test_classes,
    ).of(dataset)
    if absent is not None:
        result = with_absent(result, dataset, chosen, absent)
    if references is not None:
        result = with_references(result, dataset, chosen, references, skip_short_classes=skip_short_classes)
    return result


def protocol_for(dataset: Dataset, way: int = 1) -> str:
    """Return the name of the protocol by which lists of a data set are drawn if none is named.

    It is the default of the data set, or else that of most releases: "hsnet" for 1-way episodes, "ifsl-fscs" for
    several ways. For one's own data it is that of the data set that the weights were trained on.
    """
    source = dataset.trained_on if dataset.own and dataset.trained_on else dataset.name
    task, release = ("fss", "hsnet") if way == 1 else ("fscs", "ifsl-fscs")
    return default_protocol(source, task, release)


def _order(dataset: Dataset, split: Split, rule: Sampler) -> str:
    if rule.lists in ("data set's", "objects"):
        return dataset.list_order
    if rule.lists == "large objects" and dataset.object_lists(split) is not None:
        return "FSSDINO's (images with a large annotation, in the order of a Python set)"
    order = dataset.image_order(split)
    return "canonical (by name)" if order is None else order.origin


def classes_of(dataset: Dataset, episodes: EpisodeList) -> tuple[int, ...]:
    """Return all classes of the fold of a list: its novel classes, or its base classes if the episodes are of them."""
    dataset = dataset.for_shots(episodes.shot)
    novel = dataset.fold_classes(episodes.fold, episodes.split)
    in_episodes = {class_id for episode in episodes for class_id in episode.classes}
    return novel if in_episodes <= set(novel) else dataset.fold_classes(episodes.fold, "val")


def _classes_in_queries(lists: ImageLists) -> set[int]:
    """Return the classes that a query may be drawn for although it is not listed under them."""
    return {class_id for held in lists.held.values() for class_id in held}


def _images_needed(dataset: Dataset, rule: Sampler, shot: int) -> int:
    """Return how many different images a class needs for an episode."""
    return shot + 1 if dataset.own else rule.images_needed(shot)


def _classes_with_few_images(lists: ImageLists, needed: int) -> dict[int, int]:
    """Return the classes with fewer different images than an episode needs, and their numbers of images."""
    return {class_id: size for class_id, size in lists.sizes().items() if size < needed}


def _too_short(
    dataset: Dataset, fold: int, split: Split, short: dict[int, int], rule: Sampler, shot: int
) -> MissingError:
    names = [f"{dataset.class_names[c]} ({size})" for c, size in short.items()]
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    reason = area_rule(rule.lists, dataset, split, short)
    return MissingError(
        f"{dataset.name} (fold {fold}, {split}) has too few images of {shown}; "
        f"an episode needs {_images_needed(dataset, rule, shot)} different ones of its class"
        + (f"; {reason}" if reason else ""),
        f"{OWN_LISTS if reason else dataset.check_command}; or leave these classes out with --skip-short-classes "
        "(in Python skip_short_classes=True), which is then not the protocol's own list",
    )


def _check_class_count(
    lists: ImageLists,
    dataset: Dataset,
    fold: int,
    split: Split,
    way: int,
    protocol: Protocol,
    short: Collection[int],
) -> None:
    # In FS-CS, the class of the query is drawn with probability 1/2, so there must be at least one other class.
    needed = max(way, 2) if protocol.task == "fscs" else way
    if len(lists.by_class) < needed or not lists.entries:
        reason = area_rule(sampler(protocol.sampler).lists, dataset, split, short)
        raise MissingError(
            f"{dataset.name} fold {fold} has {len(lists.by_class)} {split} classes with enough images; "
            f"{way}-way episodes need {needed}" + (f"; {reason}" if reason else ""),
            (OWN_LISTS if reason else dataset.check_command)
            + (f"; or --ways {len(lists.by_class)} or less" if lists.by_class else ""),
        )


def _list_length(count: int | None, default: int, lists: ImageLists, rule: Sampler) -> int:
    if count is not None and not 1 <= count <= MAX_EPISODES:
        raise UsageError(f"a list has 1 to {MAX_EPISODES} episodes, not {count}")
    if rule.repeats_queries:
        return count or min(default, lists.episodes or default)
    if count is not None and count > len(lists.entries):
        raise UsageError(f"each image is the query of one episode: there are {len(lists.entries)}, not {count}")
    return min(count or default, len(lists.entries))
