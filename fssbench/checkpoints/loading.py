"""Reading weights safely and loading them strictly.

No file is ever unpickled freely. `torch.load(weights_only=True)` builds tensors and plain containers only; whatever
else a checkpoint names (a Lightning checkpoint of iFSL keeps its arguments and the state of its callbacks, keyed by
their classes) is looked up in a list of harmless modules and replaced by an inert stand-in: nothing is imported and
nothing is called. A file that names anything beyond that list is refused.
"""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fssbench.checkpoints.files import check_contents, recognise
from fssbench.checkpoints.mismatch import why
from fssbench.checkpoints.weights import cast, check_form, check_not_zero, check_values
from fssbench.errors import BrokenFileError, CheckpointError, UsageError
from fssbench.methods import BuiltAs
from fssbench.methods.method import Method

AnyMethod = Method[Any, Any]
_LOG = logging.getLogger(__name__)

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
_HARMLESS = (
    "argparse",
    "collections",
    "common.callbacks",
    "lightning",
    "numpy",
    "omegaconf",
    "pathlib",
    "pytorch_lightning",
)
"""Modules whose classes released checkpoints name beside their weights; they are replaced, never imported."""

_COUNTER = ".num_batches_tracked"
_SHOWN = 3


class _StandIn:
    """Takes the place of an object that a checkpoint holds beside its weights; does nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the state dict of a weight file, with wrappers and "module." prefixes taken off.

    Args:
        path: A torch file (zip or legacy) or safetensors.

    Raises:
        MissingError: If it is not there.
        BrokenFileError: If it is no weight file, or cut short.
        CheckpointError: If it holds no state dict, objects that are no weights, or weights that are not finite.
    """
    state = _unprefixed(_read(path))
    try:
        for key, value in state.items():
            check_form(key, value)
        _check_sizes(path, state)
        for key, value in state.items():
            check_values(key, value)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}", error.remedy) from error
    return state


def _check_sizes(path: Path, state: Mapping[str, Tensor]) -> None:
    # A tensor of stride 0 claims any number of values and has one. No type that is taken has more than one a byte.
    claimed, there = sum(value.numel() for value in state.values()), path.stat().st_size
    if claimed > there:
        raise BrokenFileError(
            f"{path} claims {claimed} values, more than its {there} bytes can hold",
            "ask its author for a state dict of contiguous tensors",
        )


def _read(path: Path) -> Mapping[str, Tensor]:
    kind = recognise(path)
    if kind == "safetensors":
        from safetensors.torch import load_file

        try:
            return dict(load_file(path))
        except Exception as error:  # safetensors raises its own type for each damage
            raise BrokenFileError(f"{path} is damaged: {_first_line(error)}", "download it again") from error
    if kind == "torch-zip":
        check_contents(path)
    return _unwrapped(_torch_load(path), path)


def _torch_load(path: Path) -> object:
    try:
        with _stand_ins(path):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        what = f", such as {named[1]}" if named else ""
        raise CheckpointError(
            f"{path} holds more than weights{what}; it was not run",
            "ask its author for the state dict alone, or convert it to safetensors where you trust it",
        ) from error
    except CheckpointError:
        raise
    except Exception as error:  # torch raises half a dozen types for damaged files
        raise BrokenFileError(f"{path} is damaged: {_first_line(error)}", "download it again") from error


def _stand_ins(path: Path) -> AbstractContextManager[object]:
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # a legacy file can't be asked, and holds plain state dicts
        return nullcontext()
    if foreign := [name for name in names if not name.startswith(tuple(f"{module}." for module in _HARMLESS))]:
        raise CheckpointError(
            f"{path} names {foreign[0]}, which is no weight; it was not run",
            "use it only where you know who made it, and ask them for the state dict alone",
        )
    # Each name has its own class, because the loader tells them apart by it.
    replaced: list[Callable[..., object] | tuple[Callable[..., object], str]] = [
        (type("StandIn", (_StandIn,), {}), name) for name in names
    ]
    return torch.serialization.safe_globals(replaced)


def _unwrapped(loaded: object, path: Path) -> dict[str, Tensor]:
    for _ in range(3):
        if not isinstance(loaded, Mapping):
            break
        if loaded and all(isinstance(value, Tensor) for value in loaded.values()):
            return {str(key): value for key, value in loaded.items()}
        inner = next((loaded[key] for key in _WRAPPERS if isinstance(loaded.get(key), Mapping)), None)
        if inner is None:
            break
        loaded = inner
    raise CheckpointError(f"{path} holds no state dict: {_describe(loaded)}")


def _describe(loaded: object) -> str:
    if not isinstance(loaded, Mapping):
        return f"a {type(loaded).__name__}"
    return f"its entries are {', '.join(str(key) for key in list(loaded)[:5]) or 'none'}"


