"""Episode lists in files: JSON with a header, one episode a line, and hashes over both.

The same list gives the same bytes. What is read may come from anybody, so it is parsed against a schema, and
names that would lead out of a data set's folder are refused.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from fssbench.atomic import write_text
from fssbench.episode.episode import Episode, EpisodeList
from fssbench.errors import BrokenFileError, MissingError, UsageError

FORMAT = "fssbench-episodes"
VERSION = 1
MAX_BYTES = 1 << 30
"""A larger file is no episode list: a million 1-way 5-shot episodes of COCO take a third of it."""

_HEADER = (
    "dataset",
    "fold",
    "split",
    "way",
    "shot",
    "protocol",
    "seed",
    "list_order",
    "data_fingerprint",
    "left_out",
)


def header(episodes: EpisodeList) -> dict[str, str | int | list[int]]:
    """Return what a list says of itself, in the order in which a file holds it."""
    fields: dict[str, str | int | list[int]] = {"format": FORMAT, "version": VERSION}
    for name in _HEADER:
        value = getattr(episodes, name)
        fields[name] = list(value) if isinstance(value, tuple) else value
    if episodes.run_length is not None:
        fields["run_length"] = episodes.run_length
    fields["count"] = len(episodes)
    fields["hash"] = episodes.hash
    return fields


def write_episodes(episodes: EpisodeList, path: str | Path) -> Path:
    """Write a list, all or nothing, and return its path.

    Raises:
        UsageError: If the folder is not there or can't be written, or the list could not be read again (it is
            empty, its episodes differ in ways or shots, a name leads out of the data set's folder).
    """
    path = Path(path)
    head = header(episodes)
    lines = [f' "{key}": {json.dumps(value)},' for key, value in head.items()]
    lines += [f' "header_hash": "{_digest(head)}",', ' "episodes": [']
    records = [
        {"query": e.query, "classes": e.classes, "supports": e.supports, "query_class": e.query_class} for e in episodes
    ]
    lines.append(",\n".join(f"  {json.dumps(record)}" for record in records))
    text = "\n".join(["{", *lines, " ]", "}", ""])
    try:
        _parse(text.encode("ascii"), path)
    except BrokenFileError as error:
        raise UsageError(f"can't write a list that could not be read again: {error.message}") from error
    try:
        write_text(path, text)
    except OSError as error:
        remedy = None if path.parent.is_dir() else f"mkdir -p {path.parent}"
        raise UsageError(f"can't write {path}: {error.strerror}", remedy) from error
    return path


def read_episodes(path: str | Path) -> EpisodeList:
    """Read a list and check it against its own hashes.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is not an episode list, or was changed after it was written.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BrokenFileError(f"{path} is too large for an episode list")
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingError(
            f"there is no episode list {path}",
            f"fssbench episodes export --dataset NAME --fold 0 --shots 1 --out {path}",
        ) from error
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error.strerror}") from error
    return _parse(raw, path)


def _parse(raw: bytes, path: Path) -> EpisodeList:
    from pydantic import ValidationError

    from fssbench.episode.schema import EpisodeFile

    try:
        document = EpisodeFile.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BrokenFileError(
            f"{path} is not an episode list{f' ({where})' if where else ''}: {first['msg']}",
            "export it again with fssbench episodes export",
        ) from error
    episodes = EpisodeList(
        episodes=tuple(Episode(e.query, e.classes, e.supports, e.query_class) for e in document.episodes),
        **{name: getattr(document, name) for name in (*_HEADER, "run_length")},
    )
    _check(episodes, document.count, document.hash, document.header_hash, path)
    return episodes


def _check(episodes: EpisodeList, count: int, content: str, head: str, path: Path) -> None:
    remedy = "ask for the file again, or export it again with fssbench episodes export"
    way, shot = episodes.way, episodes.shot
    for number, episode in enumerate(episodes):
        fits = len(episode.classes) == len(episode.supports) == len(set(episode.classes)) == way
        if not fits or any(len(names) != shot for names in episode.supports):
            raise BrokenFileError(f"{path}: episode {number} is not {way}-way {shot}-shot", remedy)
    if content != episodes.hash or count != len(episodes):
        raise BrokenFileError(
            f"{path} was changed after it was written: its {len(episodes)} episodes have the hash "
            f"{episodes.hash[:12]}, its header says {count} with {content[:12]}",
            remedy,
        )
    if head != _digest(header(episodes)):
        raise BrokenFileError(
            f"{path} was changed after it was written: its header does not fit the header's hash", remedy
        )


def _digest(head: dict[str, str | int | list[int]]) -> str:
    text = json.dumps(head, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
