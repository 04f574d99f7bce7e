"""The recipe of a training: the values that a table of recipes.toml may have. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

_FORBID: dict[str, str] = {"extra": "forbid"}

Chance = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
Factor = Annotated[float, Field(gt=0.0, le=4.0)]
Side = Annotated[int, Field(ge=32, le=4096)]
TrainingLists = Literal[
    "data set's",
    "data set's, base alone",
    "2048 pixels",
    "2048 pixels, base alone",
    "2048 pixels, images alike",
    "every image",
]
Weight = Annotated[float, Field(gt=0.0, le=100.0)]
Option = bool | int | float | str | tuple[int | float, ...]
Interval = Count | Annotated[str, Field(pattern="^(epoch|[1-9][0-9]{0,3} epochs)$")]


@dataclass(frozen=True)
class Ramp:
    """A number that changes during training: linearly from the first value to the last, then it stays.

    Attributes:
        first: Value at the first step.
        last: Value from `over` on.
        over: The part of the steps in which it changes.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID

    first: Weight
    last: Weight
    over: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0

    def at(self, progress: float) -> float:
        """Return the value after the part `progress` of the steps."""
        return self.first + (self.last - self.first) * min(1.0, progress / self.over)


@dataclass(frozen=True)
class Augmentation:
    """How far a training view may differ from the image; the defaults change nothing.

    Attributes:
        view: Smallest and largest side of a view, relative to the side of the image.
        turn: Largest rotation in degrees.
        mirror: Probability of a horizontal flip.
        shuffle_colours: Probability of a random order of the colour channels.
        tint: Largest deviation of a channel's gain from 1, and largest shift in standard deviations.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID

    view: tuple[Factor, Factor] = (1.0, 1.0)
    turn: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0
    mirror: Chance = 0.0
    shuffle_colours: Chance = 0.0
    tint: Chance = 0.0


@dataclass(frozen=True)
class Crops:
    """Random crops of the image at its own resolution, as PFENet and later methods make them.

    In this order: scaled, rotated, blurred, flipped, padded to the size of the view if too small, cropped to it. Pixels
    outside the image have the label 255, unless it is mirrored.

    Attributes:
        scale: Smallest and largest factor of both sides.
        turn: Largest rotation in degrees.
        turned: Probability of a rotation.
        blurred: Probability of a Gaussian blur.
        blur: Side of the blur's kernel.
        mirror: Probability of a horizontal flip.
        kept: Smallest part of the class's pixels that a crop keeps; otherwise another crop is tried.
        tries: Largest number of crops; the releases make one and, if it keeps too little, up to 31 more.
        upside_down: Probability of a vertical flip.
        outside: What is outside the image: the "mean" colour of ImageNet, on all sides; "black", on the right and
            below; or the image "mirrored" at its edges, labels included, on all sides.
        whole: Whether the whole image is resized to the view by the rule "opencv-pad" of
            `fssbench.protocols.transforms`, in place of padding and cropping.
        squashed: Whether the whole image is resized to the view by the rule "opencv", without keeping the aspect ratio.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID

    scale: tuple[Factor, Factor] = (1.0, 1.0)
    turn: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0
    turned: Chance = 0.5
    blurred: Chance = 0.0
    blur: Literal[3, 5, 7, 9, 11] = 5
    mirror: Chance = 0.5
    kept: Chance = 0.0
    tries: Annotated[int, Field(ge=1, le=1000)] = 32
    upside_down: Chance = 0.0
    outside: Literal["mean", "black", "mirrored"] = "mean"
    whole: bool = False
    squashed: bool = False


