"""Episode lists in files: JSON with a header, one episode per line, and hashes of both.

The same list always gives the same bytes. A file may come from anybody, so it is validated against a schema, and names
that lead out of the folder of a data set are refused. docs/predictions.md describes the format for other programs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fssbench.episode.episode import Episode, EpisodeList
from fssbench.errors import BrokenFileError, FSSBenchError, MissingError, UsageError
from fssbench.files import file_size, without_mark, write_text
from fssbench.protocols.rules import Protocol, list_protocols
from fssbench.protocols.rules import protocol as protocol_of
from fssbench.unique_keys import refuse_repeated

if TYPE_CHECKING:
    from fssbench.episode.schema import EpisodeFile

FORMAT = "fssbench-episodes"
VERSION = 2
"""Version 1, which has no `answer` and no `id` of episodes, can still be read."""
Header = dict[str, str | int | float | list[int]]
MAX_BYTES = 1 << 30
"""Larger files are refused: a million 1-way 5-shot episodes of COCO take a third of this."""

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

_OPTIONAL = ("run_length", "train_dataset", "test_classes", "references", "absent", "base_hash", "base_count")
"""Fields that are in a file only if they are not None."""


def episode_id(fold: int, number: int) -> str:
    """Return the id of an episode, which is also the name of its prediction's file without the suffix."""
    return f"fold{fold}-{number:05d}"


def header(episodes: EpisodeList, version: int = VERSION) -> Header:
    """Return the header of a list, in the order of a file of that version."""
    fields: Header = {"format": FORMAT, "version": version}
    for name in _HEADER:
        value = getattr(episodes, name)
        fields[name] = list(value) if isinstance(value, tuple) else value
    for name in _OPTIONAL:
        if (value := getattr(episodes, name)) is not None:
            fields[name] = value
    fields["count"] = len(episodes)
    fields["hash"] = episodes.hash
    return fields


def _evaluation_record(episodes: EpisodeList, rules: Protocol | None) -> Header | None:
    """Return the rules of the list's protocol that predictions must follow; None if the protocol is not known here."""
    if rules is None and episodes.protocol.partition("@")[0] not in list_protocols():
        return None
    try:
        rules = (rules or protocol_of(episodes.protocol)).on(episodes.dataset)
    except FSSBenchError:
        return None
    return {
        "task": rules.task,
        "input": list(rules.input),
        "resize": rules.resize,
        "score_at": rules.score_at,
        "ignore": rules.ignore,
    }


def write_episodes(episodes: EpisodeList, path: str | Path, rules: Protocol | None = None) -> Path:
    """Write a list, whole or not at all, and return its path.

    Args:
        episodes: The list.
        path: The file.
        rules: The protocol of the list, if it is an own file: it can't be found by the name in the list.

    Raises:
        UsageError: If the folder does not exist or can't be written, or the list could not be read again (it is
            empty, its episodes differ in ways or shots, or a name leads out of the folder of the data set).
    """
    path = Path(path)
    head: dict[str, object] = {**header(episodes)}
    if evaluation := _evaluation_record(episodes, rules):
        head["answer"] = evaluation
    lines = [f' "{key}": {json.dumps(value)},' for key, value in head.items()]
    lines += [f' "header_hash": "{_digest(head)}",', ' "episodes": [']
    records = [
        {
            "id": episode_id(episodes.fold, number),
            "query": episode.query,
            "classes": episode.classes,
            "supports": episode.supports,
            "query_class": episode.query_class,
        }
        for number, episode in enumerate(episodes)
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
    """Read a list and verify its hashes.

    Raises:
        MissingError: If there is no such file.
        BrokenFileError: If it is not an episode list, or was changed after it was written.
    """
    path = Path(path)
    try:
        if file_size(path) > MAX_BYTES:
            raise BrokenFileError(f"{path} is too large for an episode list")
        raw = without_mark(path.read_bytes())
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
    refuse_repeated(raw, path, "export it again with fssbench episodes export")
    episodes = EpisodeList(
        episodes=tuple(Episode(e.query, e.classes, e.supports, e.query_class) for e in document.episodes),
        **{name: getattr(document, name) for name in (*_HEADER, *_OPTIONAL)},
    )
    _check(episodes, document, path)
    return episodes


def _check(episodes: EpisodeList, document: EpisodeFile, path: Path) -> None:
    remedy = "ask for the file again, or export it again with fssbench episodes export"
    way, shot = episodes.way, episodes.shot
    for number, episode in enumerate(episodes):
        fits = len(episode.classes) == len(episode.supports) == len(set(episode.classes)) == way
        if not fits or any(len(names) != shot for names in episode.supports):
            raise BrokenFileError(f"{path}: episode {number} is not {way}-way {shot}-shot", remedy)
    if document.hash != episodes.hash or document.count != len(episodes):
        raise BrokenFileError(
            f"{path} was changed after it was written: its {len(episodes)} episodes have the hash "
            f"{episodes.hash[:12]}, its header says {document.count} with {document.hash[:12]}",
            remedy,
        )
    head: dict[str, object] = {**header(episodes, document.version)}
    if document.answer is not None:
        head["answer"] = document.answer.model_dump(mode="json")
    if document.header_hash != _digest(head):
        raise BrokenFileError(
            f"{path} was changed after it was written: its header does not fit the header's hash", remedy
        )
    if fault := _made_fault(episodes):
        raise BrokenFileError(f"{path}: {fault}", remedy)
    for number, record in enumerate(document.episodes):
        own = episode_id(episodes.fold, number) if document.version > 1 else None
        if record.id != own:
            raise BrokenFileError(f"{path}: episode {number} has the id {record.id}, not {own}", remedy)


def _made_fault(episodes: EpisodeList) -> str | None:
    """Return in what a list is not what its header says of references and absent queries; None if it is."""
    made = (episodes.references, episodes.absent)
    if (episodes.base_hash is None, episodes.base_count is None) != (made == (None, None),) * 2:
        return "its header has one of references or absent, base_hash and base_count, and lacks another"
    if episodes.absent is not None and not 0 < (episodes.absent_count or 0) < len(episodes):
        return "its header states a share of absent queries, and none or all of its queries are absent"
    if episodes.references is None:
        return None
    length = episodes.run_length or 0
    if length * episodes.references != len(episodes):
        return f"it has {len(episodes)} episodes, not {episodes.references} references for each of {length} queries"
    supports: list[set[tuple[tuple[str, ...], ...]]] = [set() for _ in range(length)]
    for number, episode in enumerate(episodes):
        first = episodes[number % length]
        if (episode.query, episode.classes, episode.query_class) != (first.query, first.classes, first.query_class):
            return f"episode {number} is not a reference of the query of episode {number % length}"
        supports[number % length].add(episode.supports)
    short = next((place for place, found in enumerate(supports) if len(found) < episodes.references), None)
    return None if short is None else f"two references of the query of episode {short} are the same"


def _digest(head: Mapping[str, object]) -> str:
    text = json.dumps(head, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
