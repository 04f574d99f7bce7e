"""What differs between two runs, choice by choice, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fssbench.protocols.choices import IGNORING, RESIZING, size_in_words
from fssbench.results.arguments import method_argument

if TYPE_CHECKING:
    import pandas as pd

    from fssbench.results import Results, Run
    from fssbench.results.record import FoldRecord, ProtocolRecord

Key = Literal[
    "episodes",
    "data",
    "photos",
    "input",
    "scored",
    "ignore",
    "absent",
    "rim",
    "base",
    "shots",
    "method",
    "backbone",
    "weights",
    "precision",
    "form",
    "versions",
]

TITLES: dict[Key, str] = {
    "episodes": "episodes",
    "data": "labels and lists of the data",
    "photos": "photos",
    "input": "input size",
    "scored": "scoring size",
    "ignore": "pixels labelled 255",
    "absent": "classes without a pixel",
    "rim": "what the method knows of the query's 255",
    "base": "base classes",
    "shots": "rule for K shots",
    "method": "method",
    "backbone": "backbone",
    "weights": "weights",
    "precision": "precision",
    "form": "form of the method",
    "versions": "versions",
}
"""The choices in the order in which they are shown."""

COUNTING: tuple[Key, ...] = ("scored", "ignore", "absent")
"""The choices that saved predictions can be counted by again."""

EpisodeKey = tuple[object, ...]


@dataclass(frozen=True)
class Cause:
    """A choice in which two runs differ.

    Attributes:
        key: Which choice.
        a: The first run's choice, in words.
        b: The second's.
        note: What else belongs to it; empty if nothing.
    """

    key: Key
    a: str
    b: str
    note: str = ""

    @property
    def title(self) -> str:
        """Its name."""
        return TITLES[self.key]


def causes_of(a: Results, b: Results, a_frame: pd.DataFrame, b_frame: pd.DataFrame) -> list[Cause]:
    """Return what differs between two runs of one data set, in the order of `TITLES`.

    Args:
        a: The first run.
        b: The second.
        a_frame: The rows of the first that are looked at.
        b_frame: Those of the second.
    """
    found = [*_episodes(a, b, a_frame, b_frame), *_data(a.run, b.run), *_photos(a_frame, b_frame)]
    found += [*_rules(a.run.protocol, b.run.protocol), *_network(a.run, b.run), *_computing(a.run, b.run)]
    places = list(TITLES)
    return sorted(found, key=lambda one: places.index(one.key))


def keys_of(frame: pd.DataFrame) -> list[EpisodeKey]:
    """Return what each row's episode is, whatever its number and list."""
    return list(zip(frame["fold"], frame["query"], frame["classes"], frame["supports"], strict=True))


def same_episodes(a_frame: pd.DataFrame, b_frame: pd.DataFrame) -> bool:
    """Return whether two frames have rows of the same episodes, in any order."""
    return Counter(keys_of(a_frame)) == Counter(keys_of(b_frame))


def _episodes(a: Results, b: Results, a_frame: pd.DataFrame, b_frame: pd.DataFrame) -> Iterator[Cause]:
    if same_episodes(a_frame, b_frame):
        return
    setting = [f"{one.run.way}-way {one.run.shot}-shot " for one in (a, b)]
    shown = setting if setting[0] != setting[1] else ["", ""]
    words = [
        f"{first}{len(frame):,} drawn by {fold.drawn_by}, seed {fold.seed}{_part(one.run, fold)}, list {_short(fold)}"
        for first, one, frame in zip(shown, (a, b), (a_frame, b_frame), strict=True)
        for fold in one.run.folds[:1]
    ]
    yield Cause("episodes", words[0], words[1])


def _part(run: Run, fold: FoldRecord) -> str:
    return f", the first {run.limit} of {fold.episodes}" if run.limit and run.limit < fold.episodes else ""


def _short(fold: FoldRecord) -> str:
    return fold.episodes_hash[:12]


def _data(a: Run, b: Run) -> Iterator[Cause]:
    if dict(a.dataset.options) != dict(b.dataset.options):
        yield Cause("data", _options(a.dataset.options), _options(b.dataset.options))
    elif a.dataset.fingerprint != b.dataset.fingerprint and a.split == b.split:
        yield Cause("data", f"fingerprint {a.dataset.fingerprint[:12]}", f"fingerprint {b.dataset.fingerprint[:12]}")


def _options(options: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(options.items())) or "no options"


def _photos(a_frame: pd.DataFrame, b_frame: pd.DataFrame) -> Iterator[Cause]:
    known = [dict(_digests(frame)) for frame in (a_frame, b_frame)]
    changed = sorted(name for name in known[0].keys() & known[1].keys() if known[0][name] != known[1][name])
    if changed:
        yield Cause(
            "photos",
            f"{len(changed)} files, the first {changed[0]}",
            "other files under the same names",
            "as read then",
        )