def _unprefixed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # DataParallel puts "module." before every key.
    if state and all(key.startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return dict(state)


def load_into(method: AnyMethod, *paths: Path) -> None:
    """Load weight files into a method, together strict.

    Args:
        method: Built for these weights.
        paths: The checkpoint and, where the frozen backbone is kept apart, its file.

    Raises:
        MissingError, BrokenFileError, CheckpointError: As `read_state` and `load_release`.
    """
    state: dict[str, Tensor] = {}
    for path in paths:
        part = _as_backbone(read_state(path), method)
        if twice := next((key for key in part if key in state), None):
            raise CheckpointError(f"{paths[0]} and {path} both hold {twice}", "leave the backbone's file out")
        state |= part
    try:
        _load_strictly(method, state)
    except CheckpointError as error:
        raise CheckpointError(f"{paths[0]}: {error.message}", error.remedy) from error


def _as_backbone(state: dict[str, Tensor], method: AnyMethod) -> dict[str, Tensor]:
    """Return ImageNet or backbone weights under the keys they have inside the method; other states as they are."""
    own = method.state_dict()
    named = backbone_state(method, state)
    if not named or any(key not in own for key in named) or any(key in own and key not in named for key in state):
        return state
    return named


def backbone_state(method: AnyMethod, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a backbone's own file under the keys they have inside the method.

    ImageNet files from before torch 0.4.1 have no batch counters; torch, too, starts them at zero.
    """
    named = method.from_imagenet(state)
    if any(key.endswith(_COUNTER) for key in named):
        return named
    own = method.state_dict()
    counters = (key for key in backbone_keys(method, named) if key.endswith(_COUNTER))
    return named | {key: torch.zeros_like(own[key]) for key in counters}


def backbone_keys(method: AnyMethod, named: Mapping[str, Tensor]) -> list[str]:
    """Return the method's keys that belong to its backbone: those in the children that a backbone's file fills."""
    children = {key.partition(".")[0] for key in named}
    return [key for key in method.state_dict() if key.partition(".")[0] in children]


def _remedy(missing: Sequence[str], unexpected: Sequence[str], misshapen: Sequence[str], cause: str) -> str:
    if missing and not unexpected and not misshapen and all(key.startswith("backbone.") for key in missing):
        return "add --backbone-weights FILE: the frozen backbone is kept apart from these weights"
    what = "the method, --variant, --backbone and --shots" if cause else "the method and its form"
    return f"give {what} that these weights were trained as, or other weights"


def load_release(
    method: AnyMethod, state_dict: Mapping[str, Tensor | npt.NDArray[Any]], trained_on: str | None = None
) -> AnyMethod:
    """Load a released checkpoint's state dict, strictly, and return the method.

    Args:
        method: From `fssbench.build`, with the arguments the checkpoint was made for.
        state_dict: The released keys, with or without "module."; tensors or arrays. Values are cast to the dtype of
            the parameter.
        trained_on: The data set the weights were trained on. Where a release's configurations differ in what weights do
            not show (PFENet's pyramid) and neither this nor `build` names it, a warning says what was assumed.

    Raises:
        CheckpointError: If a key is missing, unexpected or misshapen, naming the first ones; if weights are not finite,
            zero throughout, or of another kind than the parameter, such as integers. The method is unchanged.
        UsageError: If the method was built as another data set's configuration.
    """
    _check_configuration(method, trained_on)
    _load_strictly(method, state_dict)
    return method


def _load_strictly(method: AnyMethod, state_dict: Mapping[str, Tensor | npt.NDArray[Any]]) -> None:
    if not isinstance(state_dict, Mapping):
        raise CheckpointError(f"a state dict maps keys to tensors; this is a {type(state_dict).__name__}")
    given = _unprefixed({str(key): _tensor(key, value) for key, value in state_dict.items()})
    own = method.state_dict()
    missing = [key for key in own if key not in given]
    unexpected = [key for key in given if key not in own]
    misshapen = [
        f"{key} is {tuple(given[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in given and given[key].shape != own[key].shape
    ]
    if missing or unexpected or misshapen:
        wrong = [_listed("missing", missing), _listed("unexpected", unexpected), _listed("misshapen", misshapen)]
        cause = why(own, given)
        raise CheckpointError(
            f"the weights do not fit {type(method).__name__}{f': {cause}' if cause else ''}; "
            + "; ".join(part for part in wrong if part),
            _remedy(missing, unexpected, misshapen, cause),
        )
    taken = {key: cast(key, given[key], own[key]) for key in own}
    check_not_zero(taken)
    method.load_state_dict(taken)


def _check_configuration(method: AnyMethod, trained_on: str | None) -> None:
    built = getattr(method, "built", None)
    if not isinstance(built, BuiltAs) or not (hidden := built.hidden_options()):
        return
    names = ", ".join(hidden)
    if trained_on is not None and not built.fits(trained_on):
        raise UsageError(
            f"{built.name} was not built as its release's configuration for {trained_on}, which differs in {names}",
            f"fssbench.build('{built.name}', trained_on='{trained_on}', ...)",
        )
    if trained_on is None and built.trained_on is None and not any(option in built.options for option in hidden):
        _LOG.warning(
            "%s: weights do not show which data set they were trained on, and the release's configurations differ in "
            "%s; that of pascal5i was assumed. Name it: fssbench.build('%s', trained_on='coco20i', ...)",
            built.name,
            names,
            built.name,
        )


def _tensor(key: str, value: Tensor | npt.NDArray[Any]) -> Tensor:
    if not isinstance(value, Tensor):
        # A copy, in this machine's byte order: arrays may be read-only, mapped from a file or from another machine.
        array = np.array(value)
        try:
            value = torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
        except TypeError as error:
            raise CheckpointError(f"{key} is no tensor but {_kind_of(array)}") from error
    check_form(key, value)
    return value


def _kind_of(array: npt.NDArray[Any]) -> str:
    return f"a {type(array.item()).__name__}" if array.ndim == 0 else f"an array of {array.dtype}"


def _listed(what: str, keys: list[str]) -> str:
    if not keys:
        return ""
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return f"{what}: {', '.join(keys[:_SHOWN])}{more}"


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
