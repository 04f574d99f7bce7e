"""The choices of an evaluation protocol, as typed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar, Literal

from fssbench.errors import UsageError
from fssbench.registry import names_from_elsewhere

ScoreAt = Literal["input", "original"]
ResizeRule = Literal[
    "pillow-bilinear",
    "pillow-bicubic",
    "pillow",
    "pillow-and-back",
    "opencv",
    "opencv-scaled",
    "opencv-rounded",
    "opencv-pad",
    "opencv-pad-squeezed",
    "none",
]
QueryRim = Literal["hidden", "given"]


@dataclass(frozen=True)
class BaseRule:
    """How base classes are evaluated, for a method that predicts them (BAM).

    Attributes:
        asked: "apart": the predictions of base classes are counted separately. "together": novel and base classes are
            merged into one label map (generalised few-shot segmentation), and a method without base classes is refused.
        merge: For "together": which prediction wins where both are foreground, that of the novel class ("final") or
            that of the "base" learner.
        threshold: For "together": a pixel is of the novel class if its probability is above this.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    asked: Literal["apart", "together"]
    merge: Literal["final", "base"] = "final"
    threshold: float = 0.9


@dataclass(frozen=True)
class Override:
    """The differences of a protocol on one data set: fields as in `Protocol`, None for no difference."""

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
        path: The path as it was named, or the path in the package. The same file elsewhere is the same protocol.
        sha256: Hex hash of the bytes.
        content: The text of the file, so that a record is complete without the file.
        package: The package that provides it; None for a file that was named.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    path: str = field(compare=False, repr=False)
    sha256: str
    content: str
    package: str | None = None


MAX_SEED = 2**32 - 1

OWN_DATA = "folder"
"""The data set for own data: no release knows it, and every protocol can be used on it."""


