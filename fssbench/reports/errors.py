"""Kinds of errors, from exact counts of pixels.

A class of an episode has one kind: the first in this order that applies. T is the number of its true pixels, P of the
predicted, H of those in both.

- right: IoU is at least 80 %, or the class is neither there nor predicted.
- not there: T = 0 and P > 0.
- nothing predicted: P = 0.
- everything: P is at least 95 % of the counted pixels, and T less than half of P.
- wrong object: at least half of P lies on other labelled classes.
- outline only: IoU is at least 50 %, and at most a tenth of the wrong pixels is further from the true outline than 2 %
  of the diagonal.
- part missing: T - H is at least P - H.
- too much: P - H is larger.

The row of an episode has H and the union, from which P follows as T is counted on the mask. "wrong object" and "outline
only" need the predicted label map, too; where it is not known, such a case is "part missing" or "too much".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

RIGHT = 80.0
"""IoU in per cent from which a prediction is right."""
_EVERYTHING, _COVERED, _OTHER, _OUTLINE, _FAR = 0.95, 0.5, 0.5, 50.0, 0.1


class Category(StrEnum):
    """The kind of an error."""

    RIGHT = "right"
    OUTLINE = "outline only"
    MISSING = "part missing"
    NOTHING = "nothing predicted"
    TOO_MUCH = "too much"
    EVERYTHING = "everything"
    WRONG = "wrong object"
    NOT_THERE = "not there"


MEANING = {
    Category.RIGHT: "IoU is at least 80 %, or the class is neither there nor predicted",
    Category.OUTLINE: "IoU is at least 50 %, and nine tenths of the wrong pixels lie along the true outline",
    Category.MISSING: "most wrong pixels are missing from the prediction",
    Category.NOTHING: "no pixel is predicted",
    Category.TOO_MUCH: "most wrong pixels are in the prediction and should not be",
    Category.EVERYTHING: "at least 95 % of all pixels are predicted, and the class has less than half of them",
    Category.WRONG: "at least half of the predicted pixels lie on other labelled classes",
    Category.NOT_THERE: "the class is not in the query, and is predicted",
}
"""What each kind means, in a sentence."""


@dataclass(frozen=True)
class Pixels:
    """Counts of one class of one prediction.

    Attributes:
        counted: All counted pixels.
        truth: Pixels of the class.
        predicted: Predicted pixels.
        hit: Pixels in both.
        other: Predicted pixels on other labelled classes; None if the label map is not known.
        far: Wrong pixels that are not along the true outline; None if the label map is not known.
    """

    counted: int
    truth: int
    predicted: int
    hit: int
    other: int | None = None
    far: int | None = None

    @property
    def missed(self) -> int:
        """Pixels of the class that are not predicted."""
        return self.truth - self.hit

    @property
    def extra(self) -> int:
        """Predicted pixels that are not of the class."""
        return self.predicted - self.hit

    @property
    def iou(self) -> float:
        """Intersection over union in per cent; 100 if both are empty."""
        union = self.truth + self.predicted - self.hit
        return 100.0 * self.hit / union if union else 100.0


def category_of(pixels: Pixels) -> Category:
    """Return the kind of error of a class of a prediction."""
    if pixels.iou >= RIGHT:
        return Category.RIGHT
    if not pixels.truth:
        return Category.NOT_THERE
    if not pixels.predicted:
        return Category.NOTHING
    if pixels.predicted >= _EVERYTHING * pixels.counted and pixels.truth < _COVERED * pixels.predicted:
        return Category.EVERYTHING
    if pixels.other is not None and pixels.other >= _OTHER * pixels.predicted:
        return Category.WRONG
    wrong = pixels.missed + pixels.extra
    if pixels.far is not None and pixels.iou >= _OUTLINE and pixels.far <= _FAR * wrong:
        return Category.OUTLINE
    return Category.MISSING if pixels.missed >= pixels.extra else Category.TOO_MUCH
