"""The registry of checkpoints: the shipped checkpoints.toml, and the user's own file in the configuration folder.

The user's file has, besides own records, the hashes of files for which no hash was recorded before they were fetched.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import tomlkit
from pydantic import ValidationError

from fssbench.checkpoints.entry import FirstHash
from fssbench.checkpoints.entry import Record as Record
from fssbench.config import config_folder, reachable
from fssbench.datasets.catalogue import dataset_info
from fssbench.errors import BrokenFileError, MissingError, UsageError, unknown_name
from fssbench.files import locked, shipped, write_text
from fssbench.methods.build_arguments import check_build
from fssbench.methods.catalogue import MethodInfo, method_info
from fssbench.names import known_name
from fssbench.toml import parse, text_of


def user_registry() -> Path:
    """Return the file of the user's own records, which need not exist.

    Raises:
        NoHomeError: If there is no home folder for it.
    """
    return config_folder() / "checkpoints.toml"


def records() -> list[Record]:
    """Return all records, the user's own first; a user's record replaces a shipped one with the same id.

    Raises:
        BrokenFileError: If a registry can't be read, naming the record and the field.
    """
    place = reachable(user_registry)
    own, hashes = _read(place) if place else ([], [])
    taken = {record.id for record in own}
    known = own + [record for record in _shipped() if record.id not in taken]
    first = {one.id: one.sha256 for one in hashes}
    return [_with_first_hash(record, first) for record in known] if first else known


def _with_first_hash(record: Record, first: Mapping[str, str]) -> Record:
    """Return a record with the hash of the first fetch, unless another is recorded or the file is from elsewhere."""
    if record.sha256 or not record.url or record.id not in first:
        return record
    return record.model_copy(update={"sha256": first[record.id], "first_seen": True})


def record(identifier: str) -> Record:
    """Return the record with that id.

    Raises:
        UsageError: If there is none, with similar ids.
    """
    known = {entry.id: entry for entry in records()}
    name = known_name("checkpoint", identifier, known)
    if name is None:
        raise unknown_name("checkpoint", identifier, known, "fssbench checkpoints list")
    return known[name]


def is_release(identifier: str | None, sha256: str | None) -> bool:
    """Return whether a checkpoint is known to be a release's own file.

    It is if a shipped record has its hash, or if it is registered under a shipped id without a known hash. Weights that
    were trained by this project are not a release.

    Args:
        identifier: Its id in the registry, if it has one.
        sha256: Hash of the file.
    """
    for entry in _shipped():
        released = bool(entry.url or entry.hub or entry.package)
        if released and entry.sha256 and (sha256 or "").startswith(entry.sha256):
            return True
        if released and not entry.sha256 and entry.id == identifier:
            return True
    return False


def find(
    method: str,
    variant: str | None,
    backbone: str,
    dataset: str,
    fold: int,
    *,
    weak: bool = False,
    shots: int | None = None,
) -> Record:
    """Return the record of the weights for an evaluation.

    The user's own records come before the shipped ones. Among each of them, records for this number of shots come
    first. For a method without trained weights (a floor on frozen features) it is the record of its backbone.

    Raises:
        MissingError: If there is none, naming the registered ones.
    """
    info = method_info(method)
    chosen = variant or next(iter(info.tasks))
    fitting = [entry for entry in records() if _matches(entry, info, chosen, backbone, dataset, fold, weak=weak)]
    if fitting:
        return max(fitting, key=lambda entry: _rank(entry, dataset, shots))
    others = sorted(
        {f"{r.variant} {r.backbone} on {r.dataset} fold {r.fold}".lstrip() for r in records() if r.method == method}
    )
    known = f"; registered for {method}: {', '.join(others[:6])}{', ...' if len(others) > 6 else ''}" if others else ""
    form = f" ({chosen}{', weak' if weak else ''})" if info.names_variant else ""
    options = f"--method {method} --backbone {backbone} --dataset {dataset} --fold {fold}"
    options += (f" --variant {chosen}" if chosen != next(iter(info.tasks)) else "") + (" --weak" if weak else "")
    scenes = dataset_info(dataset).same_scenes_as
    elsewhere = f"--train-dataset {scenes} uses weights that were trained on the same scenes; or " if scenes else ""
    raise MissingError(
        f"no checkpoint is registered for {method}{form} with {backbone} on {dataset} fold {fold}{known}",
        f"{elsewhere}fssbench checkpoints add FILE {options}; or --checkpoint FILE, or --random-weights",
    )


def find_backbone(backbone: str, dataset: str, fold: int) -> Record | None:
    """Return the record of a frozen backbone's weights, trained for this fold or on ImageNet; None if there is none."""
    fitting = [entry for entry in records() if _is_backbone(entry, backbone, dataset, fold)]
    return max(fitting, key=lambda entry: _rank(entry, dataset, None), default=None)


def _rank(entry: Record, dataset: str, shots: int | None) -> tuple[bool, bool, bool]:
    # Weights for this fold come before ImageNet weights.
    for_shots = shots is None or not entry.shots or shots in entry.shots
    return _is_own(entry), for_shots, entry.dataset == dataset


def _is_own(entry: Record) -> bool:
    # A release's file that the user has added under its id is still the release's, for its own number of shots.
    return entry.registry != shipped("checkpoints.toml") and entry.id not in {one.id for one in _shipped()}


def _is_backbone(entry: Record, backbone: str, dataset: str, fold: int) -> bool:
    made_for = {(dataset, fold), ("", None)}
    return (entry.kind, entry.backbone) == ("backbone", backbone) and (entry.dataset, entry.fold) in made_for


