"""dataset.toml, the description of own data. It may come from anybody, so it is validated."""

from __future__ import annotations

import re
import shlex
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from fssbench.datasets.catalogue import dataset_title, folder_name, list_datasets
from fssbench.datasets.folder import DESCRIPTION_FILE
from fssbench.errors import unknown_name
from fssbench.escape import escaped
from fssbench.files import file_size
from fssbench.toml import line_of, parse

FILE = DESCRIPTION_FILE
MAX_BYTES = 1 << 20
MAX_CLASSES = 254
"""Label values are bytes: 0 is background, 255 the ignore region."""

Kind = Literal["indexed", "binary", "coco"]
Exif = Literal["upright", "stored"]


@dataclass(frozen=True)
class Fault:
    """An error in a folder of own data.

    Attributes:
        text: What is wrong and where, without a full stop.
        remedy: How to correct it; faults of one kind have the same remedy.
    """

    text: str
    remedy: str


@dataclass(frozen=True)
class Description:
    """The content of dataset.toml.

    Attributes:
        classes: Name of each label value, sorted by value.
        folds: The novel classes of each fold, sorted; one fold with all classes if the file has no folds.
        masks: The kind of the masks; None if it follows from the files.
        min_pixels: Number of pixels of a class from which a photo is listed under it.
        exif: Whether photos are turned upright by their EXIF orientation, or read as stored.
        name: The name of the data in tables; None if it has none.
        annotations: The path of the COCO json in the folder; None if it is the only json file.
    """

    classes: Mapping[int, str]
    folds: tuple[tuple[int, ...], ...]
    masks: Kind | None = None
    min_pixels: int = 1
    exif: Exif = "upright"
    name: str | None = None
    annotations: str | None = None


def read_description(root: Path) -> tuple[Description | None, list[Fault]]:
    """Return the description in `root`, which is None if it can't be read, and all its faults."""
    path = root / FILE
    remedy = f"edit {path}"
    try:
        if file_size(path) > MAX_BYTES:
            return None, [Fault(f"{path} is too large for a description of data", remedy)]
        text = path.read_text(encoding="utf-8-sig")
        raw = parse(text)
    except FileNotFoundError:
        return None, [
            Fault(
                f"there is no {path}, which names the classes",
                f"fssbench data init folder --root {shlex.quote(str(root))} writes one to begin with",
            )
        ]
    except (OSError, UnicodeDecodeError) as error:
        return None, [Fault(f"can't read {path}: {error}", remedy)]
    except tomllib.TOMLDecodeError as error:
        return None, [Fault(f"{path} is not TOML: {error}", remedy)]
    return parse_description(raw, text, path)


