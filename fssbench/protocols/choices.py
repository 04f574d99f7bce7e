"""The evaluation choices that make published numbers differ, as typed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar, Literal

from fssbench.errors import UsageError
from fssbench.registry import names_from_elsewhere

ScoreAt = Literal["input", "original"]
ResizeRule = Literal["pillow-bilinear", "pillow", "pillow-and-back", "opencv-pad", "none"]
QueryRim = Literal["hidden", "given"]


@dataclass(frozen=True)
class BaseRule:
    """What is asked of base classes, of a method that knows them (BAM).

    Attributes:
        asked: "apart": what the method says of base classes is counted by itself; "together": novel and base classes
            make one answer (generalised few-shot segmentation), and a method that knows none is refused.
        merge: Together: whose answer stands where both say something, that of the "final" map on the novel class or
            that of the "base" learner.
        threshold: Together: the novel class is where its probability is larger.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    asked: Literal["apart", "together"]
    merge: Literal["final", "base"] = "final"
    threshold: float = 0.9


@dataclass(frozen=True)
class Override:
    """What differs on one data set: fields as in `Protocol`, None where nothing does."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    sampler: str | None = None
    episodes: int | None = None
    split: Literal["train", "val", "test"] | None = None
    input: tuple[int, int] | None = None
    score_sizes: tuple[ScoreAt, ...] | None = None
    seeds: tuple[int, ...] | None = None
    backbone: str | None = None
    way: tuple[int, int] | None = None


@dataclass(frozen=True)
class ProtocolFile:
    """The file of a protocol that is not one of fssbench's.

    Attributes:
        path: As it was named, or where the package has it. The same file elsewhere is the same protocol.
        sha256: Hex hash of its bytes.
        content: All that stands in it, so that a record explains itself where the file is not.
        package: Which package brings it; None for a file that was named.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    path: str = field(compare=False, repr=False)
    sha256: str
    content: str
    package: str | None = None


MAX_SEED = 2**32 - 1

OWN_DATA = "folder"
"""The data set of one's own photos: no release knows it, and each protocol's rules can be asked of it."""


