"""Drawing an episode list: a data set's lists and a protocol in, episodes out."""

from __future__ import annotations

from collections.abc import Collection

from fssbench.datasets.dataset import Dataset, Split
from fssbench.episode.episode import EpisodeList
from fssbench.episode.samplers import Sampler, sampler
from fssbench.episode.samplers.lists import ImageLists, area_rule, read_lists
from fssbench.errors import MissingError, UsageError
from fssbench.protocols.rules import Protocol
from fssbench.protocols.rules import protocol as protocol_of

MAX_EPISODES = 1_000_000
"""No list is longer: far beyond any published evaluation, and still a file that can be read."""

_OWN_LISTS = "--protocol hsnet, which asks the data set's own lists"


def episodes(
    dataset: Dataset,
    fold: int = 0,
    way: int = 1,
    shot: int = 5,
    protocol: str | Protocol = "hsnet",
    count: int | None = None,
    seed: int | None = None,
    split: Split | None = None,
    *,
    skip_short_classes: bool = False,
    runs: int | None = None,
) -> EpisodeList:
    """Draw the episodes that a protocol asks. Lists (and so masks or annotations) are needed, photos are not.

    Args:
        dataset: The opened data set.
        fold: Its fold; 0 where there are none.
        way: N.
        shot: K.
        protocol: One of `list_protocols()`, a file of one's own ("./mine.toml"), or the protocol itself.
        count: How many episodes a run; default the protocol's own number, of which fewer are the first.
        seed: Seed of the draw, for one run; default the release's, where it has several one run for each, all in
            one list (`EpisodeList.run_length`). Where the release seeds each episode with its number i,
            seed 0 is the release and any other seed s starts episode i at `RandomState([s, i])`.
        split: Side of the data set the images come from; default the protocol's: "val", for FSS-1000 "test".
        skip_short_classes: Leave classes out that have too few images to be asked, instead of refusing.
            What was left out stands in `EpisodeList.left_out`; such a list is not the protocol's own.
        runs: How many runs, each with its own seed (`Protocol.run_seeds`); default the release's number, or 1 where
            a seed is given.

    Raises:
        UsageError: If the protocol does not define the ways, shots or data set, or a number is out of range.
        MissingError: If the lists are empty, or a class has too few images.

    Examples:
        >>> import fssbench
        >>> dataset = fssbench.open_dataset("shapes20i")
        >>> episodes = fssbench.episodes(dataset, fold=0, way=1, shot=1, protocol="shapes", count=3)
        >>> episodes[0]
        Episode(query='val_0001', classes=(1,), supports=(('val_0261',),), query_class=1)
    """
    named = protocol if isinstance(protocol, Protocol) else protocol_of(protocol)
    chosen = named.on(dataset.name)
    chosen.check(dataset.name, way, shot)
    rule = sampler(chosen.sampler)
    if way > 1 and not rule.several_ways:
        raise UsageError(f"the sampler {chosen.sampler} draws 1-way episodes, not {way}-way", "fssbench list protocols")
    dataset.check_fold(fold)
    side = split or chosen.split
    seeds = chosen.run_seeds(seed, runs)
    lists = lists_of(dataset, fold, side, chosen)
    short = _short_classes(lists, _images_needed(dataset, rule, shot))
    left_out: tuple[int, ...] = ()
    if skip_short_classes:
        left_out = tuple(short)
        lists = lists.without(short)
    elif asked := {c: size for c, size in short.items() if rule.draws_class or size or c in _held(lists)}:
        raise _too_short(dataset, fold, side, asked, rule, shot)
    _check_room(lists, dataset, fold, side, way, chosen, short)
    length = _how_many(count, chosen.episodes, lists, rule)
    if length * len(seeds) > MAX_EPISODES:
        raise UsageError(f"a list has 1 to {MAX_EPISODES} episodes, not {len(seeds)} runs of {length}")
    if rule.continued:
        drawn = tuple(rule.draw(lists, way, shot, length * len(seeds), seeds[0]))
    else:
        drawn = tuple(episode for one in seeds for episode in rule.draw(lists, way, shot, length, one))
    return EpisodeList(
        episodes=drawn,
        dataset=dataset.name,
        fold=fold,
        split=side,
        way=way,
        shot=shot,
        protocol=protocol if isinstance(protocol, str) and named.own is None else named.name,
        seed=seeds[0],
        list_order=_order(dataset, side, rule),
        data_fingerprint=dataset.split_fingerprint(side),
        left_out=left_out,
        run_length=length if len(seeds) > 1 else None,
        train_dataset=dataset.trained_on,
        test_classes=dataset.test_classes,
    )


