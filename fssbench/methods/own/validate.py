"""Checks of the properties that an evaluation relies on. Every method passes them, registered or the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from fssbench.errors import FSSBenchError
from fssbench.methods.base.method import Method, Prediction
from fssbench.methods.building import build
from fssbench.methods.catalogue import method_info

AnyMethod = Method[Any, Any]
SIDE = 192
"""Side of the test images. All backbones and methods accept it."""
WAYS, SHOTS = (1, 2, 5), (1, 5, 10)
SIZES = ((90, 131), (131, 90), (SIDE, SIDE))
"""(height, width) of predictions: odd, and not square."""
_RELATIVE, _ABSOLUTE = 1e-3, 1e-4
"""Allowed differences from another order of sums."""


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        check: The property that was checked.
        variant: The variant of the method; empty if there is only one.
        wrong: The problem and its solution, in one line; empty if the check passed.
    """

    check: str
    variant: str
    wrong: str

    @property
    def passed(self) -> bool:
        """Whether the check passed."""
        return not self.wrong

    @property
    def line(self) -> str:
        """The finding in one line."""
        variant = f" ({self.variant})" if self.variant else ""
        return f"{'ok  ' if self.passed else 'FAIL'} {self.check}{variant}{': ' + self.wrong if self.wrong else ''}"


