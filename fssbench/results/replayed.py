"""What differs between a run and the same run again: versions, data, weights, protocol, rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING

from fssbench.results.photos import Kind, digests_of

if TYPE_CHECKING:
    from fssbench.results.record import Run
    from fssbench.results.rows import Row

TOPICS = ("versions", "data", "weights", "protocol", "other")
_IGNORED = (
    *("time", "command", "root", "path", "checkpoint", "learnable_parameters"),
    *("label", "label_backbone", "predictions"),
)
_VERSIONS = ("fssbench", "python", "platform", "packages", "device", "device_name", "threads", "package", "code")
_DATA = ("dataset", "split", "episodes_hash", "data_fingerprint", "list_order")


@dataclass(frozen=True)
class RowDifferences:
    """The rows of two runs of the same episodes.

    Attributes:
        compared: How many episodes both have.
        different: How many of those have different rows.
        first: Fold and episode of the first different one.
        pixels: The largest difference of one of its counts.
        most: The largest difference of a count in any row.
        before: How many rows only the first run has.
        now: How many rows only the second has.
    """

    compared: int
    different: int = 0
    first: tuple[int, int] | None = None
    pixels: int = 0
    most: int = 0
    before: int = 0
    now: int = 0

    def __bool__(self) -> bool:
        """Return whether a row differs, or one of the first run is not there."""
        return bool(self.different or self.before)

    def describe(self) -> str:
        """Return what differs as text."""
        if self.first is None:
            text = f"{self.compared} equal"
        else:
            fold, episode = self.first
            how = f"by {self.pixels} pixels" if self.pixels else "in presence alone"
            text = f"{self.different} of {self.compared} differ, the first is fold {fold}, episode {episode}, {how}"
            text += f"; at most {self.most} pixels"
        text += f"; {self.before} were not evaluated now" if self.before else ""
        return text + (f"; {self.now} were not evaluated before" if self.now else "")


def row_differences(before: Sequence[Row], now: Sequence[Row]) -> RowDifferences:
    """Compare rows by fold and episode; their times and the files of their photos do not count."""
    first = {(row.fold, row.episode): row for row in before}
    second = {(row.fold, row.episode): row for row in now}
    both = sorted(first.keys() & second.keys())
    different = [key for key in both if _counted(first[key]) != _counted(second[key])]
    pixels = [_pixels(first[key], second[key]) for key in different]
    return RowDifferences(
        compared=len(both),
        different=len(different),
        first=different[0] if different else None,
        pixels=pixels[0] if pixels else 0,
        most=max(pixels, default=0),
        before=len(first) - len(both),
        now=len(second) - len(both),
    )


def _counted(row: Row) -> tuple[object, ...]:
    return (row.query, row.classes, row.supports, row.intersection, row.union, row.present, row.truth, row.base or ())


def _pixels(one: Row, other: Row) -> int:
    pairs = [*zip(one.intersection, other.intersection, strict=False), *zip(one.union, other.union, strict=False)]
    base = [{entry[0]: entry[1:] for entry in row.base or ()} for row in (one, other)]
    for class_id in base[0].keys() | base[1].keys():
        pairs += zip(base[0].get(class_id, (0, 0, 0)), base[1].get(class_id, (0, 0, 0)), strict=True)
    return max((abs(a - b) for a, b in pairs), default=0)


def record_differences(before: Run, now: Run) -> dict[str, list[str]]:
    """Return what differs in two records, by topic (`TOPICS`): "packages.torch: 2.4.0, now 2.5.1"."""
    first, second = dict(_leaves(before)), dict(_leaves(now))
    found: dict[str, list[str]] = {topic: [] for topic in TOPICS}
    for name in dict.fromkeys([*first, *second]):
        stored, new = first.get(name), second.get(name)
        if stored != new:
            found[_topic(name.split("."))].append(f"{name.removeprefix('environment.')}: {stored}, now {new}")
    return found


def changed_images(before: Sequence[Row], now: Sequence[Row], kind: Kind) -> list[str]:
    """Return the names of images whose photos or masks differ."""
    first, second = dict(digests_of(before, kind)), dict(digests_of(now, kind))
    return sorted(name for name in first.keys() & second.keys() if first[name] != second[name])


def _topic(parts: Sequence[str]) -> str:
    words = [part.partition("[")[0] for part in parts]
    if "weights" in words:
        return "weights"
    if words[0] == "protocol":
        return "protocol"
    if any(word in _DATA for word in words):
        return "data"
    return "versions" if any(word in _VERSIONS for word in words) else "other"


def _leaves(run: Run) -> Iterator[tuple[str, object]]:
    """Yield the fields of a record by their dotted names; of the starts the last alone."""
    for field in fields(run):
        if field.name in _IGNORED or field.name == "starts":
            continue
        yield from _leaves_of(getattr(run, field.name), field.name)
    if run.starts:
        yield "fssbench", run.starts[-1].fssbench
        yield from _leaves_of(run.starts[-1].environment, "environment")


def _leaves_of(value: object, name: str) -> Iterator[tuple[str, object]]:
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            if field.name not in _IGNORED:
                yield from _leaves_of(getattr(value, field.name), f"{name}.{field.name}")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves_of(inner, f"{name}.{key}")
    elif isinstance(value, tuple) and any(map(is_dataclass, value)):
        for place, inner in enumerate(value):
            yield from _leaves_of(inner, f"{name}[{getattr(inner, 'fold', place)}]")
    else:
        yield name, value
