"""Where each data set comes from, as sources.toml states it, and what of it is in a folder."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

from fssbench.datasets.catalogue import dataset_info, list_datasets
from fssbench.datasets.dataset import Split
from fssbench.datasets.splits.stored import is_there
from fssbench.downloads.drive import MOST, file_id, folder_id
from fssbench.downloads.remote import Remote, mirrored

LARGE_FILE = 64 << 20
"""Bytes that a file may have of which nobody states a size: a list of classes, not an archive."""

FACTS = Path(__file__).with_name("sources.toml")


@dataclass(frozen=True)
class Part:
    """A part of a data set: an archive, a file, or what a command makes.

    Attributes:
        what: What it is, e.g. "annotations".
        holds: How many files of the whole part match each pattern of paths in the data folder.
        url: The archive or the file; empty if a host shows a page only, or a command makes it.
        page: The page from which a person saves it; empty if there is a url. A file of Google Drive, or the one of its
            name in a folder there, is fetched by a program all the same.
        command: The command that makes it of other parts; empty if it is downloaded.
        command_for: The same for a split, if that needs less.
        files: What it may be called where it was saved by hand; the first is its own name.
        take: Patterns of the names in the archive that are unpacked; the first group is the path in the data folder. A
            part without is a plain file.
        into: The folder in the data folder that it is unpacked to.
        made_into: The part that is made of the files of a pattern; they are not needed if that part is there.
        split: The split of the data set that needs it; None if every split does.
        only_for: The split that needs the files of a pattern, if not every split does.
        photos: Whether it has photos only, which can be fetched one by one instead.
        lists: Whether it is a file of a release's lists, which is imported after it was fetched.
        size: Bytes, as somebody states them.
        about: Bytes, from memory.
        unpacked: Bytes of what is unpacked, from memory; default as many as the archive has.
        sha256: Hex, as somebody states it.
        md5: Hex, as somebody states it.
        source: Who states this.
    """

    what: str
    holds: Mapping[str, int]
    url: str = ""
    page: str = ""
    command: str = ""
    command_for: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    take: tuple[str, ...] = ()
    into: str = ""
    made_into: Mapping[str, str] = field(default_factory=dict)
    split: Split | None = None
    only_for: Mapping[str, Split] = field(default_factory=dict)
    photos: bool = False
    lists: bool = False
    size: int | None = None
    about: int | None = None
    unpacked: int | None = None
    sha256: str = ""
    md5: str = ""
    source: str = ""

    @property
    def name(self) -> str:
        """What the file is called while it arrives; no two parts of a data set have the same name."""
        return "-".join((*filter(None, self.into.split("/")), self.files[0])) if self.lists else self.files[0]

    @property
    def on_drive(self) -> bool:
        """Whether it is a file of Google Drive, or in a folder there."""
        return bool(file_id(self.page) or folder_id(self.page))

    @property
    def by_program(self) -> bool:
        """Whether `fssbench data fetch` gets it from its host."""
        return bool(self.url) or self.on_drive

    @property
    def bytes(self) -> int | None:
        """About how much is downloaded; None if it is not known."""
        return self.size if self.size is not None else self.about

    @property
    def bytes_unpacked(self) -> int:
        """About how much room it takes."""
        return self.unpacked if self.unpacked is not None else self.bytes or 0

    def remote(self, mirror: str | None = None) -> Remote:
        """Return the file on its host, or on a mirror: there a file of Google Drive is drive.google.com/ID/NAME."""
        drive_id = file_id(self.page) or folder_id(self.page)
        address = self.url or (f"https://drive.google.com/{drive_id}/{self.files[0]}" if drive_id else "")
        url = mirrored(address, mirror) if address else ""
        most = MOST if drive_id and not self.about else 2 * (self.about or LARGE_FILE)
        return Remote(url, self.name, self.size, self.sha256, self.md5, most=most)

    def counts(self, folder: Path) -> dict[str, tuple[int, int]]:
        """Return for each pattern how many files are in a data folder, and how many the whole part has."""
        return {pattern: (sum(1 for _ in folder.glob(pattern)), whole) for pattern, whole in self.holds.items()}


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    Attributes:
        name: Name of the data set.
        page: Its page.
        licence: Its terms, in short.
        evaluate: What it takes to evaluate it.
        tree: The tree to make by hand; empty if everything is fetched.
        parts: Its parts.
        photo: The address of a single photo, with {name} in it; empty if there are archives only.
        photo_bytes: Mean size of a photo.
    """

    name: str
    page: str = ""
    licence: str = ""
    evaluate: str = ""
    tree: str = ""
    parts: tuple[Part, ...] = field(default=())
    photo: str = ""
    photo_bytes: int = 0

    def photo_url(self, name: str, mirror: str | None = None) -> str:
        """Return the address of a photo, by its name in the data set."""
        return mirrored(self.photo.format(name=name), mirror)

    def needed(
        self, folder: Path, split: Split | None = None, *, photos: bool = True, lists: bool = True
    ) -> tuple[Part, ...]:
        """Return the parts that are not in the data folder yet.

        Args:
            folder: The data folder.
            split: The split that is needed; None for all.
            photos: Whether the photos come in archives.
            lists: Whether lists of a release are needed that are not imported.
        """
        return tuple(
            part
            for part in self.parts
            if (split is None or part.split in (None, split))
            and (photos or not part.photos)
            and not (part.lists and (not lists or self.imported(part)))
            and self.missing(part, folder, split)
        )

    def imported(self, part: Part) -> bool:
        """Return whether lists of a release for the same split were imported."""
        return part.lists and part.split is not None and is_there(self.name, part.split)

    def missing(self, part: Part, folder: Path, split: Split | None = None) -> dict[str, tuple[int, int]]:
        """Return the patterns of which a data folder has too few files, with the numbers here and of the whole part.

        Files are counted, not read: what is put there by `fssbench data fetch` is whole. With a split, files that only
        another one needs are not missing.
        """
        return {
            pattern: (here, whole)
            for pattern, (here, whole) in part.counts(folder).items()
            if here < whole
            and (split is None or part.only_for.get(pattern, split) == split)
            and not self._is_made(part.made_into.get(pattern), folder)
        }

    def _is_made(self, what: str | None, folder: Path) -> bool:
        return any(part.what == what and not self.missing(part, folder) for part in self.parts)


