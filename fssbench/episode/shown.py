"""Episodes in a notebook: what is given and what is asked, with small pictures that are drawn when they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from fssbench.errors import FSSBenchError
from fssbench.notebook.html import figures, notes, table, title

if TYPE_CHECKING:
    from fssbench.datasets.dataset import Dataset
    from fssbench.episode.episode import Episode, EpisodeList

_MOST_PICTURES = 26
_PICTURED = 2
"""Episodes of a list that are shown with pictures."""
_LISTED = 10
"""Episodes of a list that are shown in its table."""


def episode_html(episode: Episode) -> str:
    """Return an episode as HTML: its supports with their masks outlined, and the query."""
    return _heading(episode) + _pictures(episode, 1)


def list_html(episodes: EpisodeList) -> str:
    """Return a list as HTML: what it is, the first episodes as a table, and pictures of the first of them."""
    head = title(
        f"{len(episodes)} episodes of {episodes.dataset}",
        f"fold {episodes.fold}, {episodes.split}",
        f"{episodes.way}-way {episodes.shot}-shot",
        f"protocol {episodes.protocol}, seed {episodes.seed}",
        f"hash {episodes.hash[:12]}",
    )
    rows = [
        (number, episode.query, ", ".join(_names(episode)), "; ".join(map(", ".join, episode.supports)))
        for number, episode in enumerate(episodes[:_LISTED])
    ]
    more = len(episodes) - len(rows)
    pictured = "".join(_heading(one) + _pictures(one, _PICTURED) for one in episodes[:_PICTURED])
    return (
        head
        + table(("episode", "query", "classes", "supports"), rows)
        + notes([f"and {more} more"] if more else [])
        + (pictured if episodes.source is not None else notes(["pictures: episodes.of(dataset)"]))
    )


def _names(episode: Episode) -> tuple[str, ...]:
    return episode.class_names or tuple(f"class {class_id}" for class_id in episode.classes)


def _heading(episode: Episode) -> str:
    return title(f"{episode.way}-way {episode.shot}-shot episode", ", ".join(_names(episode)), f"query {episode.query}")


def _pictures(episode: Episode, shared: int) -> str:
    """Return the pictures of an episode; in their place a line if they can't be read.

    Args:
        episode: The episode.
        shared: How many episodes are shown together.
    """
    dataset = episode.source
    if dataset is None:
        supports = ("; ".join(map(", ".join, episode.supports)),)
        return notes([f"supports: {supports[0]}"])
    try:
        return figures(_drawn(episode, dataset, shared))
    except FSSBenchError as error:
        return notes([f"no pictures: {error.message}"])


def _drawn(episode: Episode, dataset: Dataset, shared: int) -> Iterator[tuple[str, str]]:
    from fssbench.notebook.pictures import picture, side_for

    supports = [
        (way, class_id, name, image)
        for way, (class_id, name) in enumerate(zip(episode.classes, _names(episode), strict=True), 1)
        for image in episode.supports[way - 1]
    ]
    shown = supports[: _MOST_PICTURES - 1]
    side = side_for(shared * (1 + len(shown)))
    for way, class_id, name, image in shown:
        marked = np.where(dataset.label(image) == class_id, np.uint8(way), np.uint8(0))
        yield picture(dataset.image(image), marked, side), f"support: {name}"
    left = len(supports) - len(shown)
    yield picture(dataset.image(episode.query), None, side), f"query{f', and {left} more supports' if left else ''}"
