"""Counting the pixels of predicted label maps against the ground truth. This needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from fssbench.datasets.dataset import Label
from fssbench.episode import EpisodeList
from fssbench.episode.absent import claim_fault
from fssbench.episode.episode import holds_none
from fssbench.errors import BrokenFileError, UsageError
from fssbench.label_values import IGNORE
from fssbench.protocols.label_maps import counted_label, input_label
from fssbench.protocols.rules import Protocol
from fssbench.results.rows import Row

if TYPE_CHECKING:
    from fssbench.methods.base.method import Prediction

BaseCounts = tuple[tuple[int, int, int, int], ...]
"""As in `fssbench.results.Row.base`."""

LabelMap = npt.NDArray[np.uint8]
"""A predicted label map: uint8 (H, W)."""


@dataclass(frozen=True)
class Counts:
    """Numbers of pixels for each label 0..N: background, then the N classes in the order of the episode.

    Attributes:
        intersection: Pixels with the label in both prediction and ground truth.
        union: Pixels with the label in the prediction or the ground truth.
        truth: Pixels with the label in the ground truth.
        predicted: Pixels with the label in the prediction.
    """

    intersection: tuple[int, ...]
    union: tuple[int, ...]
    truth: tuple[int, ...]
    predicted: tuple[int, ...]

    def of_present(self) -> Counts:
        """Return the counts with union 0 for each label that has no ground-truth pixel."""
        return replace(self, union=tuple(u if t else 0 for u, t in zip(self.union, self.truth, strict=True)))

    def base_rows(self, classes: Sequence[int], first: int = 1) -> BaseCounts:
        """Return `Row.base` for the labels from `first` on, which are the base classes `classes`."""
        counts = zip(classes, self.intersection[first:], self.union[first:], self.truth[first:], strict=True)
        return tuple((class_id, both, either, truth) for class_id, both, either, truth in counts if either)


def count(
    labels: LabelMap,
    label: Label,
    classes: Sequence[int],
    ignore: Literal["leave-out", "background"],
) -> Counts:
    """Count intersection, union and ground truth of a predicted label map.

    The ground truth is n where the query's label map is `classes[n - 1]`, and 0 elsewhere: other classes are
    background.

    Args:
        labels: The prediction: uint8 (H, W), values 0..N.
        label: The query's label map at the size of the prediction: uint8, where 255 is the ignore region, or uint16,
            where 255 is a class like any other.
        classes: The label values of the N classes.
        ignore: Whether the ignore region is left out of all counts (HSNet, fs-s) or counts as background (fs-cs).

    Raises:
        UsageError: If the prediction has another shape than the label map, or values greater than N.
    """
    size = len(classes) + 1
    if labels.shape != label.shape or labels.dtype != np.uint8:
        raise UsageError(f"the method predicted {labels.dtype} {labels.shape}; labels must be uint8 {label.shape}")
    truth = np.zeros(label.shape, dtype=np.int64)
    for n, class_id in enumerate(classes, 1):
        truth[label == class_id] = n
    if ignore == "leave-out" and label.dtype == np.uint8:
        kept = label != IGNORE
        truth, labels = truth[kept], labels[kept]
    if labels.size and int(labels.max()) >= size:
        raise UsageError(f"the method predicted label {int(labels.max())} in a {len(classes)}-way episode")
    confusion = np.bincount((truth * size + labels).ravel(), minlength=size * size).reshape(size, size)
    intersection = confusion.diagonal()
    predicted, true = confusion.sum(axis=0), confusion.sum(axis=1)
    union = predicted + true - intersection
    return Counts(*(tuple(each.tolist()) for each in (intersection, union, true, predicted)))


def label_maps_of(prediction: Prediction, protocol: Protocol) -> tuple[LabelMap, LabelMap | None]:
    """Return the label maps of a prediction that are counted, as `labels` and `base` of `score_labels`.

    Raises:
        UsageError: If the protocol evaluates novel and base classes together, and the method predicts no base classes.
    """
    rule = protocol.base
    labels: LabelMap = prediction.labels.cpu().numpy()
    base: LabelMap | None = None if rule is None or prediction.base is None else prediction.base.cpu().numpy()
    if rule is None or rule.asked == "apart":
        return labels, base
    if base is None:
        raise UsageError(
            f"protocol {protocol.name} evaluates base classes too, and the method predicts none", "--method bam"
        )
    # Quirk: a softmax over values that are sums of probabilities already.
    novel = (prediction.logits.softmax(dim=0)[1] > rule.threshold).cpu().numpy()
    return merge_base(novel, base, rule.merge), None


def score_labels(
    labels: LabelMap,
    base: LabelMap | None,
    label: Label,
    classes: Sequence[int],
    base_classes: Sequence[int],
    protocol: Protocol,
) -> tuple[Counts, BaseCounts | None]:
    """Return the counts of an episode: of background and the N classes (others may follow), and of the base classes.

    Args:
        labels: The prediction: uint8 (H, W), values 0..N. If novel and base classes are predicted together, the value
            1 + b is the b-th base class, b = 1..B.
        base: The prediction of the base classes if they are predicted separately: uint8 (H, W), values 0..B. None if
            there is none.
        label: The query's label map at the size of the prediction.
        classes: The label values of the N classes.
        base_classes: The B base classes of the fold.
        protocol: The rules of counting.

    Raises:
        UsageError: If the prediction does not fit the label map.
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
    """Merge the predictions of novel and base classes: 0, 1 for the novel class, 1 + b for base class b.

    Lang et al., CVPR 2022, Eq. 18 ("final") and Eq. S1 ("base"); chunbolang/BAM@c0f935c, test_GFSS.py.

    Args:
        novel: bool (H, W): where the probability of the novel class is above the threshold.
        base: uint8 (H, W): 0, or b = 1..B.
        first: Which prediction wins where both are foreground: "final" the novel class, "base" the base class.
    """
    base_labels = np.where(base > 0, base + 1, 0)
    if first == "final":
        return np.where(novel, 1, base_labels).astype(np.uint8)
    return np.where(base > 0, base_labels, novel).astype(np.uint8)