@dataclass(frozen=True)
class Protocol:
    """The evaluation choices that make published numbers differ.

    Attributes:
        name: Name in protocols.toml; with "@original" or "@input" if another `score_at` was chosen.
        title: What it is, in words.
        source: The release whose code decides.
        task: "fss" or "fscs".
        sampler: Which function draws the episodes (`fssbench.episode.samplers`).
        seeds: The seeds the release fixes, one for each of its runs; most have one run.
        episodes: How many episodes a fold is asked in a run.
        split: Side of the data set the images come from; of the training side too the novel classes are asked.
        input: (height, width) fed to the network; (0, 0) where each photo has its own (`resize` is "none").
        resize: How photos are brought to that size (`fssbench.protocols.transforms`).
        score_at: Whether IoU is counted at the input size or at the query's own.
        score_sizes: What `score_at` may be.
        ignore: Whether pixels labelled 255 leave every count or count as background. A data set without such
            pixels (COCO, FSS-1000) counts all of them either way.
        absent: Whether a class, or the background, without a pixel in the label map that is counted on counts
            (the answer's pixels go into the union) or is left out of that episode's counts.
        way: Smallest and largest N.
        other_classes: Whether the pixels that a support has of another class of its episode count as "background" or
            belong to "neither" side of its mask.
        datasets: The data sets it is defined for: those of its release, and those that name it in datasets.toml.
            Every protocol takes `OWN_DATA` and the data sets of other packages too, without overrides.
        overrides: For some of them, what differs there; `on` applies it.
        default_for: The data sets on which it is the default for its task, whatever the method.
        backbone: The backbone that is the default at its input size; None leaves it to the method.
        base: What is asked of base classes; None for nothing.
        query_rim: Whether a method that learns of the query while it predicts is given which pixels of the query's
            label map are 255, so that it leaves them out (`Method.leave_out`). Padding it is given in any case.
        own: The file it was read from, of one that is not in protocols.toml.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    name: str
    title: str
    source: str
    task: Literal["fss", "fscs"]
    sampler: str
    seeds: tuple[int, ...]
    episodes: int
    split: Literal["train", "val", "test"]
    input: tuple[int, int]
    resize: ResizeRule
    score_at: ScoreAt
    score_sizes: tuple[ScoreAt, ...]
    ignore: Literal["leave-out", "background"]
    way: tuple[int, int]
    datasets: tuple[str, ...]
    overrides: Mapping[str, Override] = field(default_factory=dict, hash=False)
    absent: Literal["count", "leave-out"] = "count"
    other_classes: Literal["background", "neither"] = "background"
    default_for: tuple[str, ...] = ()
    backbone: str | None = None
    base: BaseRule | None = None
    query_rim: QueryRim = "hidden"
    own: ProtocolFile | None = None

    @property
    def seed(self) -> int:
        """The seed of the first run."""
        return self.seeds[0]

    def run_seeds(self, seed: int | None = None, runs: int | None = None) -> tuple[int, ...]:
        """Return the seeds of runs: the release's own from its first, or else seed, seed + 1, seed + 2, ...

        Args:
            seed: Of the first run; default the release's.
            runs: How many; default the release's number, or 1 where a seed is given.

        Raises:
            UsageError: If a number is out of range, or the release has fewer seeds of several.
        """
        if seed is not None and not 0 <= seed <= MAX_SEED:
            raise UsageError(f"a seed is a number from 0 to {MAX_SEED}, not {seed}")
        if runs is None:
            return self.seeds if seed is None else (seed,)
        if runs < 1:
            raise UsageError(f"there are 1 or more runs, not {runs}")
        first = self.seed if seed is None else seed
        if first == self.seed and runs <= len(self.seeds):
            return self.seeds[:runs]
        if first == self.seed and len(self.seeds) > 1:
            raise UsageError(
                f"protocol {self.name} has seeds for {len(self.seeds)} runs, not for {runs}",
                f"--seed 1 --runs {runs} asks with the seeds 1 to {runs}",
            )
        if first + runs - 1 > MAX_SEED:
            raise UsageError(f"a seed is a number from 0 to {MAX_SEED}, not {first + runs - 1}")
        return tuple(range(first, first + runs))

    def takes(self, dataset: str) -> bool:
        """Return whether it is defined for that data set; one of another package is asked by every protocol."""
        return dataset in self.datasets or dataset == OWN_DATA or dataset in names_from_elsewhere("dataset")

    def on(self, dataset: str) -> Protocol:
        """Return the protocol as it is on one data set.

        Raises:
            UsageError: If it is not defined for that data set, or cannot count IoU there at the size chosen.
        """
        if not self.takes(dataset):
            raise UsageError(
                f"protocol {self.name} is not defined for {dataset}; it is for {', '.join(self.datasets)}",
                "fssbench list protocols",
            )
        changes = asdict(self.overrides.get(dataset, Override()))
        here = replace(self, overrides={}, **{k: v for k, v in changes.items() if v is not None})
        if dataset == OWN_DATA and here.split == "test":
            here = replace(here, split="val")  # The photos that are asked are its val side, of whatever protocol.
        if here.score_at not in here.score_sizes:
            raise UsageError(
                f"protocol {self.name.partition('@')[0]} counts IoU on {dataset} at the "
                f"{' or '.join(here.score_sizes)} size only, as its release does"
            )
        return here

    def at(self, score_at: ScoreAt) -> Protocol:
        """Return the protocol with IoU counted at another size: "input" or "original".

        HSNet's release has an option for it. The episodes stay the same, the numbers do not: the name says so
        ("hsnet@original"), and `protocol("hsnet@original")` finds it.

        Raises:
            UsageError: If the release has no such option.
        """
        base, chosen, _ = self.name.partition("@")
        if score_at not in self.score_sizes:
            sizes = " or ".join(self.score_sizes)
            raise UsageError(f"protocol {base} counts IoU at the {sizes} size only, not {score_at}")
        if score_at == self.score_at:
            return self
        # There are two sizes: from the other one it is back to the protocol's own.
        return replace(self, name=base if chosen else f"{base}@{score_at}", score_at=score_at)

    def check(self, dataset: str, way: int, shot: int) -> None:
        """Refuse a data set, way or shot that the protocol does not define.

        Raises:
            UsageError: Naming what is allowed.
        """
        self.on(dataset)
        if not self.way[0] <= way <= self.way[1]:
            low, high = self.way
            allowed = f"{low}-way episodes" if low == high else f"{low} to {high} ways"
            raise UsageError(f"protocol {self.name} is defined for {allowed}, not {way} ways")
        if shot < 1:
            raise UsageError(f"an episode needs at least one support per class, not {shot}")


def size_in_words(size: tuple[int, int]) -> str:
    """Return the size at which a network sees photos, in words."""
    return f"{size[0]} x {size[1]}" if any(size) else "their own size"
