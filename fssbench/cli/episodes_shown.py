"""An episode list as it is shown: header and hash, how often each class occurs, the first episodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fssbench.cli.console import console

if TYPE_CHECKING:
    from rich.table import Table

    from fssbench.datasets.dataset import Dataset
    from fssbench.episode import EpisodeList


def as_object(episodes: EpisodeList, dataset: Dataset | None, rows: int) -> dict[str, object]:
    """Return a list as JSON takes it: its header, how often each class occurs, the first episodes."""
    from fssbench.episode.files import header
    from fssbench.episode.verify import official_finding

    names = {} if dataset is None else dataset.class_names
    finding = official_finding(episodes)
    return {
        **header(episodes),
        "release": None if finding is None else finding.text,
        "classes": [
            {"class": one, "name": names.get(one), "episodes": uses, "query_class": listed, "queries": queries}
            for one, uses, listed, queries in _class_counts(episodes, dataset)
        ],
        "first": [
            {
                "query": episode.query,
                "query_class": episode.query_class,
                "classes": list(episode.classes),
                "supports": [list(names) for names in episode.supports],
            }
            for episode in episodes[:rows]
        ],
    }


def _class_counts(episodes: EpisodeList, dataset: Dataset | None) -> list[tuple[int, int, int, int]]:
    """Return each class with its number of episodes, of episodes listed under it, and of different queries."""
    from collections import Counter

    from fssbench.episode.draw import classes_of

    uses = Counter(class_id for episode in episodes for class_id in episode.classes)
    listed = Counter(episode.query_class for episode in episodes)
    queries = Counter(class_id for _, class_id in {(e.query, e.query_class) for e in episodes})
    # With the data at hand, classes in no episode are shown too: they count 0 in a mean over classes.
    unused = classes_of(dataset, episodes) if dataset else ()
    return [(one, uses[one], listed[one], queries[one]) for one in sorted({*uses, *listed, *unused})]


def print_list(episodes: EpisodeList, dataset: Dataset | None, rows: int) -> None:
    """Print a list; with the data set at hand also the names of classes, and classes in no episode."""
    from fssbench.episode.files import header
    from fssbench.episode.verify import official_finding

    output = console()
    for name, value in header(episodes).items():
        shown = ", ".join(map(str, value)) or "none" if isinstance(value, list) else value
        output.print(f"{name.replace('_', ' '):<17}{shown}", soft_wrap=True)
    if finding := official_finding(episodes):
        output.print(f"{'release':<17}{finding.text}", soft_wrap=True)
    output.print(_class_table(episodes, dataset))
    for line in _episode_lines(episodes, rows) if rows else ():
        output.print(line, soft_wrap=True)


def _class_table(episodes: EpisodeList, dataset: Dataset | None) -> Table:
    from rich.table import Table

    table = Table(title="How often", box=None, title_justify="left")
    for heading in ("class", "episodes", "query's class", "queries"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for class_id, *counts in _class_counts(episodes, dataset):
        name = f"{class_id} {dataset.class_names.get(class_id, '')}" if dataset else str(class_id)
        table.add_row(name, *map(str, counts))
    return table


def _episode_lines(episodes: EpisodeList, rows: int) -> list[str]:
    # Lines and not a table: names of COCO would be folded in it, and could not be copied.
    lines = [f"The first {min(rows, len(episodes))}"]
    for number, episode in enumerate(episodes[:rows]):
        lines.append(f"{number:>4}  {episode.query}, listed under {episode.query_class}")
        for class_id, names in zip(episode.classes, episode.supports, strict=True):
            lines.append(f"      {class_id} by {', '.join(names)}")
    return lines