@dataclass(frozen=True)
class Apart:
    """Parameters that AdamW trains at a constant rate, while the recipe's optimiser trains all others.

    Attributes:
        prefix: With what their names begin.
        learning_rate: Their learning rate.
        weight_decay: Decoupled from the gradient.
        bias_decay: Factor of the weight decay of biases.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID

    prefix: Annotated[str, Field(min_length=1)]
    learning_rate: Annotated[float, Field(gt=0.0)]
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    bias_decay: Annotated[float, Field(ge=0.0)] = 1.0


@dataclass(frozen=True)
class Optimiser:
    """The optimiser and its learning rate.

    Attributes:
        learning_rate: The largest learning rate.
        schedule: "constant"; "cosine": a linear rise over the first tenth of the steps, then half a cosine to 0;
            "half-cosine": half a cosine from the first step, to `floor`; "poly": (1 - step / steps) ** power; "drops":
            a factor at each of `milestones`.
        weight_decay: Added to the gradient (adam, sgd) or decoupled from it (adamw).
        kind: Adam, AdamW, or stochastic gradient descent with momentum.
        momentum: Momentum of sgd.
        power: Exponent of poly.
        milestones: Steps after which "drops" multiplies the learning rate by `drop`.
        drop: That factor.
        nesterov: Whether the momentum of sgd is Nesterov's.
        floor: Last learning rate of "half-cosine".
        rates: Prefixes of parameter names, with the factor of their learning rate, e.g. { "learner." = 10.0 }. The
            longest matching prefix decides; other parameters have the factor 1.
        bias_rate: Factor of the learning rate of biases, besides `rates`.
        bias_decay: Factor of the weight decay of biases.
        apart: Parameters that another optimiser trains; none if left out.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID

    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-3
    schedule: Literal["constant", "cosine", "half-cosine", "poly", "drops"] = "constant"
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    kind: Literal["adam", "adamw", "sgd"] = "adam"
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    power: Annotated[float, Field(gt=0.0)] = 0.9
    milestones: tuple[Count, ...] = ()
    drop: Chance = 0.1
    nesterov: bool = False
    floor: Annotated[float, Field(ge=0.0)] = 0.0
    rates: Mapping[str, Annotated[float, Field(ge=0.0)]] = field(default_factory=dict, hash=False)
    bias_rate: Annotated[float, Field(ge=0.0)] = 1.0
    bias_decay: Annotated[float, Field(ge=0.0)] = 1.0
    apart: Apart | None = None


