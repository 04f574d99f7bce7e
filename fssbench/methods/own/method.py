"""Makes a method of a class or function that the user names."""

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
from fssbench.ledger.facts import declared
from fssbench.methods.base.method import Method, Prediction, Task
from fssbench.methods.catalogue import MethodInfo, OwnSource
from fssbench.methods.own.code import OwnCode, load_code, own_frame

AnyMethod = Method[Any, Any]
_STEPS = ("encode", "condition", "predict")


def own_method(spec: str) -> type[AnyMethod]:
    """Return the method that the user names by its code, with its catalogue entry in the class attribute `info`.

    A class has `encode`, `condition` and `predict` as in `Method`, but need not inherit from it. A function takes
    `(query, support_images, support_masks)`, float32 (3, H, W), float32 (N, K, 3, H, W) and uint8 (N, K, H, W), and
    returns logits (N+1, h, w) or labels (h, w).

    Optional class attributes: `task`, "fss" or "fscs", if it supports only one of them; `backbones`, the values of
    `--backbone`; `has_weights`, whether it needs `--checkpoint` (default: whether it has parameters); `ledger`, what it
    has seen and is given (`fssbench.ledger.facts.Facts`, or a dict of its fields).

    Raises:
        MissingError: If there is no such file or module.
        UsageError: If it can't be imported, has no such name, or the name is not a method.
    """
    return _method_of(load_code(spec), spec)


def method_of_package(target: str, name: str) -> type[AnyMethod]:
    """Return the method of another package's entry point, a class or function as in `own_method`.

    Args:
        target: "module:attribute".
        name: Its registered name.

    Raises:
        UsageError: If it is not a method.
    """
    cls = own_method(target)
    info = replace(cast("MethodInfo", cls.info), name=name, own=None)
    return cast("type[AnyMethod]", type(cls.__name__, (cls,), {"info": info, "__module__": cls.__module__}))


@cache
def _method_of(code: OwnCode, spec: str) -> type[AnyMethod]:
    """Return the method of imported code; made once for each content of a file."""
    if inspect.isclass(code.found):
        cls = _of_class(code, code.found)
    elif callable(code.found):
        cls = _of_function(code, code.found)
    else:
        raise UsageError(f"{spec} is neither a class nor a function", "name a class with encode, condition, predict")
    own = OwnSource(str(code.path) if code.path else "", code.sha256 or "", code.imports)
    info = cls.info or described(cls, code.name, spec, made_of=code.found)
    cls.info = replace(info, name=code.name, target=spec, own=own)
    return cls