def truth_present(label: Label, classes: Sequence[int]) -> tuple[bool, ...]:
    """Return for each class whether it has a pixel in the label map (H, W)."""
    return tuple(bool((label == class_id).any()) for class_id in classes)


@dataclass(frozen=True)
class Truth:
    """The ground truth of a query.

    Attributes:
        label: The label map at the size at which the protocol counts: the input size, or the original size.
        present: For each class of the episode, whether it has a pixel at the original size.
        lost: For each class, whether it has a pixel at the original size, but none in `label`; None if there is no such
            class.
    """

    label: Label
    present: tuple[bool, ...]
    lost: tuple[bool, ...] | None = None

    @classmethod
    def of(cls, label: Label, classes: Sequence[int], protocol: Protocol) -> Truth:
        """Return the ground truth of a query whose label map at the original size is `label` (H, W)."""
        at_size = input_label if protocol.score_at == "input" else counted_label
        counted = at_size(label, protocol.input, protocol.resize)
        present = truth_present(label, classes)
        lost = tuple(was and not left for was, left in zip(present, truth_present(counted, classes), strict=True))
        return cls(counted, present, lost if any(lost) else None)


@dataclass(frozen=True)
class PredictedLabels:
    """The prediction for an episode.

    Attributes:
        labels: Label map, as `score_labels` takes it.
        base: Label map of the base classes, as `score_labels` takes it; None if there is none.
        present: For each class, whether it is predicted to be in the query.
    """

    labels: LabelMap
    base: LabelMap | None
    present: tuple[bool, ...]


def row_of(
    episodes: EpisodeList,
    number: int,
    predicted: PredictedLabels,
    truth: Truth,
    base_classes: Sequence[int],
    protocol: Protocol,
) -> Row:
    """Return the row of one episode of a list; its time is still 0.

    Raises:
        UsageError: If the prediction does not fit the episode.
        BrokenFileError: If the list says that the query holds none of its classes, and its label map does, or the other
            way round.
    """
    episode = episodes[number]
    if episodes.absent is not None and holds_none(episode) == any(truth.present):
        raise BrokenFileError(
            claim_fault(episodes, number), f"fssbench episodes verify LIST --dataset {episodes.dataset}"
        )
    counts, base = score_labels(predicted.labels, predicted.base, truth.label, episode.classes, base_classes, protocol)
    if len(predicted.present) != episode.way:
        raise UsageError(f"the method predicted the presence of {len(predicted.present)} classes, not of {episode.way}")
    return Row(
        episode=number,
        fold=episodes.fold,
        query=episode.query,
        classes=episode.classes,
        supports=episode.supports,
        intersection=counts.intersection[: episode.way + 1],
        union=counts.union[: episode.way + 1],
        present=predicted.present,
        truth=truth.present,
        seconds=0.0,
        base=base,
        lost_query=truth.lost,
        predicted=None if episodes.absent is None else counts.predicted[1 : episode.way + 1],
    )
