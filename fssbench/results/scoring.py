"""Counting: an answer against the truth, in pixels. Torch is not needed for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from fssbench.datasets.dataset import Label
from fssbench.datasets.io.images import IGNORE
from fssbench.episode import EpisodeList
from fssbench.errors import UsageError
from fssbench.protocols.rules import Protocol
from fssbench.protocols.transforms import input_label
from fssbench.results.rows import Row

if TYPE_CHECKING:
    from fssbench.methods.base.method import Prediction

BaseCounts = tuple[tuple[int, int, int, int], ...]
"""As in `fssbench.results.Row.base`."""

LabelMap = npt.NDArray[np.uint8]
"""A label map as a method answers it: uint8 (H, W)."""


@dataclass(frozen=True)
class Counts:
    """Pixels per label 0..N: of background, then of each of the N classes in the order asked.

    Attributes:
        intersection: Pixels on which answer and truth agree.
        union: Pixels that answer or truth give the label.
        truth: Pixels that the truth gives it.
    """

    intersection: tuple[int, ...]
    union: tuple[int, ...]
    truth: tuple[int, ...]

    def of_present(self) -> Counts:
        """Return the counts with 0 for each label of which the truth has no pixel."""
        return Counts(
            self.intersection, tuple(u if t else 0 for u, t in zip(self.union, self.truth, strict=True)), self.truth
        )

    def base_rows(self, classes: Sequence[int], first: int = 1) -> BaseCounts:
        """Return `Row.base` of the labels from `first` on, which are those of base classes `classes`."""
        counts = zip(self.intersection[first:], self.union[first:], self.truth[first:], strict=True)
        return tuple((c, *its) for c, its in zip(classes, counts, strict=True) if its[1])


def count(
    answer: npt.NDArray[np.uint8],
    label: Label,
    classes: Sequence[int],
    ignore: Literal["leave-out", "background"],
) -> Counts:
    """Count where an answer and the truth agree.

    Truth is n where the label map is `classes[n - 1]` and 0 elsewhere; other classes are background.

    Args:
        answer: uint8 (H, W), values 0..N.
        label: The query's label map at the size of the answer: uint8, where 255 is a pixel to ignore, or uint16,
            where it is a class like any other.
        classes: The N label values asked for.
        ignore: Whether pixels to ignore leave every count (HSNet, fs-s) or count as background (fs-cs).

    Raises:
        UsageError: If the answer has another shape than the label map, or values beyond N.
    """
    labels = len(classes) + 1
    if answer.shape != label.shape or answer.dtype != np.uint8:
        raise UsageError(f"the method answered with {answer.dtype} {answer.shape}; labels are uint8 {label.shape} here")
    truth = np.zeros(label.shape, dtype=np.int64)
    for n, class_id in enumerate(classes, 1):
        truth[label == class_id] = n
    if ignore == "leave-out" and label.dtype == np.uint8:
        kept = label != IGNORE
        truth, answer = truth[kept], answer[kept]
    if answer.size and int(answer.max()) >= labels:
        raise UsageError(f"the method answered with label {int(answer.max())} in a {len(classes)}-way episode")
    pairs = np.bincount((truth * labels + answer).ravel(), minlength=labels * labels).reshape(labels, labels)
    intersection = pairs.diagonal()
    union = pairs.sum(axis=0) + pairs.sum(axis=1) - intersection
    return Counts(tuple(intersection.tolist()), tuple(union.tolist()), tuple(pairs.sum(axis=1).tolist()))


def label_maps_of(prediction: Prediction, protocol: Protocol) -> tuple[LabelMap, LabelMap | None]:
    """Return the label maps of a prediction that are counted: as `labels` and `base` of `score_labels`.

    Raises:
        UsageError: If base classes are asked together with the novel one, and the method knows none.
    """
    rule = protocol.base
    labels: LabelMap = prediction.labels.cpu().numpy()
    said: LabelMap | None = None if rule is None or prediction.base is None else prediction.base.cpu().numpy()
    if rule is None or rule.asked == "apart":
        return labels, said
    if said is None:
        raise UsageError(
            f"protocol {protocol.name} asks for base classes too, and the method knows none", "--method bam"
        )
    # Quirk: a softmax over what are sums of probabilities already.
    novel = (prediction.logits.softmax(dim=0)[1] > rule.threshold).cpu().numpy()
    return merge_base(novel, said, rule.merge), None


def score_labels(
    labels: LabelMap,
    base: LabelMap | None,
    label: Label,
    classes: Sequence[int],
    base_classes: Sequence[int],
    protocol: Protocol,
) -> tuple[Counts, BaseCounts | None]:
    """Return the counts of an episode: of background and the N classes (others may follow), and of base classes.

    Args:
        labels: uint8 (H, W), values 0..N; where base classes are asked together with the novel one, 1 + b is the b-th
            base class, b = 1..B.
        base: uint8 (H, W), values 0..B, where base classes are asked apart; None if nothing was said of them.
        label: The query's label map at their size.
        classes: The N label values asked for.
        base_classes: The fold's, B of them.
        protocol: The rules of counting.

    Raises:
        UsageError: If the answer does not fit the label map.
    """
    if protocol.base is not None and protocol.base.asked == "together":
        counts = count(labels, label, (*classes, *base_classes), protocol.ignore)
        return counts, counts.base_rows(base_classes, len(classes) + 1)
    counts = count(labels, label, classes, protocol.ignore)
    if base is not None:
        return counts, count(base, label, base_classes, protocol.ignore).base_rows(base_classes)
    return counts.of_present() if protocol.absent == "leave-out" else counts, None


def merge_base(
    novel: npt.NDArray[np.bool_], base: npt.NDArray[np.uint8], first: Literal["final", "base"]
) -> npt.NDArray[np.uint8]:
    """Return one answer of novel and base classes: 0, 1 for the novel class, 1 + b for base class b.

    Lang et al., CVPR 2022, Eq. 18 ("final") and Eq. S1 ("base"); chunbolang/BAM@c0f935c, test_GFSS.py.

    Args:
        novel: bool (H, W): where the novel class is sure enough.
        base: uint8 (H, W): 0, or b = 1..B.
        first: Whose answer stands where both say something: "final" the novel class, "base" the base class.
    """
    base_labels = np.where(base > 0, base + 1, 0)
    if first == "final":
        return np.where(novel, 1, base_labels).astype(np.uint8)
    return np.where(base > 0, base_labels, novel).astype(np.uint8)


def truth_present(label: Label, classes: Sequence[int]) -> tuple[bool, ...]:
    """Return for each class whether any pixel of the label map (H, W), at its original size, is of it."""
    return tuple(bool((label == class_id).any()) for class_id in classes)


@dataclass(frozen=True)
class Truth:
    """What is true of a query.

    Attributes:
        label: Its label map at the size at which the protocol counts: the network's input, or its own.
        present: For each class asked whether it is there at the original size.
        lost: For each of them whether it is there, but not at the size of `label`; None where none is.
    """

    label: Label
    present: tuple[bool, ...]
    lost: tuple[bool, ...] | None = None

    @classmethod
    def of(cls, label: Label, classes: Sequence[int], protocol: Protocol) -> Truth:
        """Return what is true of a query with this label map (H, W) at its original size."""
        counted = input_label(label, protocol.input, protocol.resize) if protocol.score_at == "input" else label
        present = truth_present(label, classes)
        lost = tuple(was and not left for was, left in zip(present, truth_present(counted, classes), strict=True))
        return cls(counted, present, lost if any(lost) else None)


@dataclass(frozen=True)
class PredictedLabels:
    """What was answered to an episode: label maps as `score_labels` takes them, and for each class if it is there."""

    labels: LabelMap
    base: LabelMap | None
    present: tuple[bool, ...]


def row_of(
    episodes: EpisodeList,
    number: int,
    answered: PredictedLabels,
    truth: Truth,
    base_classes: Sequence[int],
    protocol: Protocol,
) -> Row:
    """Return the row of one episode of a list, its time still 0.

    Raises:
        UsageError: If the answer does not fit the question.
    """
    episode = episodes[number]
    counts, base = score_labels(answered.labels, answered.base, truth.label, episode.classes, base_classes, protocol)
    if len(answered.present) != episode.way:
        raise UsageError(
            f"the method said of {len(answered.present)} classes whether they are there, not of {episode.way}"
        )
    return Row(
        episode=number,
        fold=episodes.fold,
        query=episode.query,
        classes=episode.classes,
        supports=episode.supports,
        intersection=counts.intersection[: episode.way + 1],
        union=counts.union[: episode.way + 1],
        present=answered.present,
        truth=truth.present,
        seconds=0.0,
        base=base,
        lost_query=truth.lost,
    )