def _digests(frame: pd.DataFrame) -> Iterator[tuple[str, str]]:
    from fssbench.results.photos import photo_names

    if "photos" not in frame.columns:
        return
    for query, supports, digests in zip(frame["query"], frame["supports"], frame["photos"], strict=True):
        if isinstance(digests, tuple):
            yield from zip(photo_names(query, supports), digests, strict=False)


def _rules(a: ProtocolRecord, b: ProtocolRecord) -> Iterator[Cause]:
    if (a.input, a.resize) != (b.input, b.resize):
        both = a.score_at == b.score_at == "input"
        yield Cause("input", _input(a), _input(b), "pixels are counted at this size, too" if both else "")
    if a.score_at != b.score_at:
        yield Cause("scored", _scored(a), _scored(b))
    if a.ignore != b.ignore:
        yield Cause("ignore", IGNORING[a.ignore], IGNORING[b.ignore])
    if a.absent != b.absent:
        yield Cause("absent", _absent(a), _absent(b))
    if a.query_rim != b.query_rim:
        yield Cause("rim", a.query_rim, b.query_rim)
    if a.base != b.base:
        yield Cause("base", _base(a), _base(b))


def _input(rules: ProtocolRecord) -> str:
    return f"{size_in_words(rules.input)}, {_resizing(rules.resize)}"


def _resizing(rule: str) -> str:
    words: dict[str, str] = dict(RESIZING.items())
    return f"{rule} ({words[rule].partition(':')[0]})" if rule in words else rule


def _scored(rules: ProtocolRecord) -> str:
    return f"the input's, {size_in_words(rules.input)}" if rules.score_at == "input" else "the photo's own"


def _absent(rules: ProtocolRecord) -> str:
    return "left out of the counts" if rules.absent == "leave-out" else "predicted pixels count"


def _base(rules: ProtocolRecord) -> str:
    return "not evaluated" if rules.base is None else f"{rules.base.asked}, {rules.base.merge}, {rules.base.threshold}"


def _network(a: Run, b: Run) -> Iterator[Cause]:
    weights = [{fold.fold: _weights(fold) for fold in run.folds} for run in (a, b)]
    common = weights[0].keys() & weights[1].keys()
    same_weights = all(weights[0][fold] == weights[1][fold] for fold in common)
    names = [_method(run) for run in (a, b)]
    fold = min(common, default=0)
    shown = [f"{one.get(fold, '')}" for one in weights]
    if names[0] != names[1]:
        yield Cause("method", names[0], names[1], "with the same weights" if same_weights else "each with its weights")
    elif a.method.backbone != b.method.backbone:
        yield Cause("backbone", str(a.method.backbone), str(b.method.backbone), "each with its weights")
    elif not same_weights:
        yield Cause("weights", shown[0], shown[1], f"of fold {fold}" if len(common) > 1 else "")


def _method(run: Run) -> str:
    method = run.method
    words = [method_argument(method), method.variant or ""]
    words += [f"{name}={value}" for name, value in sorted(method.options.items())]
    if method.code is not None and method.code.sha256:
        words.append(f"code {method.code.sha256[:12]}")
    return " ".join(word for word in words if word)


def _weights(fold: FoldRecord) -> str:
    weights = fold.weights
    if weights.kind == "random":
        return f"random, seed {weights.seed or 0}"
    if weights.kind == "none":
        return "none"
    backbone = f", backbone {weights.backbone_sha256[:12]}" if weights.backbone_sha256 else ""
    return f"{weights.kind} {(weights.sha256 or '')[:12]}{backbone}"


def _computing(a: Run, b: Run) -> Iterator[Cause]:
    if a.precision != b.precision:
        yield Cause("precision", a.precision, b.precision)
    if a.plain != b.plain:
        yield Cause("form", *("plain" if run.plain else "fast" for run in (a, b)))
    first, second = surroundings(a), surroundings(b)
    if changed := [name for name in first if first[name] != second.get(name)]:
        yield Cause("versions", *(", ".join(f"{name} {one[name]}" for name in changed) for one in (first, second)))


def surroundings(run: Run) -> dict[str, str]:
    """Return the versions and the machine of the last start of a run; empty if it has none."""
    if not run.starts:
        return {}
    last = run.starts[-1]
    machine = last.environment
    return {
        "fssbench": last.fssbench,
        "python": machine.python,
        **dict(machine.packages),
        "device": machine.device.partition(":")[0],
        "processor": machine.device_name,
        "platform": machine.platform,
    }