def lists_of(dataset: Dataset, fold: int, side: Split, protocol: Protocol) -> ImageLists:
    """Return the lists that a protocol draws from.

    Raises:
        MissingError: If they are empty.
    """
    # A protocol that looks for its queries among the training images (PANet) asks the novel classes there.
    classes = dataset.fold_classes(fold, "val" if side == protocol.split == "train" else side)
    rule = sampler(protocol.sampler).lists
    lists = read_lists(dataset, fold, side, classes, rule)
    if not lists.entries:
        why = area_rule(rule, dataset, side, classes)
        raise MissingError(
            f"{dataset.name} fold {fold} lists no {side} image: {why or 'there is nothing to ask'}",
            _OWN_LISTS if why else dataset.check_command,
        )
    return lists


def _order(dataset: Dataset, side: Split, rule: Sampler) -> str:
    if rule.lists == "data set's":
        return dataset.list_order
    order = dataset.image_order(side)
    return "canonical (by name)" if order is None else order.words


def classes_of(dataset: Dataset, episodes: EpisodeList) -> tuple[int, ...]:
    """Return all label values of the fold that a list asks: base classes only if it asks them of training images."""
    own = dataset.fold_classes(episodes.fold, episodes.split)
    asked = {class_id for episode in episodes for class_id in episode.classes}
    return own if asked <= set(own) else dataset.fold_classes(episodes.fold, "val")


def _held(lists: ImageLists) -> set[int]:
    """Return the classes that a query may be asked for although no list has it under them."""
    return {class_id for held in lists.held.values() for class_id in held}


def _images_needed(dataset: Dataset, rule: Sampler, shot: int) -> int:
    """Return how many different images a class must have to be asked."""
    return shot + 1 if dataset.own else rule.images_needed(shot)


def _short_classes(lists: ImageLists, needed: int) -> dict[int, int]:
    """Return the classes with fewer different images than an episode needs, and how many they have."""
    sizes = {class_id: len(set(names)) for class_id, names in lists.by_class.items()}
    return {class_id: size for class_id, size in sizes.items() if size < needed}


def _too_short(
    dataset: Dataset, fold: int, side: Split, short: dict[int, int], rule: Sampler, shot: int
) -> MissingError:
    names = [f"{dataset.class_names[c]} ({size})" for c, size in short.items()]
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    why = area_rule(rule.lists, dataset, side, short)
    return MissingError(
        f"{dataset.name} (fold {fold}, {side}) has too few images of {shown}; "
        f"an episode needs {_images_needed(dataset, rule, shot)} different ones of its class"
        + (f"; {why}" if why else ""),
        f"{_OWN_LISTS if why else dataset.check_command}; or leave these classes out with --skip-short-classes "
        "(in Python skip_short_classes=True), which is then not the protocol's own list",
    )


def _check_room(
    lists: ImageLists,
    dataset: Dataset,
    fold: int,
    side: Split,
    way: int,
    protocol: Protocol,
    short: Collection[int],
) -> None:
    # An FS-CS query's class has half of the chance, so the other half needs at least one other class.
    needed = max(way, 2) if protocol.task == "fscs" else way
    if len(lists.by_class) < needed or not lists.entries:
        why = area_rule(sampler(protocol.sampler).lists, dataset, side, short)
        raise MissingError(
            f"{dataset.name} fold {fold} has {len(lists.by_class)} {side} classes with enough images; "
            f"{way}-way episodes need {needed}" + (f"; {why}" if why else ""),
            (_OWN_LISTS if why else dataset.check_command)
            + (f"; or --ways {len(lists.by_class)} or less" if lists.by_class else ""),
        )


def _how_many(count: int | None, default: int, lists: ImageLists, rule: Sampler) -> int:
    if count is not None and not 1 <= count <= MAX_EPISODES:
        raise UsageError(f"a list has 1 to {MAX_EPISODES} episodes, not {count}")
    if rule.repeats_queries:
        return count or default
    if count is not None and count > len(lists.entries):
        raise UsageError(f"each image is asked once: there are {len(lists.entries)} episodes, not {count}")
    return min(count or default, len(lists.entries))
