"""A class or function of one's own, made a method."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, wraps
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fssbench.backbones import BACKBONES
from fssbench.errors import FSSBenchError, UsageError
from fssbench.methods.base.method import Method, Prediction, Task
from fssbench.methods.catalogue import MethodInfo, OwnSource
from fssbench.methods.own.code import OwnCode, load_code, own_frame

AnyMethod = Method[Any, Any]
_STEPS = ("encode", "condition", "predict")


def own_method(spec: str) -> type[AnyMethod]:
    """Return the method that a user names by its code; its class attribute `info` says what is known of it.

    A class has `encode`, `condition` and `predict`, as `Method` says; it need not inherit from it. A function takes
    `(query, support_images, support_masks)`, float32 (3, H, W), float32 (N, K, 3, H, W) and uint8 (N, K, H, W), and
    returns logits (N+1, h, w) or labels (h, w).

    What the class may say of itself: `task`, "fss" or "fscs" if it does one of them alone; `backbones`, the names that
    `--backbone` takes; `has_weights`, whether it needs `--checkpoint` (default: whether it has parameters).

    Raises:
        MissingError: If there is no such file or module.
        UsageError: If it can't be imported, has nothing of that name, or that is no method.
    """
    return _method_of(load_code(spec), spec)


@cache
def _method_of(code: OwnCode, spec: str) -> type[AnyMethod]:
    """Return the method made of code, which is made once for each content of a file."""
    if inspect.isclass(code.found):
        cls = _of_class(code, code.found)
    elif callable(code.found):
        cls = _of_function(code, code.found)
    else:
        raise UsageError(f"{spec} is neither a class nor a function", "name a class with encode, condition, predict")
    own = OwnSource(str(code.path) if code.path else "", code.sha256 or "")
    info = cls.info or described(cls, code.name, spec, made_of=code.found)
    cls.info = replace(info, name=code.name, target=spec, own=own)
    return cls


def as_prediction(found: object, way: int, size: tuple[int, int], who: str) -> Prediction:
    """Return what a method of one's own predicts as a `Prediction` of a size.

    Args:
        found: A `Prediction`; logits, floating (N+1, h, w); or labels, integers (h, w) in 0..N. What has another
            size is brought to `size`: logits bilinear with aligned corners, labels by the nearest neighbour.
        way: N.
        size: (height, width).
        who: Names the method in an error.

    Raises:
        UsageError: If it is none of these, or has labels beyond N, or logits that are not finite.
    """
    if isinstance(found, Prediction):
        if found.logits.shape != (way + 1, *size) or found.labels.shape != size or found.present.shape != (way,):
            raise UsageError(
                f"{who}: predict returned logits {tuple(found.logits.shape)}, labels {tuple(found.labels.shape)} and "
                f"present {tuple(found.present.shape)}; here they are {(way + 1, *size)}, {size} and {(way,)}",
                "return logits (N+1, H, W), labels (H, W) and present (N,) at the size that predict was given",
            )
        return found
    if not isinstance(found, Tensor):
        raise UsageError(
            f"{who} returned {type(found).__name__}", "return logits (N+1, H, W) or labels (H, W), a tensor"
        )
    if found.is_floating_point() and found.ndim == 3 and len(found) == way + 1:
        logits = found.float()
        if not torch.isfinite(logits).all():
            raise UsageError(f"{who} returned logits that are not finite", "look for a division by zero in it")
        if logits.shape[1:] != size:
            logits = F.interpolate(logits[None], size, mode="bilinear", align_corners=True)[0]
        labels = logits.argmax(dim=0).to(torch.uint8)
    elif not found.is_floating_point() and not found.is_complex() and found.ndim == 2:
        labels = found.to(torch.int64)
        if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) > way):
            raise UsageError(
                f"{who} returned labels from {int(labels.min())} to {int(labels.max())}", f"labels are 0 to {way}"
            )
        if labels.shape != size:
            labels = F.interpolate(labels[None, None].float(), size, mode="nearest-exact")[0, 0].to(torch.int64)
        logits = F.one_hot(labels, way + 1).permute(2, 0, 1).float()
        labels = labels.to(torch.uint8)
    else:
        raise UsageError(
            f"{who} returned a tensor {found.dtype} of shape {tuple(found.shape)}",
            f"for {way} ways return logits, floating ({way + 1}, H, W), or labels, integers (H, W)",
        )
    present = torch.stack([(labels == n).any() for n in range(1, way + 1)])
    return Prediction(logits, labels, present)


def _of_class(code: OwnCode, given: type) -> type[AnyMethod]:
    lacking = [step for step in _STEPS if not callable(getattr(given, step, None))]
    if lacking:
        raise UsageError(
            f"{code.name} is no method: it has no {' and no '.join(lacking)}",
            "a method has encode(image), condition(features, mask) and predict(query, supports, size)",
        )
    bases: tuple[type, ...] = (given,) if issubclass(given, Method) else (given, Method)

    def build(self: AnyMethod, *, way: int, shot: int, **arguments: object) -> None:
        if not issubclass(given, nn.Module):
            nn.Module.__init__(self)
        offered: dict[str, object] = {"way": way, "shot": shot}
        offered |= {key: arguments.pop(key) for key in ("backbone", "variant") if key in arguments}
        taken = _taken(given)
        passed = {key: value for key, value in offered.items() if taken is None or key in taken}
        try:
            given.__init__(self, **passed, **arguments)  # type: ignore[misc]
        except FSSBenchError:
            raise
        except Exception as error:
            if isinstance(error, TypeError) and "unexpected keyword argument" in str(error):
                raise
            words = f"{code.name} can't be built: {own_frame(error, code.path)}"
            raise UsageError(words, f"mend {code.path or code.name}") from error
        self.task = getattr(self, "task", cast("Task", offered.get("variant", "fss")))
        self.way, self.shot = way, shot

    def predict(
        self: AnyMethod, query: object, supports: Sequence[Sequence[object]], size: tuple[int, int]
    ) -> Prediction:
        found = given.predict(self, query, supports, size)  # type: ignore[attr-defined]
        return as_prediction(found, len(supports), size, code.name)

    own: dict[str, object] = {
        "__init__": build,
        "__signature__": inspect.signature(given),
        "__doc__": given.__doc__,
        "__module__": given.__module__,
        "encode": _told(given.encode, code),  # type: ignore[attr-defined]
        "condition": _told(given.condition, code),  # type: ignore[attr-defined]
        "predict": _told(predict, code),
    }
    return cast("type[AnyMethod]", type(given.__name__, bases, own))


def _taken(given: type) -> set[str] | None:
    """Return the names of the arguments that a class is built with; None if it takes any."""
    if given.__init__ is object.__init__:  # type: ignore[misc]
        return set()
    parameters = inspect.signature(given.__init__).parameters.values()  # type: ignore[misc]
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        # nn.Module's own, where a class has no __init__, takes none of them.
        return set() if given.__init__ is nn.Module.__init__ else None  # type: ignore[misc]
    return {one.name for one in parameters}


def _of_function(code: OwnCode, function: Callable[..., object]) -> type[AnyMethod]:
    class OwnFunction(Method[Tensor, tuple[Tensor, Tensor]]):
        def __init__(self, way: int, shot: int, variant: Task = "fss") -> None:
            super().__init__()
            self.task, self.way, self.shot = variant, way, shot

        def encode(self, image: Tensor) -> Tensor:
            return image

        def condition(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
            return features, mask

        def predict(
            self, query: Tensor, supports: Sequence[Sequence[tuple[Tensor, Tensor]]], size: tuple[int, int]
        ) -> Prediction:
            images, masks = (
                torch.stack([torch.cat([shot[part] for shot in shots]) for shots in supports]) for part in (0, 1)
            )
            return as_prediction(function(query[0], images, masks), len(supports), size, code.name)

    OwnFunction.__name__ = OwnFunction.__qualname__ = getattr(function, "__name__", "function")
    OwnFunction.__doc__ = function.__doc__
    OwnFunction.predict = _told(OwnFunction.predict, code)  # type: ignore[method-assign]
    return OwnFunction


def _told(step: Callable[..., Any], code: OwnCode) -> Callable[..., Any]:
    """Return a step whose errors end in one sentence that names the line of the user's file."""

    @wraps(step)
    def told(*arguments: object, **named: object) -> object:
        try:
            return step(*arguments, **named)
        except (FSSBenchError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise UsageError(f"{code.name}: {own_frame(error, code.path)}", f"mend {code.path or code.name}") from error

    return told


def described(cls: type[AnyMethod], name: str, target: str, made_of: object = None) -> MethodInfo:
    """Return what a method that has no `info` says of itself by its class attributes.

    Args:
        cls: The class.
        name: Its name in records.
        target: What names it: "module:class" of a registered one, or its code.
        made_of: The user's class or function that it was made of. Then it is built for either task unless it names one.
            On any backbone if it takes one and names none.

    Raises:
        UsageError: If its task is none.
    """
    task = getattr(cls, "task", None)
    if task not in ("fss", "fscs", None):
        raise UsageError(f"{name} has the task '{task}'", 'task = "fss" or task = "fscs"')
    given_class = cls if made_of is None else made_of
    takes_any = inspect.isclass(given_class) and "backbone" in (_taken(given_class) or ())
    backbones = tuple(getattr(cls, "backbones", BACKBONES if takes_any else ()))
    given = getattr(cls, "has_weights", None)
    tasks: dict[str, Task] = {"": task or "fss"} if task or made_of is None else {"fss": "fss", "fscs": "fscs"}
    return MethodInfo(
        name,
        target,
        inspect.cleandoc(cls.__doc__ or name).split("\n")[0],
        "",
        "",
        tasks,
        backbones,
        trainable=cls.losses is not Method.losses,
        base_classes=None,
        weights=_has_parameters(cls, name, backbones) if given is None else bool(given),
    )


def _has_parameters(cls: type[AnyMethod], name: str, backbones: tuple[str, ...]) -> bool:
    """Return whether a method has parameters; for that it is built once."""
    try:
        with torch.random.fork_rng(devices=[]):
            built = cls(way=1, shot=1, **({"backbone": backbones[-1]} if backbones else {}))
    except FSSBenchError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UsageError(
            f"{name} can't be built: {said}",
            "let its __init__ take way and shot, or give its class `info`, a MethodInfo",
        ) from error
    return any(True for _ in built.parameters())