def as_prediction(found: object, way: int, size: tuple[int, int], who: str) -> Prediction:
    """Return the result of the user's method as a `Prediction` of a size.

    Args:
        found: A `Prediction`; logits, floating (N+1, h, w); or labels, integers (h, w) in 0..N. Other sizes are resized
            to `size`: logits bilinear with aligned corners, labels by nearest neighbour.
        way: N.
        size: (height, width).
        who: Name of the method for messages.

    Raises:
        UsageError: If it is none of these, has labels above N, or logits that are not finite.
    """
    if isinstance(found, Prediction):
        if found.logits.shape != (way + 1, *size) or found.labels.shape != size or found.present.shape != (way,):
            raise UsageError(
                f"{who}: predict returned logits {tuple(found.logits.shape)}, labels {tuple(found.labels.shape)} and "
                f"present {tuple(found.present.shape)}; here they are {(way + 1, *size)}, {size} and {(way,)}",
                "return logits (N+1, H, W), labels (H, W) and present (N,) at the size in the arguments of predict",
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


def _of_class(code: OwnCode, user_class: type) -> type[AnyMethod]:
    missing = [step for step in _STEPS if not callable(getattr(user_class, step, None))]
    if missing:
        raise UsageError(
            f"{code.name} is not a method: it has no {' and no '.join(missing)}",
            "a method has encode(image), condition(features, mask) and predict(query, supports, size)",
        )
    bases: tuple[type, ...] = (user_class,) if issubclass(user_class, Method) else (user_class, Method)

    def build(self: AnyMethod, *, way: int, shot: int, **arguments: object) -> None:
        if not issubclass(user_class, nn.Module):
            nn.Module.__init__(self)
        offered: dict[str, object] = {"way": way, "shot": shot}
        offered |= {key: arguments.pop(key) for key in ("backbone", "variant") if key in arguments}
        accepted = _argument_names(user_class)
        passed = {key: value for key, value in offered.items() if accepted is None or key in accepted}
        try:
            user_class.__init__(self, **passed, **arguments)  # type: ignore[misc]
        except FSSBenchError:
            raise
        except (Exception, SystemExit) as error:
            if isinstance(error, TypeError) and "unexpected keyword argument" in str(error):
                raise
            words = f"{code.name} can't be built: {own_frame(error, code.path)}"
            lacking = isinstance(error, TypeError) and "required positional argument" in str(error)
            remedy = "__init__ is given way, shot and backbone, where it names them; others need a default"
            raise UsageError(words, remedy if lacking else f"correct {code.path or code.name}") from error
        self.task = getattr(self, "task", cast("Task", offered.get("variant", "fss")))
        self.way, self.shot = way, shot

    def predict(
        self: AnyMethod, query: object, supports: Sequence[Sequence[object]], size: tuple[int, int]
    ) -> Prediction:
        found = user_class.predict(self, query, supports, size)  # type: ignore[attr-defined]
        return as_prediction(found, len(supports), size, code.name)

    own: dict[str, object] = {
        "__init__": build,
        "__signature__": inspect.signature(user_class),
        "__doc__": user_class.__doc__,
        "__module__": user_class.__module__,
        "encode": _with_own_errors(user_class.encode, code),  # type: ignore[attr-defined]
        "condition": _with_own_errors(user_class.condition, code),  # type: ignore[attr-defined]
        "predict": _with_own_errors(predict, code),
    }
    losses = getattr(user_class, "losses", None)
    if callable(losses) and losses is not Method.losses:
        own["losses"] = _with_own_errors(_checked_losses(losses, code), code)
    return cast("type[AnyMethod]", type(user_class.__name__, bases, own))


def _checked_losses(losses: Callable[..., Any], code: OwnCode) -> Callable[..., Any]:
    """Return a method's `losses` that refuses what nothing can be learnt from."""

    @wraps(losses)
    def checked(self: AnyMethod, batch: object) -> object:
        found = losses(self, batch)
        named = isinstance(found, dict) and all(isinstance(name, str) for name in found)
        if not named or not all(isinstance(one, Tensor) and one.ndim == 0 for one in found.values()):
            raise UsageError(
                f"{code.name}: losses returned {type(found).__name__}, not losses by name",
                'return a dict of tensors of one number each: {"segmentation": loss}',
            )
        if torch.is_grad_enabled() and not any(one.requires_grad for one in found.values()):
            raise UsageError(
                f"{code.name}: no loss depends on a parameter", "compute the losses from what the parameters give"
            )
        return found

    return checked


def _argument_names(user_class: type) -> set[str] | None:
    """Return the names of the arguments of a class's constructor; None if it accepts any."""
    if user_class.__init__ is object.__init__:  # type: ignore[misc]
        return set()
    parameters = inspect.signature(user_class.__init__).parameters.values()  # type: ignore[misc]
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        # The constructor of nn.Module itself, used by a class without __init__, accepts no arguments.
        return set() if user_class.__init__ is nn.Module.__init__ else None  # type: ignore[misc]
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
    OwnFunction.predict = _with_own_errors(OwnFunction.predict, code)  # type: ignore[method-assign]
    return OwnFunction


def _with_own_errors(step: Callable[..., Any], code: OwnCode) -> Callable[..., Any]:
    """Return a step whose errors become one message that names the line in the user's file."""

    @wraps(step)
    def call(*arguments: object, **named: object) -> object:
        try:
            return step(*arguments, **named)
        except (FSSBenchError, torch.OutOfMemoryError):
            raise
        except (Exception, SystemExit) as error:
            raise UsageError(
                f"{code.name}: {own_frame(error, code.path)}", f"correct {code.path or code.name}"
            ) from error

    return call


def described(cls: type[AnyMethod], name: str, target: str, made_of: object = None) -> MethodInfo:
    """Return the catalogue entry of a method without `info`, from its class attributes.

    Args:
        cls: The class.
        name: Its name in records.
        target: "module:class" of a registered method, or the name of its code.
        made_of: The user's class or function. Then it is built for both tasks unless it names one, and on any backbone
            if its constructor takes one and it names none.

    Raises:
        UsageError: If its task is invalid.
    """
    task = getattr(cls, "task", None)
    if task not in ("fss", "fscs", None):
        raise UsageError(f"{name} has the task '{task}'", 'task = "fss" or task = "fscs"')
    given_class = cls if made_of is None else made_of
    takes_any = inspect.isclass(given_class) and "backbone" in (_argument_names(given_class) or ())
    backbones = tuple(getattr(cls, "backbones", BACKBONES if takes_any else ()))
    has_weights = getattr(cls, "has_weights", None)
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
        weights=_has_parameters(cls, name, backbones) if has_weights is None else bool(has_weights),
        ledger=declared(getattr(cls, "ledger", None), name),
    )


def _has_parameters(cls: type[AnyMethod], name: str, backbones: tuple[str, ...]) -> bool:
    """Return whether a method has parameters; this builds it once."""
    try:
        with torch.random.fork_rng(devices=[]):
            built = cls(way=1, shot=1, **({"backbone": backbones[-1]} if backbones else {}))
    except FSSBenchError:
        raise
    except Exception as error:
        message = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UsageError(
            f"{name} can't be built: {message}",
            "let its __init__ take way and shot, or give its class `info`, a MethodInfo",
        ) from error
    return any(True for _ in built.parameters())