@dataclass(frozen=True)
class Validation:
    """Validation during training.

    Attributes:
        every: Steps from one validation to the next, or "epoch", "2 epochs", ...
        halfway: Whether there is another validation half-way to the next one, the first time after the first interval.
        episodes: Largest number of episodes.
        rounds: Largest number of passes over the fold's list of query images; no limit if left out.
        classes: "base": episodes of base classes in images that hold no other class and are not trained on; "novel":
            the fold's own classes, as in the releases, so that the choice of weights has seen novel labels.
        choose: Whether the result is the weights of the best validation or the last ones.
        measure: What the best validation is chosen by: "miou", or in FS-CS "exact_ratio".
        split: Split of the data set.
        seed: Seed of the episodes, the same at every validation.
        protocol: The counting rules; default those of the method, or of the data set.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID

    every: Interval = "epoch"
    halfway: bool = False
    episodes: Count = 100
    rounds: Count | None = None
    classes: Literal["base", "novel"] = "base"
    choose: Literal["best", "last"] = "last"
    measure: Literal["miou", "exact_ratio"] = "miou"
    split: Literal["val", "test"] = "val"
    seed: Annotated[int, Field(ge=0)] = 0
    protocol: str = ""


@dataclass(frozen=True)
class Recipe:
    """How one network is trained on one data set, in one stage.

    Attributes:
        name: "method/dataset", e.g. "hsnet/pascal5i"; "small/dataset" for the backbone. A variant or a stage of the
            method can have its own: "asnet.fscs/pascal5i", weakly supervised "asnet.fscs-weak/pascal5i",
            "bam:base/pascal5i", "bam.NAME:base/pascal5i".
        source: Where the numbers come from.
        batch: Episodes per step.
        picture: (height, width) to which images are resized; they are kept in memory at this size. Random `crops` are
            cut from the original images.
        view: (height, width) of the network's input, cut from the image.
        steps: Number of steps; or `epochs`.
        epochs: How many times as many images as the fold's training images are used.
        epoch: Episodes in an epoch; default the number of the fold's training images.
        way, shot: N and K of the training episodes; K is 0 in a stage that learns from single images.
        kept: How many images are kept in memory.
        lists: Which images a class is learned from: the "data set's" own lists; of these, for "data set's, base alone",
            the images without a pixel of a novel class, as PMMs lists them; images in which it has "2048 pixels" at
            the original size, as PFENet and later methods list them; of these, for "2048 pixels, base alone", the
            images without a pixel of a novel class, as BAM lists them. "2048 pixels, images alike", for single images:
            each image with so many pixels of any base class, once, as RePRI trains. "every image", for single images:
            all training images, also those without a base class, and crops keep the first base class, as BAM's base
            learner.
        rim: Whether pixels labelled 255 are left out of the loss ("leave-out") or are background.
        other_classes: Whether pixels of novel classes are background in a stage that classifies base classes, or are
            left out of its loss.
        foreground_weight: Weight of a foreground pixel in the loss; a background pixel has the weight 1.
        query_weight: FS-CS: the weight of the query's own class in the draw of the N classes, below 1; the other
            classes share the rest. Default a half, as iFSL trains.
        stored: Precision of the written weights.
        backbone: Name of the backbone; empty if a backbone is trained.
        options: Further arguments of `fssbench.build`, e.g. `channels`, besides those that methods.toml has for the
            data set.
        frozen: Prefixes of the names of parameters that are not trained, besides those that the method freezes.
        batch_norm: "method": in the mode that the method's training mode sets; "frozen": batch norms with frozen
            parameters keep their statistics; "moving": every batch norm updates its statistics.
        optimiser: The optimiser.
        augmentation: How views differ from images.
        augmented: Which images of an episode are augmented: "every picture", or only its "supports".
        crops: Random crops instead of an augmentation.
        validation: Validation during training; none if left out.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID

    name: str
    source: str
    batch: Count
    picture: tuple[Side, Side]
    view: tuple[Side, Side]
    steps: Count | None = None
    epochs: Count | None = None
    epoch: Count | None = None
    way: Annotated[int, Field(ge=1, le=20)] = 1
    shot: Annotated[int, Field(ge=0, le=20)] = 1
    kept: Annotated[int, Field(ge=0)] = 0
    lists: TrainingLists = "data set's"
    rim: Literal["leave-out", "background"] = "background"
    other_classes: Literal["leave-out", "background"] = "background"
    foreground_weight: Weight | Ramp = 1.0
    query_weight: Weight | Ramp = 0.5
    stored: Literal["float32", "float16"] = "float32"
    backbone: str = ""
    options: Mapping[str, Option] = field(default_factory=dict, hash=False)
    frozen: tuple[str, ...] = ()
    batch_norm: Literal["method", "frozen", "moving"] = "method"
    optimiser: Optimiser = Optimiser()
    augmentation: Augmentation = Augmentation()
    augmented: Literal["every picture", "supports"] = "every picture"
    crops: Crops | None = None
    validation: Validation | None = None

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("a recipe has either steps or epochs")
        if self.crops is not None and self.augmentation != Augmentation():
            raise ValueError("a recipe has either an augmentation or crops")
        if self.crops is not None and self.crops.whole and self.crops.squashed:
            raise ValueError("whole images are either padded (whole) or squashed")
        if self.crops is not None and self.augmented == "supports":
            raise ValueError('augmented = "supports" is for an augmentation, not for crops')
        if self.lists in ("every image", "2048 pixels, images alike") and self.shot:
            raise ValueError(f'lists = "{self.lists}" is for single images, shot = 0')
        if not all(value < 1.0 for value in (value_at(self.query_weight, 0.0), value_at(self.query_weight, 1.0))):
            raise ValueError("query_weight is below 1")
        return self

    def progress(self, step: int) -> float:
        """Return the part of the steps that is done before a step, 0-based."""
        return step / (self.steps or 1)


def value_at(value: float | Ramp, progress: float) -> float:
    """Return the value of a number or ramp after the part `progress` of the steps."""
    return value.at(progress) if isinstance(value, Ramp) else value