@cache
def _stated() -> dict[str, dict[str, Any]]:
    with FACTS.open("rb") as file:
        return tomllib.load(file)


def source_of(name: str) -> Source | None:
    """Return where a data set comes from; None if that is not known, or nothing has to come.

    Raises:
        UsageError: If there is no such data set.
    """
    dataset_info(name)
    raw = _stated().get(name)
    if raw is None:
        return None
    facts = {key: value for key, value in raw.items() if key != "lists"}
    parts = (*map(_part, raw.get("parts", ())), *_lists(raw.get("lists", {})))
    return Source(**facts | {"name": name, "parts": parts})


def _part(raw: Mapping[str, object]) -> Part:
    lists = {key: tuple(cast("list[str]", raw[key])) for key in ("files", "take") if key in raw}
    return Part(**cast("dict[str, Any]", {**raw, **lists}))


def _lists(raw: Mapping[str, Any]) -> Iterator[Part]:
    """Yield a part for each file of a release's lists."""
    for split in ("val", "train", "test"):
        for file, facts in raw.get(split, {}).items():
            folder, _, name = f"{raw['into']}/{file}".rpartition("/")
            yield Part(
                raw["what"],
                {f"{folder}/{name}": 1},
                url=raw["url"].format(file=file),
                files=(name,),
                into=folder,
                split=split,
                lists=True,
                source=raw["source"],
                **facts,
            )


def fetched_names() -> list[str]:
    """Return the names of the data sets whose source is known."""
    return [name for name in list_datasets() if name in _stated()]