def parse_description(raw: Mapping[str, object], text: str, path: Path) -> tuple[Description | None, list[Fault]]:
    """Return a parsed file as a description, and all its faults.

    Args:
        raw: The parsed TOML.
        text: The text of the file, for line numbers.
        path: The path of the file, for messages.
    """
    from typing import Annotated

    from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

    name_type = Annotated[
        str,
        StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f/\\]+$"),
        AfterValidator(lambda name: unicodedata.normalize("NFC", name)),
    ]

    class File(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        classes: Annotated[dict[str, name_type], Field(min_length=1)]
        folds: Annotated[list[list[name_type]], Field(min_length=1, max_length=100)] | None = None
        masks: Kind | None = None
        min_pixels: Annotated[int, Field(ge=1)] = 1
        exif: Exif = "upright"
        name: Annotated[name_type, AfterValidator(_check_name)] | None = None
        annotations: (
            Annotated[str, StringConstraints(min_length=1, max_length=300), AfterValidator(_check_json)] | None
        ) = None

    remedy = f"edit {path}"
    try:
        found = File.model_validate(raw)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        return None, [Fault(_sentence(one, text, path, list(File.model_fields)), remedy) for one in errors]
    wrong = [*_wrong_ids(found.classes), *_wrong_folds(found.folds, list(found.classes.values()))]
    if wrong:
        return None, [Fault(f"{path}: {sentence}", remedy) for sentence in wrong]
    classes = {int(key): found.classes[key] for key in sorted(found.classes, key=int)}
    ids = {name: class_id for class_id, name in classes.items()}
    folds = found.folds if found.folds is not None else [list(ids)]
    return Description(
        classes=classes,
        folds=tuple(tuple(sorted(ids[name] for name in fold)) for fold in folds),
        masks=found.masks,
        min_pixels=found.min_pixels,
        exif=found.exif,
        name=found.name,
        annotations=found.annotations,
    ), []


def _check_name(name: str) -> str:
    """Refuse a name that tables would take for something else.

    Raises:
        ValueError: With the reason.
    """
    if (fault := name_fault(name)) is not None:
        raise ValueError(fault)
    return name


def name_fault(name: str) -> str | None:
    """Return why own data can't have a name; None if it can."""
    known = {text.lower() for one in list_datasets() for text in (one, dataset_title(one), folder_name(one))}
    if not re.fullmatch(r"[^\x00-\x1f\x7f-\x9f/\\,]{1,100}", name) or name.strip() != name or "_to_" in name:
        return "a name has up to 100 characters, no comma, no '_to_', and no space at its ends"
    if name.lower() in {dataset_title("folder"), folder_name("folder"), "folder"}:
        return f"{name!r} does not tell one folder of own data from another"
    return f"{name!r} is the name of another data set" if name.lower() in known else None


def _check_json(name: str) -> str:
    """Refuse a path that is not that of a json file in the folder.

    Raises:
        ValueError: With the reason.
    """
    parts = PurePosixPath(name).parts
    if not name.endswith(".json") or "\\" in name or name.startswith("/") or {"..", "."} & set(parts):
        raise ValueError("it has to be the path of a json file in the folder")
    return name


def draft(names: Sequence[str] | Mapping[int, str]) -> str:
    """Return a draft of dataset.toml for the given classes: names, or names by label value."""
    numbered = names if isinstance(names, Mapping) else dict(enumerate(names, 1))
    rows = [f"{class_id} = {quoted(name)}" for class_id, name in sorted(numbered.items())]
    return "\n".join(["[classes]", *rows])


def quoted(name: str) -> str:
    """Return a name as a string of TOML."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped(quoted)}"'


def _sentence(error: Mapping[str, Any], text: str, path: Path, keys: list[str]) -> str:
    """Return a validation error as a sentence with its line number."""
    place = [str(part) for part in error["loc"]]
    key = place[-1] if place else ""
    # For an item of a list, the line is that of the list.
    line = line_of(text, next((part for part in reversed(place) if not part.isdecimal() or part == key), key))
    if error["type"] == "extra_forbidden" and len(place) == 1:
        return f"{path}, line {line}: {unknown_name('key', key, keys).message}"
    if error["type"] == "missing":
        return f"{path} has no table [{key}], which names the label values"
    return f"{path}, line {line}: {'.'.join(place)}: {error['msg'].removeprefix('Value error, ')}"


def _wrong_ids(classes: Mapping[str, str]) -> Iterator[str]:
    for key in classes:
        if not (re.fullmatch("[1-9][0-9]{0,2}", key) and int(key) <= MAX_CLASSES):
            yield f"{key[:20]!r} in [classes] is not a label value, 1 to {MAX_CLASSES} (0 is background, 255 ignored)"
    for name, count in Counter(classes.values()).items():
        if count > 1:
            values = ", ".join(key for key, other in classes.items() if other == name)
            yield f"the label values {values} have the same name, '{name}'"


def _wrong_folds(folds: list[list[str]] | None, names: list[str]) -> Iterator[str]:
    for number, fold in enumerate(folds or []):
        if not fold:
            yield f"fold {number} has no class"
        for name in fold:
            if name not in names:
                yield f"fold {number}: {unknown_name('class', name, names).message}"
    for name, count in Counter(name for fold in folds or [] for name in fold).items():
        if count > 1:
            yield f"class '{name}' is in folds {count} times; a class is novel in one fold"
