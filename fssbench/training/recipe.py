"""How one network is trained, as values: what a table of recipes.toml may say. No torch."""

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
    """A number that changes while training: linearly from the first to the last value, then it stays.

    Attributes:
        first: At the first step.
        last: From `over` on.
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
    """How far a training view may differ from the picture; as it stands here, not at all.

    Attributes:
        view: Smallest and largest side of a view, as a part of the picture's.
        turn: Largest turn, degrees.
        mirror: Chance of a mirror image.
        shuffle_colours: Chance that red, green and blue change places.
        tint: Largest gain of a colour less 1, and largest shift in standard deviations.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID

    view: tuple[Factor, Factor] = (1.0, 1.0)
    turn: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0
    mirror: Chance = 0.0
    shuffle_colours: Chance = 0.0
    tint: Chance = 0.0


@dataclass(frozen=True)
class Crops:
    """Random crops of the picture in its own pixels, as PFENet and those after it make them.

    In this order: scaled, turned, blurred, mirrored, padded to the size of the view where too small, cropped to it.
    What lies outside the picture has the label 255.

    Attributes:
        scale: Smallest and largest factor of both sides.
        turn: Largest turn, degrees.
        turned: Chance of a turn.
        blurred: Chance of a Gaussian blur.
        blur: Side of the blur's kernel.
        mirror: Chance of a mirror image.
        kept: Least part of the asked class's pixels that a crop keeps; another crop is tried else.
        tries: How many crops are made at most; the releases make one and, where it keeps too little, up to 31 more.
        upside_down: Chance that the picture is upside down.
        outside: What is added to a picture that is too small: the "mean" colour of ImageNet, on all sides alike, or
            "black", on the right and below.
        whole: Whether, in place of padding and cropping, the whole picture is brought to the view by the rule
            "opencv-pad" of `fssbench.protocols.transforms`.
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
    outside: Literal["mean", "black"] = "mean"
    whole: bool = False


@dataclass(frozen=True)
class Optimiser:
    """What moves the parameters.

    Attributes:
        learning_rate: The largest learning rate.
        schedule: "constant"; "cosine": a linear rise over the first tenth of the steps, then half a cosine to 0;
            "half-cosine": half a cosine from the first step, to `floor`; "poly": (1 - step / steps) ** power; "drops":
            a factor at each of `milestones`.
        weight_decay: Added to the gradient (adam, sgd) or decoupled from it (adamw).
        kind: Adam, AdamW, or stochastic gradient descent with momentum.
        momentum: Of sgd.
        power: Of poly.
        milestones: Steps after which drops multiplies the learning rate by `drop`.
        drop: That factor.
        nesterov: Whether the momentum of sgd is Nesterov's.
        floor: Of half-cosine.
        rates: Beginnings of parameter names with the factor of their learning rate, e.g. { "learner." = 10.0 }; the
            longest that fits decides, other parameters have the factor 1.
        bias_rate: Factor of the learning rate of biases, besides `rates`.
        bias_decay: Factor of the weight decay of biases.
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


@dataclass(frozen=True)
class Validation:
    """What is looked at while training.

    Attributes:
        every: Steps from one validation to the next, or "epoch", "2 epochs", ...
        halfway: Whether there is another one half-way to the next, the first time after the first interval.
        episodes: How many episodes, at most.
        rounds: How often the fold's list of query images is gone through, at most; no bound if left out.
        classes: "base": episodes of base classes in pictures that hold no other class and are not trained on;
            "novel": the fold's own, as the releases do, whose choice of weights has therefore seen novel labels.
        choose: Whether the weights of the best validation or the last ones are the result.
        measure: What is best: "miou", or in FS-CS "exact_ratio".
        split: Side of the data set that is asked.
        seed: Seed of the episodes, the same at every validation.
        protocol: The rules of counting; default the method's own, or the data set's.
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
        name: "method/dataset", e.g. "hsnet/pascal5i"; "small/dataset" for the backbone. A form or a stage of the
            method can have its own: "asnet.fscs/pascal5i", weakly supervised "asnet.fscs-weak/pascal5i",
            "bam:base/pascal5i", "bam.NAME:base/pascal5i".
        source: Where the numbers come from.
        batch: Episodes per step.
        picture: (height, width) pictures are brought to; they are kept in memory at this size. Random `crops` are cut
            from the pictures as they are.
        view: (height, width) fed to the network, cut from the picture.
        steps: Steps; or `epochs`.
        epochs: How often the fold's training pictures are gone through, by number.
        epoch: Episodes in an epoch; default as many as the fold has training pictures.
        way, shot: N and K of the training episodes; K is 0 in a stage that learns from single pictures.
        kept: How many pictures are kept in memory.
        lists: Which pictures a class is learnt from: the "data set's" own lists; of these the pictures of the
            "data set's, base alone", which hold no pixel of a novel class, as PMMs lists them; those in which the class
            has "2048 pixels" at the original size, as PFENet and those after it list them; of these "2048 pixels, base
            alone", as BAM lists them. "2048 pixels, images alike", for single images: each image that has so much of
            any base class, once, as RePRI trains. "every image", for single images: all training images alike, those
            without a base class too, and crops keep the first base class, as BAM's base learner.
        rim: Whether pixels labelled 255 leave the loss or are background.
        other_classes: Whether pixels of novel classes are background to a stage that names base classes, or leave its
            loss.
        foreground_weight: How much a foreground pixel counts in the loss; a background pixel counts 1.
        query_weight: FS-CS: the weight of the query's own class in the draw of the N classes, below 1; the others share
            the rest. Default a half, as iFSL trains.
        stored: Precision of the weights that are written.
        backbone: Name of the backbone; empty where a backbone is what is trained.
        options: What `fssbench.build` is given besides, e.g. `channels`, and besides what methods.toml says of the
            data set.
        frozen: Beginnings of the names of parameters that are not moved, besides those that the method freezes.
        batch_norm: "method": in the mode in which the method's training mode puts it; "frozen": batch norms whose
            parameters are frozen keep their statistics; "moving": every batch norm sees the batch.
        optimiser: What moves the parameters.
        augmentation: How views differ from pictures.
        augmented: Which pictures of an episode differ so: "every picture", or "supports" while the query is whole.
        crops: Random crops instead.
        validation: What is looked at meanwhile; nothing if left out.
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
            raise ValueError("a recipe says either steps or epochs")
        if self.crops is not None and self.augmentation != Augmentation():
            raise ValueError("a recipe has either an augmentation or crops")
        if self.crops is not None and self.augmented == "supports":
            raise ValueError('augmented = "supports" is for an augmentation, not for crops')
        if self.lists in ("every image", "2048 pixels, images alike") and self.shot:
            raise ValueError(f'lists = "{self.lists}" is for single images, shot = 0')
        if not all(value < 1.0 for value in (at(self.query_weight, 0.0), at(self.query_weight, 1.0))):
            raise ValueError("query_weight is below 1")
        return self

    def progress(self, step: int) -> float:
        """Return the part of the steps that are done before a step, 0-based."""
        return step / (self.steps or 1)


def at(value: float | Ramp, progress: float) -> float:
    """Return a number after the part `progress` of the steps."""
    return value.at(progress) if isinstance(value, Ramp) else value