@dataclass(frozen=True)
class Subject:
    """The method that is checked.

    Attributes:
        name: Of the method.
        variant: One of its variants.
        backbone: Name of the backbone; None if it needs none.
        ways: The numbers of ways that are tried.
        options: Further arguments of `build`.
    """

    name: str
    variant: str
    backbone: str | None
    ways: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def built(self, way: int = 1, shot: int = 1, seed: int = 0) -> AnyMethod:
        """Return the method with random weights of a seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            several = len(method_info(self.name).tasks) > 1
            return build(self.name, self.backbone, self.variant if several else None, way, shot, **self.options)


Episode = tuple[Tensor, Tensor, Tensor]
"""Query (3, H, W), supports (N, K, 3, H, W), masks uint8 (N, K, H, W)."""
Check = Callable[[Subject], str]
"""Returns the problem; empty if there is none."""


def episode(way: int = 1, shot: int = 1, seed: int = 0, side: int = SIDE) -> Episode:
    """Return an episode of random images, with a rectangle for each class."""
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(3, side, side, generator=generator)
    images = torch.randn(way, shot, 3, side, side, generator=generator)
    masks = torch.zeros(way, shot, side, side, dtype=torch.uint8)
    for n in range(way):
        top = 10 + n * side // 8
        masks[n, :, top : top + side // 3, side // 6 : side // 2] = 1
    return query, images, masks


def subjects(name: str, backbone: str | None = None) -> list[Subject]:
    """Return a subject for each variant of a method, with a small backbone if the method has one.

    Raises:
        UsageError: If the method is unknown or can't be imported.
        MissingError: If its file is missing.
    """
    info = method_info(name)
    found = []
    for variant, task in info.tasks.items():
        chosen = backbone or info.small_backbone_for(variant)
        ways = tuple(way for way in WAYS if way <= (info.most_ways(task) or way))
        found.append(Subject(name, variant, chosen, ways, info.tried_with))
    return found


def validate(name: str, backbone: str | None = None) -> list[Finding]:
    """Return the results of all checks for each variant of a method; see `CHECKS`.

    Args:
        name: A registered method, or the user's own as "./my.py:MyNet".
        backbone: Default a small one, if the method has one.

    Raises:
        UsageError: If the method is unknown or can't be imported.
        MissingError: If its file is missing.
    """
    return [finding for subject in subjects(name, backbone) for finding in checked(subject)]


def checked(subject: Subject) -> Iterator[Finding]:
    """Yield the result of each check."""
    for name, check in CHECKS.items():
        yield Finding(name, subject.variant, _run(check, subject))


def _run(check: Check, subject: Subject) -> str:
    try:
        return check(subject)
    except FSSBenchError as error:
        return f"{error.message}; {error.remedy}" if error.remedy else error.message
    except Exception as error:  # any error of a method is a result of the check
        return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _shapes(subject: Subject) -> str:
    for way, shot in [*((way, 1) for way in subject.ways), *((1, shot) for shot in SHOTS[1:])]:
        method = subject.built(way, shot)
        for size in SIZES if (way, shot) == (1, 1) else SIZES[:1]:
            prediction = method.segment(*episode(way, shot), size=size)
            if wrong := _misshapen(prediction, way, size):
                return f"{way}-way {shot}-shot at {size}: {wrong}"
    return ""


def _misshapen(prediction: Prediction, way: int, size: tuple[int, int]) -> str:
    if prediction.logits.shape != (way + 1, *size) or prediction.logits.dtype != torch.float32:
        return f"logits are {prediction.logits.dtype} {tuple(prediction.logits.shape)}, not float32 {(way + 1, *size)}"
    if prediction.labels.shape != size or prediction.labels.dtype != torch.uint8 or int(prediction.labels.max()) > way:
        return f"labels are {prediction.labels.dtype} {tuple(prediction.labels.shape)}, not uint8 {size} of 0 to {way}"
    if prediction.present.shape != (way,) or prediction.present.dtype != torch.bool:
        return f"present is {prediction.present.dtype} {tuple(prediction.present.shape)}, not bool ({way},)"
    if not torch.isfinite(prediction.logits).all():
        return "logits are not finite: look for a division by zero"
    return "logits keep a gradient: detach them" if prediction.logits.requires_grad else ""


def _odd_images(subject: Subject) -> str:
    method = subject.built()
    for side in (SIDE + 1, 97):
        try:
            method.segment(*episode(side=side))
        except FSSBenchError as error:
            # A message about supported sizes is right; an error from torch is not.
            if error.__cause__ is not None:
                return f"images of {side} x {side}: {error.message}"
    return ""


def _deterministic(subject: Subject) -> str:
    method = subject.built()
    first, second = (method.segment(*episode()).logits for _ in range(2))
    return (
        "" if torch.equal(first, second) else "the same episode gives other logits: draw nothing at random in eval mode"
    )


def _forgets(subject: Subject) -> str:
    method = subject.built()
    first = method.segment(*episode()).logits
    method.segment(*episode(seed=1))
    again = method.segment(*episode()).logits
    return "" if torch.equal(first, again) else "earlier episodes change the logits: keep nothing between episodes"


def _batches(subject: Subject) -> str:
    method = subject.built(shot=2)
    _, images, masks = episode(shot=2)
    with torch.inference_mode():
        for what, both, alone in (
            ("encode", method.encode(images[0]), method.encode(images[0, 1:])),
            (
                "condition",
                method.condition(method.encode(images[0]), masks[0]),
                method.condition(method.encode(images[0, 1:]), masks[0, 1:]),
            ),
        ):
            for batched, single in zip(_tensors(both), _tensors(alone), strict=True):
                if len(batched) != 2 or not _close(batched[1:], single):
                    return f"{what} gives other values for an image in a batch: the first axis of tensors is the batch"
    return ""


def _untouched(subject: Subject) -> str:
    method = subject.built()
    query, images, masks = episode()
    before = [one.clone() for one in (query, images, masks)]
    with torch.inference_mode():
        features = method.encode(query[None])
        kept = [one.clone() for one in _tensors(features)]
        support = method.condition(method.encode(images[0]), masks[0])
        held = [one.clone() for one in _tensors(support)]
        method.predict(features, [[support]], (SIDE, SIDE))
        same = [
            (before, [query, images, masks], "its inputs"),
            (kept, list(_tensors(features))[: len(kept)], "the features of the query"),
            (held, list(_tensors(support))[: len(held)], "the conditioned support"),
        ]
    for old, new, what in same:
        if not all(torch.equal(one, other) for one, other in zip(old, new, strict=True)):
            return f"it changes {what}, which other episodes use too: work on a copy"
    return ""


def _masks(subject: Subject) -> str:
    method = subject.built()
    query, images, masks = episode()
    for what, change in _MASKS.items():
        wrong = _misshapen(method.segment(query, images, change(masks)), 1, (SIDE, SIDE))
        if wrong:
            return f"a support mask that is {what}: {wrong}"
    return ""


def _one_pixel(masks: Tensor) -> Tensor:
    alone = torch.zeros_like(masks)
    alone[..., SIDE // 3 + 3, SIDE // 3 + 3] = 1  # between the pixels that remain of a mask at stride 8
    return alone


_MASKS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "empty": torch.zeros_like,
    "whole": torch.ones_like,
    "one pixel": _one_pixel,
    "ignored throughout": lambda masks: torch.full_like(masks, 255),
}


def _precision(subject: Subject) -> str:
    single = subject.built().segment(*episode())
    query, images, masks = episode()
    double = subject.built().double()
    features = double.encode(query[None].double())
    support = double.condition(double.encode(images[0].double()), masks[0])
    prediction = double.predict(features, [[support]], (SIDE, SIDE))
    different = float((prediction.labels != single.labels).float().mean())
    return (
        ""
        if different < 1e-3
        else f"{100 * different:.1f} % of the labels differ in float64: look for sums of large numbers"
    )


def _state_dict(subject: Subject) -> str:
    one, other = subject.built(seed=0), subject.built(seed=1)
    other.load_state_dict(one.state_dict())
    same = torch.equal(one.segment(*episode()).logits, other.segment(*episode()).logits)
    return "" if same else "its state_dict does not restore it: register parameters and buffers"


def _order_of_shots(subject: Subject) -> str:
    method = subject.built(shot=3)
    query, images, masks = episode(shot=3)
    masks[:, 1] = torch.roll(masks[:, 1], 20, dims=-1)
    rotated = [2, 0, 1]
    one = method.segment(query, images, masks).logits
    other = method.segment(query, images[:, rotated], masks[:, rotated]).logits
    if _close(one, other) or getattr(type(method), "order_of_shots_matters", False):
        return ""
    return "the order of the shots changes the logits: average over them, or say order_of_shots_matters = True"


def _close(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=_RELATIVE, atol=_ABSOLUTE)


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from (tensor for item in value.values() for tensor in _tensors(item))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        yield from (tensor for item in value for tensor in _tensors(item))
    elif is_dataclass(value):
        yield from (tensor for field in fields(value) for tensor in _tensors(getattr(value, field.name)))
    elif hasattr(value, "__dict__"):
        yield from (tensor for item in vars(value).values() for tensor in _tensors(item))


CHECKS: Mapping[str, Check] = {
    "shapes, dtypes and ranges for 1 to 5 ways, 1 to 10 shots, odd and non-square sizes": _shapes,
    "images of odd sizes": _odd_images,
    "the same episode gives the same logits": _deterministic,
    "nothing is kept between episodes": _forgets,
    "an image of a batch is as it is alone": _batches,
    "inputs, features and supports stay as they are": _untouched,
    "empty, whole, one-pixel and ignored support masks": _masks,
    "float32 predicts as float64": _precision,
    "the state dict restores the method": _state_dict,
    "the order of the shots does not matter, unless the method says so": _order_of_shots,
}
"""The required properties and their checks.

No step receives the mask of the query, so none can use it; only `Method.leave_out` gets its pixels labelled 255.
"""
