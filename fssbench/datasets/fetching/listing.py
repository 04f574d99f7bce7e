"""Each data set at a glance: where it would come from, its size and terms, what is here, what an evaluation needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fssbench.datasets.catalogue import dataset_info, list_datasets
from fssbench.datasets.fetching.sources import Part, Source, source_of
from fssbench.datasets.roots import find_root
from fssbench.errors import MissingError


@dataclass(frozen=True)
class Holding:
    """How much of a part is in the data folder.

    Attributes:
        what: The part, e.g. "annotations".
        pattern: The files that are counted, as paths in the data folder.
        here: Their number.
        whole: Their number in the whole part.
    """

    what: str
    pattern: str
    here: int
    whole: int


@dataclass(frozen=True)
class Listed:
    """A data set.

    Attributes:
        name: Its name.
        title: Its name in papers.
        kind: "fetched", "by hand" (a host asks for a login, a licence or a click), "rendered", "own", or "unknown".
        hosts: The hosts or pages that it comes from.
        bytes: About how much is downloaded, as far as that is known; None if it is not.
        licence: Its terms, in short.
        page: The page with its terms.
        folder: The data folder; None if none is configured or it is rendered.
        holdings: What is in the folder.
        evaluate: What an evaluation needs.
        unsized: Number of files that are downloaded and whose size nobody states.
    """

    name: str
    title: str
    kind: str
    hosts: tuple[str, ...] = ()
    bytes: int | None = None
    licence: str = ""
    page: str = ""
    folder: Path | None = None
    holdings: tuple[Holding, ...] = ()
    evaluate: str = ""
    unsized: int = 0


def listed(root: Path | None = None) -> list[Listed]:
    """Return all data sets, by name.

    Args:
        root: A folder with data folders, which counts before the configured ones.

    Raises:
        BrokenFileError: If the configuration file is broken.
    """
    return [_listed(name, root) for name in list_datasets()]


def _listed(name: str, root: Path | None) -> Listed:
    info, source, folder = dataset_info(name), source_of(name), _folder(name, root)
    if info.rendered:
        return Listed(name, info.title, "rendered", evaluate="nothing: its images are rendered")
    if info.own:
        return Listed(name, info.title, "own", folder=folder, evaluate="images, masks and dataset.toml of your own")
    if source is None:
        return Listed(name, info.title, "unknown", folder=folder, evaluate="see the documentation of its package")
    downloads = [part for part in source.parts if part.by_program]
    sizes = [part.bytes for part in downloads if part.bytes is not None]
    return Listed(
        name,
        info.title,
        "by hand" if any(part.page and not part.by_program for part in source.parts) else "fetched",
        _hosts(source),
        sum(sizes) or None,
        source.licence,
        source.page,
        folder,
        () if folder is None else _all_holdings(source, folder),
        source.evaluate,
        len(downloads) - len(sizes),
    )


def _hosts(source: Source) -> tuple[str, ...]:
    from fssbench.downloads.remote import host_of

    pages = [part.page for part in source.parts if part.page]
    return tuple(dict.fromkeys([*(host_of(part.url) for part in source.parts if part.url), *pages]))


def _all_holdings(source: Source, folder: Path) -> tuple[Holding, ...]:
    holdings = [one for part in source.parts if not part.lists for one in _holdings(source, part, folder)]
    lists = {part.split: part for part in source.parts if part.lists}
    if lists:
        imported = sum(map(source.imported, lists.values()))
        holdings.append(Holding("lists", "imported splits of lists", imported, len(lists)))
    return tuple(holdings)


def _holdings(source: Source, part: Part, folder: Path) -> list[Holding]:
    """Return what is here of a part. Files that are not here are left out if what is made of them is."""
    missing = source.missing(part, folder)
    counts = part.counts(folder).items()
    return [Holding(part.what, pattern, *pair) for pattern, pair in counts if pair[0] or pattern in missing]


def _folder(name: str, root: Path | None) -> Path | None:
    from fssbench.datasets.catalogue import folder_name

    if root is not None and (root / folder_name(name)).is_dir():
        return root / folder_name(name)
    try:
        found = find_root(name)
    except MissingError:
        return None
    return None if found is None else found.path
