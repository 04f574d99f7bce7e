"""Baselines: committed numbers in DATASET.csv files, with a row per method, variant, ways, shots and fold."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.files import file_size

COLUMNS = (
    *("method", "variant", "backbone", "task", "train_dataset", "ways", "shots", "fold", "protocol", "episodes"),
    *("episodes_hash", "miou", "miou_low", "miou_high", "fb_iou", "exact_ratio"),
    *("checkpoint", "checkpoint_sha256", "backbone_sha256", "data_fingerprint", "torch"),
)
MAX_BYTES = 1 << 26
"""Larger files are refused."""

Percent = Annotated[str, Field(pattern=r"^(100|\d{1,2})(\.\d{1,6})?$", max_length=12)]
MaybePercent = Annotated[str, Field(pattern=r"^((100|\d{1,2})(\.\d{1,6})?)?$", max_length=12)]
Digest = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
Name = Annotated[str, Field(max_length=200)]
Count = Annotated[int, Field(ge=0, lt=1 << 31)]


class Baseline(BaseModel):
    """The numbers of one fold, in per cent, as text.

    Attributes:
        dataset: The data set.
        place: File and line.

    The others are the columns that `fssbench check --update` writes. `episodes` is the number of evaluated ones: fewer
    than the list has, if only its first ones were evaluated (`--limit`). The ends of the interval are empty where it
    can't be given, and `exact_ratio` where presence is not predicted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    place: str
    method: Annotated[str, Field(min_length=1, max_length=200)]
    variant: Name
    backbone: Name
    task: Annotated[str, Field(pattern=r"^(fss|fscs)$")]
    train_dataset: Name
    ways: Count
    shots: Count
    fold: Count
    protocol: Name
    episodes: Count
    episodes_hash: Name
    miou: Percent
    miou_low: MaybePercent
    miou_high: MaybePercent
    fb_iou: Percent
    exact_ratio: MaybePercent
    checkpoint: Name
    checkpoint_sha256: Digest
    backbone_sha256: Digest
    data_fingerprint: Name
    torch: Name

    @property
    def numbers(self) -> dict[str, str]:
        """The numbers that are not empty, by metric."""
        texts = {"miou": self.miou, "fb_iou": self.fb_iou, "exact_ratio": self.exact_ratio}
        return {measure: text for measure, text in texts.items() if text}


def read_baselines(where: Path, datasets: Iterable[str]) -> list[Baseline]:
    """Read the baselines of data sets; a data set without a file has none.

    Args:
        where: A folder with a DATASET.csv each, or the file of one data set.
        datasets: Names of data sets.

    Raises:
        MissingError: If the folder or the file does not exist.
        UsageError: If the file is of another data set.
        BrokenFileError: If a file is invalid, with the line and the column.
    """
    return [row for path in baseline_files(where, datasets) if path.is_file() for row in read_file(path)]


def baseline_files(where: Path, datasets: Iterable[str], *, needed: bool = True) -> list[Path]:
    """Return the files of baselines of data sets, sorted; they need not exist.

    Args:
        where: A folder with a DATASET.csv each, or the file of one data set, whose name it has.
        datasets: Names of data sets.
        needed: Whether the folder or the file has to be there.

    Raises:
        MissingError: If it is not there.
        UsageError: If the file is of another data set.
    """
    names = [name for name in sorted(set(datasets)) if name.isidentifier() or name.replace("-", "_").isidentifier()]
    if where.suffix == ".csv" and not where.is_dir():
        if others := [name for name in names if name != where.stem]:
            raise UsageError(
                f"{where} is the file of baselines of {where.stem}, by its name, and a run is of {others[0]}",
                f"--baselines {where.parent}, which has a DATASET.csv each",
            )
        if needed and not where.is_file():
            raise MissingError(f"there is no file of baselines {where}", "fssbench check --update writes one")
        return [where]
    if needed and not where.is_dir():
        raise MissingError(f"there is no folder of baselines {where}", "give the folder with --baselines DIR")
    return [where / f"{name}.csv" for name in names]


def read_file(path: Path) -> list[Baseline]:
    """Read a file of baselines.

    Raises:
        BrokenFileError: If it is invalid, with the line and the column.
    """
    try:
        if file_size(path) > MAX_BYTES:
            raise BrokenFileError(f"{path} is too large for baselines")
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise BrokenFileError(
                    f"{path}, line 1: the columns are not {','.join(COLUMNS)}",
                    "write it again with fssbench check --update --baselines DIR RUN...",
                )
            return [_baseline(cells, path, reader.line_num) for cells in reader]
    except (csv.Error, UnicodeDecodeError) as error:
        raise BrokenFileError(f"{path} is not a CSV file: {error}") from error
    except OSError as error:
        raise BrokenFileError(f"can't read {path}: {error.strerror}") from error


def _baseline(cells: dict[str | Any, Any], path: Path, line: int) -> Baseline:
    where = f"{path}, line {line}"
    if None in cells or None in cells.values():
        raise BrokenFileError(f"{where}: not {len(COLUMNS)} cells")
    try:
        return Baseline.model_validate({**cells, "dataset": path.stem, "place": f"{path.name}, line {line}"})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BrokenFileError(f"{where}, column {first['loc'][0]}: {first['msg']}") from error