def _matches(
    entry: Record, info: MethodInfo, variant: str, backbone: str, dataset: str, fold: int, *, weak: bool
) -> bool:
    if not info.trainable:
        return _is_backbone(entry, backbone, dataset, fold)
    return (
        (entry.method, entry.backbone) == (info.name, backbone)
        and (entry.variant or next(iter(info.tasks))) == variant
        and (entry.dataset, entry.fold, entry.weak) == (dataset, fold, weak)
    )


def add(new: Record) -> Path:
    """Write a record into the user's own registry, in place of one with the same id, and return that file.

    Several processes may do so at the same time; no record is lost.

    Raises:
        BrokenFileError: If the existing registry can't be read.
    """
    registry = user_registry()
    with locked(registry):
        entries, hashes = _read(registry)
        kept = [entry for entry in entries if entry.id != new.id]
        _write(registry, [*kept, new], hashes)
    return registry


def record_first_hash(entry: Record, sha256: str) -> Path:
    """Write the hash of a file that was fetched for the first time into the user's registry, and return that file.

    Raises:
        BrokenFileError: If the existing registry can't be read.
    """
    registry = user_registry()
    with locked(registry):
        entries, hashes = _read(registry)
        kept = [one for one in hashes if one.id != entry.id]
        _write(registry, entries, [*kept, FirstHash(id=entry.id, sha256=sha256, url=entry.url)])
    return registry


def _write(registry: Path, entries: Sequence[Record], hashes: Sequence[FirstHash]) -> None:
    document = tomlkit.document()
    for name, models in (("checkpoint", entries), ("fetched", hashes)):
        if models:
            table = tomlkit.aot()
            for model in models:
                table.append(tomlkit.item(model.model_dump(mode="json", exclude_defaults=True)))
            document.append(name, table)
    write_text(registry, tomlkit.dumps(document))


def identifier_for(
    method: str, variant: str, backbone: str, dataset: str, fold: int, *, way: int = 1, weak: bool = False
) -> str:
    """Return the id that a record has in the shipped registry; default values are left out of it."""
    form = "" if variant == next(iter(method_info(method).tasks)) else variant
    parts = [method, form, "weak" if weak else "", f"{way}way" if way > 1 else "", backbone, dataset, f"fold{fold}"]
    return re.sub(r"[^a-z0-9._-]", "-", "-".join(part for part in parts if part).lower())


@cache
def _shipped() -> list[Record]:
    return _read(shipped("checkpoints.toml"))[0]


def _read(path: Path) -> tuple[list[Record], list[FirstHash]]:
    """Return the records of a registry, and the hashes of first fetches; none if there is no file."""
    entries, fetched = _tables(path)
    read = [_record(entry, number, path) for number, entry in enumerate(entries, start=1)]
    ids = [entry.id for entry in read]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise BrokenFileError(f"{path} has two records with the id {twice[0]}", f"edit {path}")
    try:
        return read, [FirstHash.model_validate(entry) for entry in fetched]
    except ValidationError as error:
        raise BrokenFileError(f"{path}: a [[fetched]] hash {_first(error)}", f"edit {path}") from error


def _tables(path: Path) -> tuple[list[object], list[object]]:
    if not path.is_file():
        return [], []
    try:
        raw = parse(text_of(path))
    except tomllib.TOMLDecodeError as error:
        raise BrokenFileError(f"{path} is not TOML: {error}", f"edit {path}") from error
    entries, fetched = raw.get("checkpoint", []), raw.get("fetched", [])
    if not (isinstance(entries, list) and isinstance(fetched, list)) or raw.keys() - {"checkpoint", "fetched"}:
        raise BrokenFileError(f"{path} holds something other than [[checkpoint]] records", f"edit {path}")
    return entries, fetched


def _record(entry: object, number: int, path: Path) -> Record:
    try:
        made = Record.model_validate(entry)
    except ValidationError as error:
        raise BrokenFileError(f"{path}: record {number} {_first(error)}", f"edit {path}") from error
    return made.model_copy(update={"registry": path})


def new_record(**fields: object) -> Record:
    """Return a record with these fields.

    Raises:
        UsageError: If a field is not valid, naming it.
    """
    try:
        return Record.model_validate(fields)
    except ValidationError as error:
        raise UsageError(f"the options do not make a valid record: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "as a whole"
    return f"({where}): {first['msg']}"


def check_record_arguments(method: str, variant: str, backbone: str, dataset: str, fold: int, *, way: int = 1) -> None:
    """Refuse a record of something that does not exist.

    Raises:
        UsageError: Naming what exists.
    """
    info = check_build(method, backbone, variant or None, way, 1)
    if not info.trainable:
        raise UsageError(f"{method} has no weights of its own")
    count = dataset_info(dataset).folds
    if fold < 0 or (count and fold >= count):
        known = f"its folds are 0 to {count - 1}" if count else "folds are counted from 0"
        raise UsageError(f"{dataset} has no fold {fold}: {known}")


def check_not_seen(sha256: str, method: str, dataset: str, fold: int) -> None:
    """Refuse a file that is registered for another fold of the data set: training has seen the classes of this fold.

    Raises:
        UsageError: Naming the record.
    """
    known = [
        entry for entry in records() if entry.sha256 == sha256 and (entry.method, entry.dataset) == (method, dataset)
    ]
    if known and all(entry.fold != fold for entry in known):
        raise UsageError(
            f"this file is registered as {known[0].id}: it was trained on classes of fold {fold}",
            f"--fold {known[0].fold}, or the file for fold {fold}",
        )