@dataclass(frozen=True)
class Protocol:
    """The evaluation choices that make published numbers differ.

    Attributes:
        name: Name in protocols.toml, with "@original" or "@input" if another `score_at` was chosen.
        title: Description.
        source: The release that the protocol follows.
        task: "fss" or "fscs".
        sampler: The function that draws the episodes (`fssbench.episode.samplers`).
        seeds: The seeds of the release, one for each of its runs; most releases have one run.
        episodes: Number of episodes per fold and run.
        split: The split that the images come from. Episodes have novel classes also on the training split.
        input: (height, width) of the network's input; (0, 0) if each image keeps its size (`resize` is "none").
        resize: How images are resized to the input size (`fssbench.protocols.transforms`).
        score_at: Whether pixels are counted at the input size or at the original size of the query.
        score_sizes: The possible values of `score_at`.
        ignore: Whether pixels labelled 255 are left out of all counts or count as background. It makes no difference on
            a data set without such pixels (COCO, FSS-1000).
        absent: What happens to a class (or background) without a pixel in the label map that is counted: "count" adds
            its predicted pixels to the union, "leave-out" leaves it out of the counts of the episode.
        way: Smallest and largest N.
        other_classes: Whether the pixels of a support that show another class of its episode count as "background" of
            its mask or as "neither" foreground nor background.
        datasets: The data sets that the protocol is defined for: those of its release, and those that name it in
            datasets.toml. `OWN_DATA` and data sets of other packages can be used with every protocol, without
            overrides.
        overrides: The differences on some data sets; `on` applies them.
        default_for: The data sets on which it is the default for its task, whatever the method.
        backbone: The default backbone; None for the default of the method.
        base: How base classes are evaluated; None if they are not.
        query_rim: Whether a method that fits itself to the query knows the query's ignore region, so that it leaves
            these pixels out (`Method.leave_out`). It always knows the padding.
        caveat: What its release does that numbers here can't show; printed with them. Empty if there is nothing.
        own: The file of a protocol that is not in protocols.toml.
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
    caveat: str = ""
    own: ProtocolFile | None = None

    @property
    def seed(self) -> int:
        """The seed of the first run."""
        return self.seeds[0]

    def run_seeds(self, seed: int | None = None, runs: int | None = None) -> tuple[int, ...]:
        """Return the seeds of the runs: those of the release, or else seed, seed + 1, seed + 2, ...

        Args:
            seed: Seed of the first run; default that of the release.
            runs: Number of runs; default the number of the release, or 1 if `seed` is set.

        Raises:
            UsageError: If a number is out of range, or the release has several seeds, but fewer than `runs`.
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
                f"--seed 1 --runs {runs} uses the seeds 1 to {runs}",
            )
        if first + runs - 1 > MAX_SEED:
            raise UsageError(f"a seed is a number from 0 to {MAX_SEED}, not {first + runs - 1}")
        return tuple(range(first, first + runs))

    def takes(self, dataset: str) -> bool:
        """Return whether the protocol can be used on a data set; data sets of other packages can be used with any."""
        return dataset in self.datasets or dataset == OWN_DATA or dataset in names_from_elsewhere("dataset")

    def on(self, dataset: str) -> Protocol:
        """Return the protocol on one data set, with its overrides applied.

        Raises:
            UsageError: If it is not defined for the data set, or can't count IoU at the chosen size there.
        """
        if not self.takes(dataset):
            raise UsageError(
                f"protocol {self.name} is not defined for {dataset}; it is for {', '.join(self.datasets)}",
                "fssbench list protocols",
            )
        changes = asdict(self.overrides.get(dataset, Override()))
        here = replace(self, overrides={}, **{k: v for k, v in changes.items() if v is not None})
        if dataset == OWN_DATA and here.split == "test":
            here = replace(here, split="val")  # Own data is evaluated on its val split, whatever the protocol.
        if here.score_at not in here.score_sizes:
            raise UsageError(
                f"protocol {self.name.partition('@')[0]} counts IoU on {dataset} at the "
                f"{' or '.join(here.score_sizes)} size only, as its release does"
            )
        return here

    def at(self, score_at: ScoreAt) -> Protocol:
        """Return the protocol with IoU counted at another size: "input" or "original".

        HSNet's release has an option for it. The episodes stay the same, but the numbers change, and so does the name
        ("hsnet@original"); `protocol("hsnet@original")` returns it.

        Raises:
            UsageError: If the release has no such option.
        """
        base, chosen, _ = self.name.partition("@")
        if score_at not in self.score_sizes:
            sizes = " or ".join(self.score_sizes)
            raise UsageError(f"protocol {base} counts IoU at the {sizes} size only, not {score_at}")
        if score_at == self.score_at:
            return self
        # There are only two sizes, so the change from the other one leads back to the default.
        return replace(self, name=base if chosen else f"{base}@{score_at}", score_at=score_at)

    def check(self, dataset: str, way: int, shot: int) -> None:
        """Refuse a data set, way or shot that the protocol does not define.

        Raises:
            UsageError: With what is allowed.
        """
        self.on(dataset)
        if not self.way[0] <= way <= self.way[1]:
            low, high = self.way
            allowed = f"{low}-way episodes" if low == high else f"{low} to {high} ways"
            raise UsageError(f"protocol {self.name} is defined for {allowed}, not {way} ways")
        if shot < 1:
            raise UsageError(f"an episode needs at least one support per class, not {shot}")


RESIZING: dict[ResizeRule, str] = {
    "pillow-bilinear": "squashed: photos by Pillow (bilinear), label maps by torch (nearest)",
    "pillow-bicubic": "squashed: photos by Pillow (bicubic), label maps by Pillow",
    "pillow": "squashed by Pillow",
    "pillow-and-back": "squashed by Pillow; a label map goes to the input size and back before pixels are counted",
    "opencv": "squashed by OpenCV",
    "opencv-scaled": "squashed by OpenCV, colours scaled to 0..1 before they are normalised",
    "opencv-rounded": "squashed by OpenCV, colours rounded to whole numbers",
    "opencv-pad": "proportions kept: the longer side becomes the input's, at the top left of a black square",
    "opencv-pad-squeezed": "proportions kept and padded; pixels are counted on the padded square, squeezed to "
    "the photo",
    "none": "not resized",
}
"""What the rules of resizing do, in words."""

IGNORING = {"leave-out": "left out", "background": "background"}
"""What becomes of pixels labelled 255, in words."""


def size_in_words(size: tuple[int, int]) -> str:
    """Return the size at which a network sees photos, in words."""
    return f"{size[0]} x {size[1]}" if any(size) else "their own size"
